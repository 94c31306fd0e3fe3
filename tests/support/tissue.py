"""Small fields with cells that touch, drawn from a seed, read-only and without symmetry."""

from __future__ import annotations

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import ndimage
from spatialdata import SpatialData
from spatialdata.models import TableModel

from nimbus.data.fields import Field, build_sdata


def draw_labels(shape, *, n_cells, seed, radius=9.0):
    """Voronoi cells of at most `radius` pixels; ids are not consecutive."""
    rng = np.random.default_rng(seed)
    marked = np.ones(shape, dtype=bool)
    places = rng.integers(0, shape, size=(n_cells, 2))
    marked[places[:, 0], places[:, 1]] = False
    ids = np.zeros(shape, dtype=np.int64)
    ids[places[:, 0], places[:, 1]] = 1 + 3 * rng.permutation(n_cells)
    distance, nearest = ndimage.distance_transform_edt(marked, return_indices=True)
    labels = np.where(distance < radius, ids[tuple(nearest)], 0).astype(np.uint32)
    labels.flags.writeable = False
    return labels


def draw_image(labels, *, n_channels, seed, dtype=np.uint16):
    """Some cells bright in each channel, noise everywhere, channels of different brightness."""
    rng = np.random.default_rng(seed)
    bright = rng.random((n_channels, int(labels.max()) + 1)) < 0.4
    bright[:, 0] = False
    image = np.stack(
        [
            rng.poisson(5 + (k + 1) * 60 * ndimage.gaussian_filter(b[labels].astype(float), 1.0))
            for k, b in enumerate(bright)
        ]
    ).astype(dtype)
    image.flags.writeable = False
    return image


def draw_sdata(
    shapes, *, n_channels=2, pixel_size_um=0.5, seed=0, dtype=np.uint16, density=1 / 180
) -> SpatialData:
    """One field for each of `shapes`, called ``a``, ``b``, ...; channels ``m0``, ``m1``, ..."""
    fields = []
    for index, shape in enumerate(shapes):
        n_cells = max(2, int(shape[0] * shape[1] * density))
        labels = draw_labels(shape, n_cells=n_cells, seed=seed + index)
        image = draw_image(labels, n_channels=n_channels, seed=seed + 100 + index, dtype=dtype)
        names = tuple(f"m{k}" for k in range(n_channels))
        fields.append(Field("abcdefgh"[index], image, labels, names, pixel_size_um))
    return build_sdata(fields)


def brightness(planes):
    """A model without weights: mostly the channel, and a little of the mask."""
    return planes[:, :1] * np.float32(0.7) + planes[:, 1:] * np.float32(0.2)


def add_labels(sdata, *, layer="silver", seed=0, undecided=0.3, key="table") -> SpatialData:
    """The same object with a table: a row for each cell of each field, labels drawn at random."""
    rng = np.random.default_rng(seed)
    parts = []
    for name in sorted(sdata.labels):
        ids = np.unique(sdata[name].to_numpy())
        parts += [(name, int(i)) for i in rng.permutation(ids[ids > 0])]
    regions, ids = (list(column) for column in zip(*parts, strict=True))
    markers = [str(name) for name in sdata[sorted(sdata.images)[0]].c.values]
    drawn = rng.integers(0, 2, (len(ids), len(markers))).astype(np.int8)
    drawn[rng.random(drawn.shape) < undecided] = -1
    table = AnnData(
        obs=pd.DataFrame(
            {"region": pd.Categorical(regions), "instance_id": ids}, index=map(str, range(len(ids)))
        ),
        var=pd.DataFrame(index=markers),
        layers={layer: drawn},
    )
    sdata.tables[key] = TableModel.parse(
        table, region=sorted(set(regions)), region_key="region", instance_key="instance_id"
    )
    return sdata
