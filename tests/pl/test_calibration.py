"""The figure of a calibration, read back from its axes."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from matplotlib.colors import to_hex
from spatialdata import SpatialData

import nimbus
from nimbus.pl.calibration import AFTER, BEFORE


def calibrated_table(n=900, seed=0):
    rng = np.random.default_rng(seed)
    score = rng.random((n, 3))
    gold = (rng.random((n, 3)) < score**2).astype(np.int8)
    gold[:, 2] = -1
    obs = pd.DataFrame({"region": (np.arange(n) % 3).astype(str)}, index=map(str, range(n)))
    table = AnnData(np.zeros((n, 3)), obs=obs, layers={"nimbus": score, "gold": gold})
    table.var_names = ["CD3", "CD8", "CD20"]
    with pytest.warns(UserWarning, match="'CD20'"):
        nimbus.tl.calibrate(table)
    return table


def points(ax, color):
    [line] = [
        line
        for line in ax.get_lines()
        if line.get_marker() == "o" and to_hex(line.get_color()) == color.lower()
    ]
    return np.asarray(line.get_xdata()), np.asarray(line.get_ydata())


def test_there_is_a_panel_of_all_markers_and_one_of_each_that_has_labels():
    table = calibrated_table()
    axes = nimbus.pl.calibration(table, show=False)
    assert [ax.get_title().split(":")[0] for ax in axes] == ["all markers", "CD3", "CD8"]
    own = table.uns["nimbus_calibrated"]["markers"]
    first = own[own["marker"] == "CD3"].iloc[0]
    wanted = f"error {first['ece_before']:.3f} to {first['ece_after']:.3f}"
    assert wanted in axes[1].get_title()


def test_points_show_how_often_cells_of_a_score_are_positive():
    table = calibrated_table()
    [ax] = nimbus.pl.calibration(table, markers="CD3", show=False)
    score, gold = table.layers["nimbus"][:, 0], table.layers["gold"][:, 0]
    bins = (score * 10).astype(int)
    x, y = points(ax, BEFORE)
    np.testing.assert_allclose(x, [score[bins == b].mean() for b in range(10)], atol=1e-6)
    np.testing.assert_allclose(y, [gold[bins == b].mean() for b in range(10)], atol=1e-6)
    x, y = points(ax, AFTER)
    assert np.abs(x - y).mean() < 0.05, "held-out probabilities lie near the diagonal"


def test_the_histogram_beneath_counts_labelled_cells_by_class():
    table = calibrated_table()
    [ax] = nimbus.pl.calibration(table, markers=["CD8"], show=False)
    [beneath] = ax.child_axes
    heights = [patch.get_height() for patch in beneath.patches]
    score, gold = table.layers["nimbus"][:, 1], table.layers["gold"][:, 1]
    edges = np.linspace(0, 1, 11)
    np.testing.assert_array_equal(heights[:10], np.histogram(score[gold == 0], edges)[0])
    np.testing.assert_array_equal(heights[10:], np.histogram(score[gold == 1], edges)[0])


def test_an_infinite_threshold_and_an_isotonic_curve_are_drawn_without_complaint(tmp_path):
    table = calibrated_table()
    table.layers["gold"][:, 2] = table.layers["gold"][:, 1]
    with pytest.warns(UserWarning, match="no score reaches"):
        nimbus.tl.calibrate(table, method="isotonic", precision=1.0, certainty=0.99)
    nimbus.pl.calibration(table, save=tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


def test_it_is_drawn_from_what_was_read_back(tmp_path):
    table = calibrated_table()
    sdata = SpatialData(tables={"cells": table})
    sdata.write(tmp_path / "s.zarr")
    again = SpatialData.read(tmp_path / "s.zarr")
    one, other = (
        nimbus.pl.calibration(data, markers="CD3", table_key="cells", show=False)[0]
        for data in (sdata, again)
    )
    np.testing.assert_array_equal(points(one, BEFORE), points(other, BEFORE))


@pytest.mark.parametrize("markers", ["CD3", ["CD3", "CD8"], None])
def test_the_legend_is_whole_above_any_number_of_panels(markers):
    axes = nimbus.pl.calibration(calibrated_table(), markers=markers, show=False)
    figure = axes[0].figure
    [legend] = figure.legends
    box, title = legend.get_window_extent(), axes[0].title.get_window_extent()
    assert len(legend.get_texts()) == 6
    assert 0 <= box.x0 < box.x1 <= figure.bbox.x1
    assert title.y1 <= box.y0 < box.y1 <= figure.bbox.y1


def test_given_axes_are_drawn_into():
    _, pair = plt.subplots(1, 2)
    axes = nimbus.pl.calibration(calibrated_table(), markers=["CD3", "CD8"], ax=pair)
    assert axes == list(pair)


def test_what_is_not_there_is_refused_by_name():
    with pytest.raises(ValueError, match=r"run nimbus.tl.calibrate first.*there is none"):
        nimbus.pl.calibration(AnnData(np.zeros((2, 1))))
    with pytest.raises(ValueError, match="marker with labelled cells 'CD20' does not exist"):
        nimbus.pl.calibration(calibrated_table(), markers="CD20")
