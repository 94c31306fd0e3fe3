"""Verbs of a table that is read lazily do what they do of one in memory."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

import nimbus

N = 300
MATRIX = pd.DataFrame({"CD3": [1, 0], "CD20": [0, 1]}, index=["T", "B"])
CELLS = pd.DataFrame({"fov": "one", "instance_id": [1, 2, 3], "cell_type": ["T", "B", "T"]})


def table():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, (N, 2)).astype(np.int8)
    scores = np.clip(truth * 0.8 + rng.random((N, 2)) / 5, 0, 1).astype(np.float32)
    obs = pd.DataFrame(
        {
            "fov": pd.Categorical(rng.choice(["one", "two"], N)),
            "instance_id": np.arange(1, N + 1),
            "lineage": pd.Categorical(np.where(truth[:, 0], "T", "B")),
        },
        index=[f"cell{k}" for k in range(N)],
    )
    obs.loc[obs.index[:3], "fov"] = "one"
    layers = {
        "nimbus": scores,
        "gold": truth,
        "integrated": np.exp(4 * truth + rng.normal(size=(N, 2))),
    }
    return AnnData(obs=obs, var=pd.DataFrame(index=list(MATRIX)), layers=layers)


def silver(data):
    nimbus.pp.silver_labels(data, MATRIX, cell_type_key="lineage")
    return data.layers["silver"]


def silver_of_cells(data):
    nimbus.pp.silver_labels(data, MATRIX, cells=CELLS)
    return data.layers["silver"]


def gated(data):
    nimbus.pp.gated_labels(data, CELLS.assign(CD3_gt=[1, 0, 1]))
    return data.layers["silver"]


def gold(data):
    annotations = CELLS.assign(marker="CD3", label=[1, 0, 1], annotator="a")
    nimbus.pp.gold_labels(data, annotations, key_added="more")
    return data.layers["more"]


def mixture(data):
    nimbus.pp.mixture_labels(data, by="fov")
    return data.layers["silver"]


def typed(data):
    data.obs["cell_type"] = pd.Categorical(["T"] * N)  # there were types before
    nimbus.pp.cell_types(data, CELLS)
    return np.asarray(data.obs["cell_type"]).astype(str)


def annotated(data):
    nimbus.tl.annotate(data, MATRIX, groupby="fov")
    return data.obs["nimbus_cell_type_confidence"]


def called(data):
    nimbus.tl.calibrate(data, field_key="fov")
    nimbus.tl.call(data, threshold="nimbus_calibrated")
    return data.layers["nimbus_positive"]


def combined(data):
    nimbus.tl.cluster(
        data, restrict_to=("lineage", ["T"]), grid=(2, 2), n_metaclusters=2, key_added="t"
    )
    nimbus.tl.combine_clusters(data, key="t")
    return np.asarray(data.obs["t_combined"]).astype(str)


@pytest.mark.parametrize(
    "verb", [silver, silver_of_cells, gated, gold, mixture, typed, annotated, called, combined]
)
@pytest.mark.filterwarnings("ignore")
def test_a_lazy_table_gives_the_result_of_one_in_memory(verb, tmp_path):
    table().write_zarr(tmp_path / "table.zarr")
    lazy = anndata.experimental.read_lazy(tmp_path / "table.zarr")
    assert not isinstance(lazy.obs, pd.DataFrame), "proves nothing: it is in memory"
    expected = np.asarray(verb(table()))
    np.testing.assert_array_equal(np.asarray(verb(lazy)), expected)
    assert len(np.unique(expected)) > 1, "proves nothing: all cells are alike"
