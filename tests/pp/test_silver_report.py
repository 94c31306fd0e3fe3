from __future__ import annotations

import numpy as np
import pytest
from anndata import AnnData

import nimbus


def table():
    """Good labels, labels of which a third are of cells without signal, and random ones."""
    rng = np.random.default_rng(0)
    labels = np.tile(np.repeat([1, 0, -1], [60, 200, 40])[:, None], (1, 4)).astype(np.int8)
    values = rng.lognormal(0, 0.3, labels.shape)
    values[:60] *= 20
    values[:20, 1] = 0.01
    values[:, 2] = rng.lognormal(0, 1, 300)
    labels[5:60, 3] = -1
    values[:7, 0] = np.nan
    adata = AnnData(np.zeros(values.shape), layers={"silver": labels, "integrated": values})
    adata.var_names = ["good", "third", "random", "rare"]
    return adata


def test_it_counts_by_hand_and_names_the_suspicious_markers():
    report = nimbus.pp.silver_report(table()).set_index("marker")
    counted = report[["n_positive", "n_negative", "n_undefined"]]
    assert counted.loc["good"].tolist() == [53, 200, 40]
    assert counted.loc["rare"].tolist() == [5, 200, 95]
    assert report.loc["third", "without_signal"] == pytest.approx(20 / 60)
    assert report.loc["good", ["auroc", "without_signal", "with_signal"]].tolist() == [1, 0, 0]
    assert report.loc["random", "without_signal"] == pytest.approx(0.5, abs=0.2)
    assert report["suspicious"].tolist() == [False, True, True, True]
    assert report["why"].tolist() == [
        "",
        "labels do not follow the intensity; positives without signal"
        if report.loc["third", "auroc"] < 0.8
        else "positives without signal",
        "labels do not follow the intensity; positives without signal",
        "fewer than 20 positives or negatives",
    ]


def test_the_area_is_the_share_of_ordered_pairs():
    adata = table()
    values, labels = adata.layers["integrated"][:, 2], adata.layers["silver"][:, 2]
    pairs = values[labels == 1][:, None] > values[labels == 0]
    found = nimbus.pp.silver_report(adata, markers="random")["auroc"].item()
    assert found == pytest.approx(pairs.mean())


def test_a_marker_without_labels_has_no_measures():
    adata = table()
    adata.layers["silver"][:, 0] = -1
    row = nimbus.pp.silver_report(adata, markers=["good"]).iloc[0]
    assert np.isnan([row["auroc"], row["without_signal"]]).all()
    assert row["suspicious"]


def test_an_unknown_layer_is_refused():
    with pytest.raises(ValueError, match="did you mean 'silver'"):
        nimbus.pp.silver_report(table(), layer="silber")
