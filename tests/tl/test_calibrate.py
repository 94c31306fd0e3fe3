"""Calibration of tables: what is learned, stored, and refused."""

from __future__ import annotations

import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy.sparse import csr_matrix
from scipy.special import expit, logit
from spatialdata import SpatialData, read_zarr

import nimbus
from nimbus.metrics.calibration import expected_calibration_error
from nimbus.metrics.positivity import f1_at

MARKERS = ["CD3", "CD8", "HLA-DR (MHC II)/x"]
LINE = 0.8, -1.5
"""The probability of a cell: slope and intercept of its score's logit."""


def table_of_cells(n=1200, *, n_fields=4, seed=0, labelled=1.0, lines=(LINE, LINE, LINE)):
    """Scores that promise too much, with labels for a part of the cells."""
    rng = np.random.default_rng(seed)
    score = rng.beta(0.6, 0.8, (n, len(lines)))
    slope, intercept = np.array(lines).T
    probability = expit(slope * logit(score) + intercept)
    truth = (rng.random(score.shape) < probability).astype(np.int8)
    gold = np.where(rng.random(score.shape) < labelled, truth, -1).astype(np.int8)
    obs = pd.DataFrame(
        {"region": rng.integers(0, n_fields, n).astype(str)}, index=map(str, range(n))
    )
    layers = {"nimbus": score.astype(np.float32), "gold": gold, "truth": truth}
    return AnnData(
        np.zeros(score.shape),
        obs=obs.astype("category"),
        var=pd.DataFrame(index=MARKERS[: len(lines)]),
        layers=layers | {"probability": probability},
    )


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_probabilities_come_near_the_true_ones_and_the_error_falls(method):
    table = table_of_cells()
    report = nimbus.tl.calibrate(table, method=method)
    got, truth = table.layers["nimbus_calibrated"], table.layers["probability"]
    assert got.dtype == np.float32
    assert np.abs(table.layers["nimbus"] - truth).mean() > 0.15
    assert np.abs(got - truth).mean() < 0.04
    assert (report["ece_before"] > 0.15).all()
    assert (report["ece_after"] < 0.06).all()
    assert (report["brier_after"] < report["brier_before"]).all()
    assert table.uns["nimbus_calibrated"]["pooled"]["ece_after"] < 0.04


def test_the_error_after_is_of_fields_that_were_not_learned_from():
    # Field "1" is labelled the wrong way round: who learns from it looks better on it.
    table = table_of_cells(n_fields=2)
    odd = (table.obs["region"] == "1").to_numpy()
    table.layers["gold"][odd] = 1 - table.layers["gold"][odd]
    report = nimbus.tl.calibrate(table)
    got = table.layers["nimbus_calibrated"][:, 0]
    learned = expected_calibration_error(got, table.layers["gold"][:, 0])
    assert report["ece_after"][0] > learned + 0.1


def test_a_marker_without_labels_gets_the_pooled_curve_and_is_named():
    table = table_of_cells()
    table.layers["gold"][:, 1] = -1
    with pytest.warns(UserWarning, match="take the pooled curve: 'CD8'"):
        report = nimbus.tl.calibrate(table)
    pooled = table.uns["nimbus_calibrated"]["pooled"]
    assert report["n_labelled"].tolist() == [1200, 0, 1200]
    assert report["slope"][1] == pooled["slope"] != report["slope"][0]
    assert np.isnan(report["ece_before"][1])
    assert 0 < report["threshold"][1] < 1
    assert np.isfinite(table.layers["nimbus_calibrated"]).all()


def test_a_marker_with_few_labels_stays_near_the_pooled_curve():
    lines = [LINE, LINE, (0.8, 3.0)]
    slopes = {}
    for n_few in (12, 1200):
        table = table_of_cells(lines=lines)
        table.layers["gold"][n_few:, 2] = -1
        report = nimbus.tl.calibrate(table)
        slopes[n_few] = report["intercept"][2]
    assert slopes[1200] == pytest.approx(3.0, abs=0.4)
    assert -1.5 < slopes[12] < 1.0, "12 cells of 62 say little"


def test_a_marker_of_one_class_is_named_and_stays_finite():
    table = table_of_cells()
    table.layers["gold"][:, 2] = np.minimum(table.layers["gold"][:, 2], 0)
    with pytest.warns(UserWarning, match="one class alone.*'HLA-DR"):
        report = nimbus.tl.calibrate(table, recall=0.9)
    assert report["n_positive"][2] == 0
    assert np.isfinite(table.layers["nimbus_calibrated"]).all()
    assert table.layers["nimbus_calibrated"][:, 2].max() < 0.5


def test_nan_scores_and_undefined_labels_are_left_out():
    table = table_of_cells(labelled=0.5)
    rng = np.random.default_rng(1)
    lost = rng.random(table.n_obs) < 0.2
    kept = table[~lost].copy()
    table.layers["nimbus"][lost] = np.nan
    whole, part = nimbus.tl.calibrate(table), nimbus.tl.calibrate(kept)
    pd.testing.assert_frame_equal(whole, part)
    assert np.isnan(table.layers["nimbus_calibrated"][lost]).all()
    assert whole["n_labelled"][0] == (table.layers["gold"][~lost, 0] >= 0).sum()


def test_a_marker_without_scores_has_no_row_and_nan_in_var():
    table = table_of_cells()
    table.layers["nimbus"][:, 1] = np.nan
    report = nimbus.tl.calibrate(table)
    assert report["marker"].tolist() == [MARKERS[0], MARKERS[2]]
    columns = table.var[["nimbus_calibrated_threshold", "nimbus_calibrated_lower"]]
    assert columns.isna().to_numpy().tolist() == [[False] * 2, [True] * 2, [False] * 2]
    nimbus.tl.call(table, threshold="nimbus_calibrated")
    assert (table.layers["nimbus_positive"][:, 1] == -1).all()


def test_thresholds_do_better_on_fresh_cells_than_one_half():
    lines = [(1.0, 2.0), (1.0, 2.5), (1.5, 2.0)]  # the scores are too low, as on sparse images
    table, fresh = (table_of_cells(seed=s, labelled=0.2, lines=lines) for s in (0, 9))
    nimbus.tl.calibrate(table)
    fresh.var = table.var.copy()
    for k in range(3):
        score, truth = fresh.layers["nimbus"][:, k], fresh.layers["truth"][:, k]
        cut = table.var["nimbus_calibrated_threshold"].iloc[k]
        assert f1_at(score, truth, threshold=cut) > f1_at(score, truth) + 0.02


@pytest.mark.parametrize("aim", ["precision", "recall"])
def test_a_wanted_precision_or_recall_is_reached_on_the_true_labels(aim):
    table = table_of_cells(4000, labelled=0.3)
    report = nimbus.tl.calibrate(table, **{aim: 0.8})
    nimbus.tl.call(table, threshold="nimbus_calibrated")
    called = table.layers["nimbus_positive"] == 1
    truth = table.layers["truth"] == 1
    hits = (called & truth).sum(axis=0)
    got = hits / (called if aim == "precision" else truth).sum(axis=0)
    np.testing.assert_allclose(got, 0.8, atol=0.06)
    np.testing.assert_allclose(report[f"expected_{aim}"], 0.8, atol=0.01)
    assert table.uns["nimbus_calibrated"]["aim"] == f"{aim} 0.8"


def test_a_precision_that_cannot_be_had_calls_nobody_and_says_so():
    table = table_of_cells()
    with pytest.warns(UserWarning, match="no score reaches the precision 1; no cell is called"):
        nimbus.tl.calibrate(table, precision=1.0)
    assert (table.var["nimbus_calibrated_threshold"] == np.inf).all()
    nimbus.tl.call(table, threshold="nimbus_calibrated")
    assert (table.layers["nimbus_positive"] == 0).all()
    nimbus.tl.call(table, threshold=table.var["nimbus_calibrated_threshold"].to_dict())
    assert (table.layers["nimbus_positive"] == 0).all()


def test_a_marker_that_is_hardly_there_is_told():
    table = table_of_cells(lines=[LINE, LINE, (0.2, -4.0)])
    with pytest.warns(UserWarning, match="best F1 is expected below 0.5.*'HLA-DR"):
        nimbus.tl.calibrate(table)


def test_calls_outside_the_undecided_band_are_as_sure_as_wanted():
    table = table_of_cells(4000)
    nimbus.tl.calibrate(table, certainty=0.9)
    nimbus.tl.call(table, threshold="nimbus_calibrated", abstain=True, key_added="sure")
    nimbus.tl.call(table, threshold="nimbus_calibrated", key_added="all")
    sure, every = table.layers["sure"], table.layers["all"]
    assert 0.2 < (sure == -1).mean() < 0.8
    assert (sure == every)[sure != -1].all()
    probability = table.layers["nimbus_calibrated"]
    assert probability[sure == 1].min() >= 0.9 - 1e-6
    assert probability[sure == 0].max() <= 0.1 + 1e-6
    undecided = probability[sure == -1]
    assert undecided.min() > 0.1 - 1e-6
    assert undecided.max() < 0.9 + 1e-6


def test_the_errors_do_not_depend_on_the_order_of_rows():
    table = table_of_cells(400)
    turned = table[np.random.default_rng(0).permutation(400)].copy()
    one, other = nimbus.tl.calibrate(table), nimbus.tl.calibrate(turned)
    pd.testing.assert_frame_equal(one, other, atol=1e-5)


def test_a_single_field_is_told_and_cells_are_held_out_instead():
    table = table_of_cells(400, n_fields=1)
    with pytest.warns(UserWarning, match="no two fields"):
        report = nimbus.tl.calibrate(table)
    assert report["ece_after"].notna().all()
    assert table.uns["nimbus_calibrated"]["held_out"] == "cells"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pd.testing.assert_frame_equal(report, nimbus.tl.calibrate(table))


def test_labels_of_a_single_field_among_others_are_told_and_cells_are_held_out():
    table = table_of_cells(800)
    table.layers["gold"][(table.obs["region"] != "0").to_numpy()] = -1
    with pytest.warns(UserWarning, match="no two fields have labels"):
        report = nimbus.tl.calibrate(table)
    assert report[["ece_after", "brier_after"]].notna().all(axis=None)
    assert table.uns["nimbus_calibrated"]["held_out"] == "cells"


def test_labels_that_leave_the_other_fields_without_a_class_are_not_measured():
    table = table_of_cells(400, n_fields=2)
    first = (table.obs["region"] == "0").to_numpy()
    gold = table.layers["gold"]
    gold[~first] = np.where(gold[~first] == 1, -1, 0)
    with pytest.warns(UserWarning, match=f"{3 * first.sum()} labels have no part in the errors"):
        report = nimbus.tl.calibrate(table, recall=0.9)
    assert report["threshold"].notna().all()
    assert report["ece_after"].notna().all()
    score = table.layers["nimbus"]
    measured = [expected_calibration_error(score[~first, k], gold[~first, k]) for k in range(3)]
    assert abs(measured[0] - expected_calibration_error(score[:, 0], gold[:, 0])) > 0.05
    np.testing.assert_allclose(report["ece_before"], measured)


def test_a_column_can_name_the_fields():
    table = table_of_cells()
    table.obs["patient"] = np.where(table.obs["region"].isin(["0", "1"]), "p0", "p1")
    by_field, by_patient = (
        nimbus.tl.calibrate(table),
        nimbus.tl.calibrate(table, field_key="patient"),
    )
    assert (by_field["threshold"] == by_patient["threshold"]).all()
    assert (by_field["brier_after"] != by_patient["brier_after"]).all()


def with_gold(values):
    table = table_of_cells(40)
    table.layers["gold"][:] = values
    return table


def intensities():
    table = table_of_cells(40)
    table.layers["nimbus"] *= 1000
    return table


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        (with_gold(-1), {}, "labels no cell that has a score in 'nimbus'"),
        (with_gold(1), {}, "all 120 labels in layer 'gold' are positive"),
        (with_gold(0), {}, "all 120 labels in layer 'gold' are negative"),
        (intensities(), {}, "scores lie between 0 and 1, and intensities"),
        (table_of_cells(40), {"layer": "nimbos"}, "did you mean 'nimbus'"),
        (table_of_cells(40), {"truth_layer": "silver"}, "layer 'silver' does not exist"),
        (table_of_cells(40), {"field_key": "slide"}, "'slide' does not exist"),
        (table_of_cells(40), {"method": "beta"}, "method='beta' is not one of"),
        (table_of_cells(40), {"precision": 0.9, "recall": 0.9}, "not both"),
        (table_of_cells(40), {"recall": 1.5}, "recall=1.5"),
        (table_of_cells(40), {"certainty": 0.4}, "certainty=0.4"),
        (table_of_cells(40), {"shrinkage": 0}, "shrinkage=0"),
        (table_of_cells(40), {"n_folds": 1}, "n_folds=1"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(table, options, message):
    before = set(table.layers)
    with pytest.raises(ValueError, match=message):
        nimbus.tl.calibrate(table, **options)
    assert set(table.layers) == before
    assert not table.uns


def test_two_markers_of_one_name_are_refused():
    table = table_of_cells(40)
    table.var_names = ["CD3", "CD3", "CD8"]
    with pytest.raises(ValueError, match="twice: 'CD3'"):
        nimbus.tl.calibrate(table)


def test_sparse_labels_and_a_name_of_ones_own():
    table = table_of_cells()
    dense = nimbus.tl.calibrate(table)
    table.layers["gold"] = csr_matrix(table.layers["gold"])
    sparse = nimbus.tl.calibrate(table, key_added="mine")
    pd.testing.assert_frame_equal(dense, sparse)
    assert "mine" in table.layers
    assert "mine_threshold" in table.var


@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_what_is_stored_survives_writing_and_reading(kind, method, tmp_path):
    table = table_of_cells(300)
    nimbus.tl.calibrate(table, method=method, certainty=0.95)
    path = tmp_path / f"table.{kind}"
    getattr(table, f"write_{kind}")(path)
    again = getattr(ad, f"read_{kind}")(path)
    was, now = (t.uns["nimbus_calibrated"] for t in (table, again))
    assert set(was) == set(now)
    for name, value in was.items():
        if isinstance(value, pd.DataFrame):
            pd.testing.assert_frame_equal(value, now[name], check_dtype=False)
        else:
            assert value == now[name], name
    pd.testing.assert_frame_equal(table.var, again.var)
    for t in (table, again):
        nimbus.tl.call(t, threshold="nimbus_calibrated", abstain=True)
    np.testing.assert_array_equal(table.layers["nimbus_positive"], again.layers["nimbus_positive"])


def test_the_table_is_found_in_spatialdata(tmp_path):
    sdata = SpatialData(tables={"cells": table_of_cells(300)})
    nimbus.tl.calibrate(sdata, table_key="cells")
    sdata.write(tmp_path / "s.zarr")
    again = read_zarr(tmp_path / "s.zarr")
    assert again["cells"].uns["nimbus_calibrated"]["layer"] == "nimbus"
    nimbus.tl.call(again, table_key="cells", threshold="nimbus_calibrated")
