"""Measures of groups against scikit-learn, and their intervals."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)
from spatialdata import SpatialData

import nimbus
from support.judged import MARKERS, judged_table

RATES = ("precision", "recall", "specificity", "f1", "accuracy")


def known(table, marker, layer="nimbus"):
    """Truth and values of the cells of known truth."""
    gold = table[:, marker].layers["gold"].ravel()
    values = np.asarray(table[:, marker].layers[layer]).ravel()
    return gold[gold >= 0], values[gold >= 0]


def slow_rates(truth, called):
    return {
        "precision": precision_score(truth, called),
        "recall": recall_score(truth, called),
        "specificity": recall_score(1 - truth, ~called),
        "f1": f1_score(truth, called),
        "accuracy": accuracy_score(truth, called),
    }


def slow_f1(truth, called):
    """As scikit-learn has it, which takes a millisecond for each call."""
    return 2 * (called & (truth == 1)).sum() / (called.sum() + (truth == 1).sum())


def evaluate(table, **more):
    return nimbus.tl.evaluate(table, **{"n_boot": 0, **more})


class TestMeasures:
    def test_each_marker_has_the_measures_of_scikit_learn(self):
        table = judged_table()
        metrics = evaluate(table).set_index("marker")
        assert list(metrics.index) == list(MARKERS)
        for marker in MARKERS:
            truth, score = known(table, marker)
            row = metrics.loc[marker]
            expected = slow_rates(truth, score >= 0.5) | {
                "auroc": roc_auc_score(truth, score),
                "average_precision": average_precision_score(truth, score),
                "n_cells": truth.size,
                "n_positive": int(truth.sum()),
            }
            assert row[list(expected)].to_dict() == pytest.approx(expected)

    def test_a_score_at_the_threshold_is_called_positive(self):
        table = judged_table()
        table.layers["nimbus"][table.layers["nimbus"] > 0.5] = 0.5
        metrics = evaluate(table).set_index("marker")
        for marker in MARKERS:
            truth, score = known(table, marker)
            assert metrics.loc[marker, "recall"] == recall_score(truth, score >= 0.5) > 0

    def test_rates_at_the_best_threshold_are_those_of_the_largest_f1(self):
        table = judged_table()
        metrics = evaluate(table).set_index("marker")
        for marker in MARKERS:
            truth, score = known(table, marker)
            f1 = {t: slow_f1(truth, score >= t) for t in np.unique(score)}
            best = max(f1, key=lambda t: (f1[t], t))
            row = metrics.loc[marker]
            assert row["best_threshold"] == best
            expected = slow_rates(truth, score >= best)
            assert {name: row[f"best_{name}"] for name in RATES} == pytest.approx(expected)

    def test_the_baseline_is_measured_at_its_own_best_threshold(self):
        table = judged_table()
        metrics = evaluate(table).set_index("marker")
        alone = evaluate(table, layer="integrated").set_index("marker")
        assert not any(name.startswith("baseline") for name in alone.columns)
        for name in ("auroc", "average_precision", "best_threshold", "best_f1", "best_recall"):
            np.testing.assert_array_equal(metrics[f"baseline_{name}"], alone[name])
        np.testing.assert_allclose(metrics["f1_gain"], metrics["f1"] - alone["best_f1"])
        np.testing.assert_allclose(metrics["auroc_gain"], metrics["auroc"] - alone["auroc"])
        assert "baseline_f1" not in metrics, "0.5 means nothing for an intensity"

    def test_silver_labels_can_be_compared_with_gold(self):
        table = judged_table()
        silver = table.layers["truth"].copy()
        silver[::7] = 1 - silver[::7]
        silver[::5, 0] = -1
        table.layers["silver"] = silver
        row = evaluate(table, layer="silver", baseline_layer=None).set_index("marker").loc["CD3"]
        gold, label = known(table, "CD3", "silver")
        truth, called = gold[label >= 0], label[label >= 0] == 1
        expected = slow_rates(truth, called)
        assert {name: row[name] for name in RATES} == pytest.approx(expected)
        assert row["n_missing"] == (label == -1).sum() > 0

    def test_thresholds_may_differ_between_markers(self):
        table = judged_table()
        metrics = evaluate(table, threshold={"CD8": 0.3}).set_index("marker")
        assert metrics["threshold"].to_dict() == {"CD3": 0.5, "CD8": 0.3, "CD20": 0.5}
        truth, score = known(table, "CD8")
        assert metrics.loc["CD8", "recall"] == recall_score(truth, score >= 0.3)

    def test_a_threshold_means_the_same_as_in_call(self):
        table = judged_table()
        table.layers["nimbus"][:, 0] = np.float32(0.7)  # below 0.7 as a double
        nimbus.tl.call(table, threshold=0.7)
        metrics = evaluate(table, threshold=0.7).set_index("marker")
        assert (table.layers["nimbus_positive"][:, 0] == 0).all()
        assert metrics.loc["CD3", "recall"] == 0

    def test_thresholds_of_a_calibration_are_taken_by_its_key(self):
        table = judged_table()
        nimbus.tl.calibrate(table)
        own = table.var["nimbus_calibrated_threshold"]
        metrics = evaluate(table, threshold="nimbus_calibrated").set_index("marker")
        np.testing.assert_array_equal(metrics["threshold"], own[list(MARKERS)])
        assert (metrics["threshold"] != 0.5).all()
        with pytest.raises(ValueError, match="'nimbus_calibrated'"):
            evaluate(table, threshold="nimbus_calibrate")


class TestLeftOut:
    def test_unknown_truth_and_missing_scores_count_for_nothing(self):
        table, fewer = judged_table(), judged_table()
        table.layers["nimbus"][:40] = np.nan
        fewer.layers["gold"][:40] = -1
        first, second = evaluate(table), evaluate(fewer)
        missing = (judged_table().layers["gold"][:40] >= 0).sum(axis=0)
        assert first["n_missing"].tolist() == missing.tolist()
        columns = [name for name in first.columns if name != "n_missing"]
        pd.testing.assert_frame_equal(first[columns], second[columns])

    def test_cells_without_the_baseline_are_left_out_of_both(self):
        table, fewer = judged_table(), judged_table()
        table.layers["integrated"][:40] = np.nan
        fewer.layers["gold"][:40] = -1
        columns = ["auroc", "f1", "baseline_auroc", "n_cells"]
        pd.testing.assert_frame_equal(evaluate(table)[columns], evaluate(fewer)[columns])
        assert evaluate(table, baseline_layer=None)["n_missing"].sum() == 0

    def test_markers_nobody_judged_have_no_row(self):
        table = judged_table()
        table.layers["gold"][:, 1] = -1
        assert evaluate(table)["marker"].tolist() == ["CD3", "CD20"]

    @pytest.mark.parametrize("value", [0, 1])
    def test_one_class_gives_nan_and_no_error(self, value):
        table = judged_table()
        table.layers["gold"][:, 1] = value
        row = evaluate(table, n_boot=20).set_index("marker").loc["CD8"]
        assert np.isnan(
            [row["auroc"], row["auroc_low"], row["baseline_auroc"], row["auroc_gain"]]
        ).all()
        assert np.isnan(row["best_f1"]) == (value == 0)
        assert np.isnan(row["specificity"]) == (value == 1)

    def test_a_truth_that_is_nowhere_known_is_refused(self):
        table = judged_table()
        table.layers["gold"][:] = -1
        with pytest.raises(ValueError, match="'gold' holds neither 0 nor 1"):
            evaluate(table)


class TestGroups:
    def test_columns_of_obs_split_the_cells(self):
        table = judged_table()
        metrics = evaluate(table, by=("dataset", "marker"))
        keys = list(zip(metrics["dataset"], metrics["marker"], strict=True))
        assert keys == [(d, m) for d in ("large", "small") for m in MARKERS]
        part = table[table.obs["dataset"] == "small"].copy()
        alone = evaluate(part)
        columns = [name for name in alone.columns if name != "n_fields"]
        pd.testing.assert_frame_equal(
            metrics[metrics["dataset"] == "small"][columns].reset_index(drop=True), alone[columns]
        )
        assert metrics["n_fields"].tolist() == [4, 4, 4, 2, 2, 2]

    def test_the_first_name_is_the_slowest(self):
        metrics = evaluate(judged_table(), by=("marker", "cell_type"))
        assert list(metrics.columns[:2]) == ["marker", "cell_type"]
        assert metrics["cell_type"].tolist() == ["B", "M", "T"] * 3

    def test_without_the_marker_all_are_pooled(self):
        table = judged_table()
        metrics = evaluate(table, by="dataset").set_index("dataset")
        rows = (table.obs["dataset"] == "small").to_numpy()
        gold = table.layers["gold"][rows]
        score = table.layers["nimbus"][rows][gold >= 0]
        truth = gold[gold >= 0]
        assert metrics.loc["small", "f1"] == pytest.approx(f1_score(truth, score >= 0.5))
        assert metrics.loc["small", "auroc"] == pytest.approx(roc_auc_score(truth, score))

    def test_pooled_intensities_are_relative_to_each_markers_brightest_cells(self):
        table = judged_table()
        row = evaluate(table, by="dataset").set_index("dataset").loc["small"]
        rows = (table.obs["dataset"] == "small").to_numpy()
        gold = table.layers["gold"][rows]
        top = np.quantile(table.layers["integrated"].astype(float), 0.999, axis=0)
        relative = (table.layers["integrated"][rows] / top)[gold >= 0]
        expected = roc_auc_score(gold[gold >= 0], relative)
        plain = roc_auc_score(gold[gold >= 0], table.layers["integrated"][rows][gold >= 0])
        assert row["baseline_auroc"] == pytest.approx(expected)
        assert expected - plain > 0.05, "proves nothing: brightness of markers is no matter"

    def test_cells_without_a_value_belong_to_no_group(self):
        table = judged_table()
        table.obs.loc[table.obs_names[:60], "cell_type"] = None
        n_cells = evaluate(table, by="cell_type")["n_cells"].sum()
        assert n_cells == (table.layers["gold"][60:] >= 0).sum()

    def test_only_the_wanted_markers_are_measured(self):
        table = judged_table()
        assert evaluate(table, markers="CD8")["marker"].tolist() == ["CD8"]
        assert evaluate(table, markers=["CD20", "CD3"])["marker"].tolist() == ["CD20", "CD3"]


class TestAverages:
    def test_the_paper_pools_within_data_sets_and_averages_over_them(self):
        metrics = evaluate(judged_table(), by=("dataset",), macro_average=True)
        assert metrics["dataset"].tolist() == ["large", "small", "macro average"]
        for name in ("f1", "precision", "auroc", "baseline_best_f1", "f1_gain"):
            assert metrics[name][2] == pytest.approx(metrics[name][:2].mean())
        assert metrics["n_cells"][2] == metrics["n_cells"][:2].sum()
        assert metrics["n_fields"][2] == 6

    def test_data_sets_count_alike_however_many_markers_they_have(self):
        table = judged_table()
        table.layers["gold"][(table.obs["dataset"] == "small").to_numpy(), 1:] = -1
        metrics = evaluate(table, by=("dataset", "marker"), macro_average=True)
        single = metrics[:4]
        means = single.groupby("dataset")["f1"].mean()
        assert metrics["dataset"].tolist()[4:] == ["large", "small", "macro average"]
        assert metrics["marker"].tolist()[4:] == ["macro average"] * 3
        assert metrics["f1"].tolist()[4:] == pytest.approx([*means, means.mean()])
        assert means.mean() != pytest.approx(single["f1"].mean()), "proves nothing"

    def test_a_group_without_the_measure_does_not_count(self):
        table = judged_table()
        table.layers["gold"][:, 1] = 0
        metrics = evaluate(table, macro_average=True)
        assert metrics["auroc"][3] == pytest.approx(metrics["auroc"][[0, 2]].mean())


class TestIntervals:
    def test_they_hold_the_measure_and_come_from_resampled_fields(self):
        table = judged_table()
        row = evaluate(table, n_boot=400, random_state=3).set_index("marker").loc["CD3"]
        fields = table.obs["fov"].cat.codes.to_numpy()
        gold = table.layers["gold"][:, 0]
        score = table.layers["nimbus"][:, 0]
        rng, slow = np.random.default_rng(8), []
        for _ in range(400):
            drawn = [np.flatnonzero((fields == f) & (gold >= 0)) for f in rng.integers(0, 6, 6)]
            cells = np.concatenate(drawn)
            slow.append(slow_f1(gold[cells], score[cells] >= 0.5))
        low, high = np.quantile(slow, [0.025, 0.975])
        assert row["f1_low"] == pytest.approx(low, abs=0.03)
        assert row["f1_high"] == pytest.approx(high, abs=0.03)
        assert row["f1_low"] < row["f1"] < row["f1_high"]

    def test_fields_that_nobody_judged_are_not_drawn(self):
        table = judged_table(600, n_fields=12)
        judged = table.obs["fov"].isin(["f1", "f4", "f7"]).to_numpy()
        table.layers["gold"][~judged] = -1
        whole, part = (evaluate(one, n_boot=50) for one in (table, table[judged].copy()))
        pd.testing.assert_frame_equal(whole, part)

    def test_the_gain_is_paired(self):
        # In good fields both measurements are good: their difference hardly varies.
        rng = np.random.default_rng(0)
        table = judged_table(2000, n_fields=20)
        noise = np.linspace(0.05, 0.6, 20)[table.obs["fov"].cat.codes.to_numpy()][:, None]
        table.layers["nimbus"] = (
            0.3 + 0.4 * table.layers["truth"] + noise * rng.normal(size=table.shape)
        )
        table.layers["integrated"] = table.layers["nimbus"] + 0.02 * rng.normal(size=table.shape)
        row = evaluate(table, by="dataset", n_boot=300).iloc[0]
        width = {n: row[f"{n}_high"] - row[f"{n}_low"] for n in ("auroc", "auroc_gain")}
        assert width["auroc_gain"] < width["auroc"] / 4

    def test_one_seed_gives_one_table(self):
        table = judged_table()
        first, second, other = (evaluate(table, n_boot=50, random_state=s) for s in (1, 1, 2))
        pd.testing.assert_frame_equal(first, second)
        assert (first["f1_low"] != other["f1_low"]).any()
        assert (first["f1"] == other["f1"]).all()

    def test_one_field_gives_no_interval(self):
        metrics = evaluate(judged_table(), by=("fov", "marker"), n_boot=20)
        assert (metrics["n_fields"] == 1).all()
        assert metrics["f1_low"].isna().all()

    def test_without_a_column_of_fields_there_is_a_warning_and_no_interval(self):
        table = judged_table()
        del table.obs["fov"]
        with pytest.warns(UserWarning, match=r"pass field_key= \(--field-key\)"):
            metrics = evaluate(table, n_boot=20)
        assert metrics["f1_high"].isna().all()
        assert evaluate(table, n_boot=20, field_key="cell_type")["f1_high"].notna().all()

    def test_without_resamples_there_are_no_columns_of_intervals(self):
        assert not [n for n in evaluate(judged_table()).columns if n.endswith(("_low", "_high"))]

    def test_the_labels_of_a_cell_are_its_field(self):
        sdata = nimbus.datasets.tissue(
            shape=(96, 96), n_fovs=3, markers=["CD3"], n_cells=30, random_state=0
        )
        metrics = evaluate(sdata, layer="truth", truth_layer="truth", n_boot=10)
        assert metrics["n_fields"].tolist() == [3]


class TestInput:
    def test_spatialdata_serves_as_well_as_its_table(self):
        table = judged_table()
        sdata = SpatialData(tables={"cells": table})
        pd.testing.assert_frame_equal(evaluate(sdata, table_key="cells"), evaluate(table))

    def test_the_table_is_not_changed(self):
        table, before = judged_table(), judged_table()
        evaluate(table, by=("cell_type", "marker"), n_boot=5)
        for name, values in before.layers.items():
            np.testing.assert_array_equal(table.layers[name], values)
        pd.testing.assert_frame_equal(table.obs, before.obs)
        assert list(table.uns) == []

    def test_sparse_layers_and_boolean_truth_serve(self):
        table, other = judged_table(), judged_table()
        other.layers["integrated"] = csr_matrix(other.layers["integrated"])
        for one in (table, other):
            one.layers["gold"] = one.layers["truth"]
        other.layers["gold"] = other.layers["truth"].astype(bool)
        pd.testing.assert_frame_equal(evaluate(table), evaluate(other))

    def test_a_table_that_is_read_lazily_serves_as_well(self, tmp_path):
        table = judged_table()
        table.write_zarr(tmp_path / "table.zarr")
        lazy = anndata.experimental.read_lazy(tmp_path / "table.zarr")
        for by in (("marker",), ("fov", "marker")):
            pd.testing.assert_frame_equal(evaluate(lazy, by=by), evaluate(table, by=by))

    def test_markers_that_come_twice_are_refused(self):
        with pytest.raises(ValueError, match="markers must differ; these come twice: 'CD3'"):
            evaluate(judged_table(), markers=["CD3", "CD3"])
        table = judged_table()
        table.var_names = [MARKERS[0], *MARKERS[:-1]]
        with pytest.raises(ValueError, match="markers of the table must differ"):
            evaluate(table)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"layer": "nimbu"}, "did you mean 'nimbus'"),
            ({"truth_layer": "silver"}, "layer 'silver' does not exist"),
            ({"baseline_layer": "mean"}, "layer 'mean' does not exist"),
            ({"by": ("tissue",)}, "by 'tissue' does not exist"),
            ({"by": ("marker", "marker")}, "names a column twice"),
            ({"markers": ["CD9"]}, "marker 'CD9'"),
            ({"threshold": {"CD9": 0.5}}, "marker 'CD9'"),
            ({"field_key": "slide"}, "column of obs 'slide'"),
            ({"n_boot": -1}, "n_boot is a number of resamples"),
            ({"confidence": 95}, "confidence is a part between 0 and 1"),
        ],
    )
    def test_what_cannot_be_is_refused(self, options, message):
        with pytest.raises(ValueError, match=message):
            evaluate(judged_table(), **options)
