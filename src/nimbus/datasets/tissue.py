"""Synthetic tissue with known truth, as SpatialData."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from anndata import AnnData
from spatialdata import SpatialData
from spatialdata.models import TableModel

from nimbus._check import listed, one_or_more
from nimbus._keys import Layers, Obs
from nimbus.data.fields import LABELS_SUFFIX, Field, build_sdata

from .cohort import CohortSettings, SimulatedField, simulate_cohort
from .markers import DEFAULT_PANEL
from .platforms import PLATFORMS, PlatformName

CELL_TYPE = "cell_type"


def tissue(
    *,
    shape: tuple[int, int] = (512, 512),
    n_cells: int | None = None,
    markers: str | Sequence[str] | None = None,
    n_fovs: int = 1,
    platform: PlatformName = "codex",
    pixel_size: float | None = None,
    masks: Literal["whole_cell", "nuclear", "expanded"] = "whole_cell",
    random_state: int = 0,
) -> SpatialData:
    """Synthetic tissue whose cells are known to be positive or negative for each marker.

    Cells of several types lie in niches; each marker has the pattern (membrane, nucleus,
    cytoplasm, granules, fibres) and the cell types that its name suggests, and a name that is not
    known gets random ones. Images have what real ones have: dim positives, spillover, haze,
    unspecific nuclear signal, autofluorescence, thin processes and fibres over other cells,
    counting noise, hot pixels, saturation. How strong each is, every channel draws from the range
    of its platform.

    Parameters
    ----------
    shape
        Rows and columns of each field, in pixels.
    n_cells
        At most this many cells in each field; None: as many as fit.
    markers
        Names of the channels; None: a panel of ten.
    n_fovs
        Number of fields.
    platform
        ``"codex"``, ``"mibi"``, ``"imc"``, ``"vectra"`` or ``"cycif"``.
    pixel_size
        Micrometres; None: that of the platform.
    masks
        Labels of whole cells, of nuclei, or of nuclei expanded by 3 um.
    random_state
        Seed: the same gives the same bits.

    Returns
    -------
    Images ``fov0_image`` (``c, y, x``; uint16, for ``"imc"`` and ``"vectra"`` float32), labels
    ``fov0_labels`` (int32) and so on, each field in a coordinate system of its name in
    micrometres, and the table ``"table"``: one row for each cell with ``obs["region"]``,
    ``obs["instance_id"]``, ``obs["area"]`` (pixels), ``obs["cell_type"]``, ``obsm["spatial"]``
    (centroid x, y in micrometres), ``X`` mean intensity, ``layers["truth"]`` (int8, 1 for
    positive) and ``layers["visible"]`` (int8: what a careful observer would say, -1 where no eye
    can tell).

    Raises
    ------
    ValueError
        For an unknown platform or kind of mask, a name that comes twice, or a size below 1.

    Examples
    --------
    >>> sdata = tissue(shape=(128, 128), markers=["DAPI", "CD3", "CD8"], random_state=1)
    >>> sdata["fov0_image"].shape, list(sdata["table"].var_names)
    ((3, 128, 128), ['DAPI', 'CD3', 'CD8'])
    >>> int(sdata["table"].layers["truth"].max())
    1
    """
    settings = CohortSettings(
        shape=shape,
        n_cells=n_cells,
        markers=tuple(DEFAULT_PANEL if markers is None else one_or_more(markers)),
        n_fields=n_fovs,
        platform=platform,
        pixel_size_um=pixel_size,
        masks=masks,
    )
    _check(settings)
    fields = simulate_cohort(settings, random_state=random_state)
    table = _table(fields, settings.markers)
    laid_out = [Field(f.name, f.image, f.labels, settings.markers, f.pixel_size_um) for f in fields]
    return build_sdata(laid_out, tables={"table": table})


def _check(settings: CohortSettings) -> None:
    if settings.platform not in PLATFORMS:
        raise ValueError(f"platform {settings.platform!r} is unknown; there is {listed(PLATFORMS)}")
    if settings.masks not in ("whole_cell", "nuclear", "expanded"):
        raise ValueError(
            f"masks {settings.masks!r} is unknown; there is 'whole_cell', 'nuclear', 'expanded'"
        )
    twice = sorted({m for m in settings.markers if settings.markers.count(m) > 1})
    if twice:
        raise ValueError(f"markers must be different names; twice: {listed(twice)}")
    if not settings.markers:
        raise ValueError("markers=[] names no channel; leave markers= out for a panel of ten")
    _check_sizes(settings)


def _check_sizes(settings: CohortSettings) -> None:
    if len(settings.shape) != 2:
        raise ValueError(f"shape must be rows and columns, as in (512, 512), not {settings.shape}")
    sizes = {
        "shape": min(settings.shape),
        "n_cells": settings.n_cells,
        "n_fovs": settings.n_fields,
    }
    for name, value in sizes.items():
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1, not {value!r}")
    if settings.pixel_size_um is not None and not settings.pixel_size_um > 0:
        raise ValueError(f"pixel_size must be above 0 um, not {settings.pixel_size_um!r}")


def _table(fields: Sequence[SimulatedField], markers: Sequence[str]) -> AnnData:
    """Rows are cells of all fields, columns markers."""
    regions = [f.name + LABELS_SUFFIX for f in fields if len(f.instance_id)]
    if not regions:
        raise ValueError(
            f"no cell is seen in pixels of {fields[0].pixel_size_um:g} um; give a smaller "
            "pixel_size, or more cells"
        )
    held = [f.name + LABELS_SUFFIX for f in fields for _ in f.instance_id]
    obs = pd.DataFrame(
        {
            Obs.REGION: pd.Categorical(held, categories=regions),
            Obs.INSTANCE: np.concatenate([f.instance_id for f in fields]),
            Obs.AREA: np.concatenate([f.area for f in fields]),
            CELL_TYPE: pd.Categorical(np.concatenate([f.cell_type for f in fields])),
        }
    )
    obs.index = pd.Index([f"{f.name}_{i}" for f in fields for i in f.instance_id], dtype="object")
    table = AnnData(
        X=np.concatenate([f.mean for f in fields]),
        obs=obs,
        var=pd.DataFrame(index=pd.Index(list(markers), dtype="object")),
        obsm={Obs.SPATIAL: np.concatenate([f.centroid_um for f in fields])},
        layers={
            Layers.TRUTH: np.concatenate([f.truth for f in fields]),
            Layers.VISIBLE: np.concatenate([f.visible for f in fields]),
        },
    )
    return TableModel.parse(table, region=regions, region_key=Obs.REGION, instance_key=Obs.INSTANCE)
