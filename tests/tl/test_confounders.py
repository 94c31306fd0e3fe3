"""What covariates tell of errors."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import mutual_info_score

import nimbus
from nimbus.metrics.information import quantile_bins
from support.judged import MARKERS, judged_table


def confounded(n=1500):
    """Small cells get scores at random; nothing else matters."""
    table = judged_table(n, n_fields=8)
    rng = np.random.default_rng(5)
    clean = 0.2 + 0.6 * table.layers["truth"]
    small = table.obs["area"].to_numpy()[:, None] < 70
    table.layers["nimbus"] = np.where(small, rng.random(table.shape), clean)
    return table


def confounders(table, **more):
    return nimbus.tl.confounders(table, **{"pixel_size": 1.0, "n_permutations": 200, **more})


def test_the_planted_confounder_is_found_and_no_other():
    found = confounders(confounded())
    whole = found[found["marker"] == "all markers"].set_index("covariate")
    assert whole["mutual_information"].idxmax() == "cell_size"
    size = whole.loc["cell_size"]
    assert size["p_value"] == pytest.approx(1 / 201)
    assert size["explained"] > 0.2
    assert size["error_rate_q1"] > 0.3 > 0.01 > size["error_rate_q4"]
    others = whole.drop(index="cell_size")
    assert (others["explained"] < 0.01).all()
    assert (others["p_value"] > 0.05).all()


def test_numbers_are_those_of_the_table_of_cells():
    table = confounded(400)
    found = confounders(table, n_bins=6).set_index(["marker", "covariate"])
    cells = nimbus.tl.covariates(table, pixel_size=1.0)
    for marker in ("all markers", *MARKERS):
        own = cells if marker == "all markers" else cells[cells["marker"] == marker]
        row = found.loc[(marker, "density")]
        assert (row["n_cells"], row["n_errors"]) == (len(own), own["wrong"].sum())
        assert row["error_rate"] == pytest.approx(own["wrong"].mean())
        bins = quantile_bins(own["density"].to_numpy(), 6)
        assert row["mutual_information"] == pytest.approx(mutual_info_score(bins, own["wrong"]))
        quarter = quantile_bins(own["density"].to_numpy(), 4)
        assert row["error_rate_q2"] == pytest.approx(own["wrong"][quarter == 1].mean())


def test_a_covariate_of_whole_fields_is_permuted_with_whole_fields():
    # Errors in one of four fields: 300 cells, but a single proof.
    table = judged_table(1200, n_fields=4)
    table = table[:, ["CD3"]].copy()
    in_first = (table.obs["fov"] == "f0").to_numpy()[:, None]
    truth = table.layers["truth"]
    table.layers["gold"] = truth
    table.layers["nimbus"] = np.where(in_first, 1.0 - truth, truth).astype(float)
    table.obs["per_cell"] = np.random.default_rng(0).permutation(table.n_obs)
    row = confounders(table, covariates="rarity").iloc[0]
    assert row["mutual_information"] > 0.5
    assert row["p_value"] > 0.2


def test_cells_are_permuted_with_all_their_markers():
    # A cell that is wrong for one marker is wrong for all: three rows, but a single proof.
    p_values = []
    for seed in range(60):
        table = judged_table(90, n_fields=2, seed=seed)
        rng = np.random.default_rng(1000 + seed)
        truth = table.layers["gold"] = table.layers["truth"]
        table.layers["nimbus"] = np.abs(truth - (rng.random((90, 1)) < 0.3)).astype(float)
        row = confounders(table, covariates="density", n_permutations=99).iloc[0]
        p_values.append(row["p_value"])
    assert (np.array(p_values) <= 0.05).mean() < 0.15, "single pairs would give more than half"


def test_names_of_cells_that_come_twice_change_nothing(tmp_path):
    """As they do where tables of fields were put together; also where the table is lazy."""
    table, other = confounded(400), confounded(400)
    other.obs_names = [str(k % 50) for k in range(400)]
    pd.testing.assert_frame_equal(confounders(table), confounders(other))
    table.write_zarr(tmp_path / "table.zarr")
    lazy = anndata.experimental.read_lazy(tmp_path / "table.zarr")
    pd.testing.assert_frame_equal(confounders(table), confounders(lazy))


def test_one_seed_gives_one_table_and_the_measure_itself_does_not_depend_on_it():
    table = confounded(300)
    first, second, other = (confounders(table, random_state=s) for s in (0, 0, 1))
    pd.testing.assert_frame_equal(first, second)
    assert (first["null_mean"] != other["null_mean"]).any()
    pd.testing.assert_series_equal(first["mutual_information"], other["mutual_information"])


def test_scores_without_errors_leave_nothing_to_explain():
    table = confounded(300)
    table.layers["nimbus"] = table.layers["truth"].astype(float)
    found = confounders(table)
    assert (found["n_errors"] == 0).all()
    assert (found["mutual_information"] == 0).all()
    assert found["explained"].isna().all()


def test_cells_without_the_covariate_are_left_out():
    table = confounded(300)
    table.obs["half"] = np.where(np.arange(300) < 150, np.nan, np.arange(300.0))
    row = confounders(table, covariates="half").iloc[0]
    assert row["n_cells"] == (table.layers["gold"][150:] >= 0).sum()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_bins": 1}, "n_bins must be at least 2"),
        ({"n_permutations": 0}, "n_permutations must be at least 1"),
        ({"markers": "CD9"}, "marker 'CD9'"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        confounders(judged_table(), **options)
