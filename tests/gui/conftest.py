"""Tissue of two fields with known types, clustered, on disk."""

from __future__ import annotations

import shutil
import warnings

import numpy as np
import pytest

import nimbus


@pytest.fixture(scope="session")
def clustered_store(tmp_path_factory):
    sdata = nimbus.datasets.tissue(shape=(160, 160), n_fovs=2, random_state=0)
    table = sdata.tables["table"]
    truth = table.layers["truth"].astype(np.float32)
    noise = np.random.default_rng(0).random(truth.shape, dtype=np.float32)
    table.layers["nimbus"] = np.clip(0.1 + 0.7 * truth + 0.2 * noise - 0.1, 0, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # markers without positives in so few cells
        nimbus.tl.cluster(sdata, grid=(5, 5), n_metaclusters=8)
        path = tmp_path_factory.mktemp("tissue") / "tissue.zarr"
        sdata.write(path)
    return path


@pytest.fixture
def store(clustered_store, tmp_path):
    """A copy that a test may write to."""
    path = tmp_path / "tissue.zarr"
    shutil.copytree(clustered_store, path)
    return path
