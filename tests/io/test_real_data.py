"""The real sets load; each is skipped where it is absent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from spatialdata.models import get_channel_names
from spatialdata.transformations import get_transformation

from nimbus.io import read_fovs

DATA = Path(__file__).parents[3] / "shared" / "data"


@dataclass(frozen=True)
class RealSet:
    """What a set holds."""

    name: str
    n_fields: int
    shape: tuple[int, int, int]
    dtype: str
    pixel_size_um: float | None
    n_cells: int
    a_channel: str


SETS = [
    RealSet("dcis_mibi", 55, (41, 1024, 1024), "uint8", 0.49, 48_448, "CD45"),
    RealSet("lymphoma_codex", 1, (56, 501, 501), "uint8", 0.5, 597, "BCL-2"),
    RealSet("breast_mibi_noisy", 1, (20, 1024, 1024), "uint8", None, 553, "ECadherin"),
    RealSet("bcell_vectra", 1, (5, 260, 348), "float32", 0.5, 270, "Alexa 594"),
    RealSet("pancreas_imc", 3, (5, 100, 100), "float32", 1.0, 362, "CD99"),
]


@pytest.mark.parametrize("expected", SETS, ids=lambda s: s.name)
def test_a_real_set_loads(expected):
    folder = DATA / expected.name
    if not folder.exists():
        pytest.skip(f"no real data in {folder}")

    sdata = read_fovs(folder / "image_data", folder / "segmentation")

    assert len(sdata.images) == len(sdata.labels) == expected.n_fields
    n_cells = 0
    for key in sdata.images:
        fov = key.removesuffix("_image")
        image, labels = sdata[key], sdata[f"{fov}_labels"]
        assert image.shape == expected.shape
        assert (image.dtype, labels.dtype) == (expected.dtype, "uint16")
        assert expected.a_channel in get_channel_names(image)
        matrix = get_transformation(image, fov).to_affine_matrix(("x", "y"), ("x", "y"))
        assert matrix[0, 0] == pytest.approx(expected.pixel_size_um or 1)
        assert (fov in sdata.attrs["nimbus_units"]) == (expected.pixel_size_um is not None)
        n_cells += np.unique(labels.data.compute()).size - 1
    assert n_cells == expected.n_cells
    assert image.data[1, :64, :64].compute().max() >= 0
