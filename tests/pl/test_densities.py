"""What the figure of scores against intensities shows."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from anndata import AnnData
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_rgb
from spatialdata import SpatialData

import nimbus
from nimbus.metrics.positivity import auroc
from nimbus.pl._show import NEGATIVE, POSITIVE


def table_of_cells(n=200) -> AnnData:
    rng = np.random.default_rng(1)
    truth = (rng.random((n, 3)) < [0.3, 0.5, 0.0]).astype(np.int8)
    score = np.clip(rng.normal(0.2 + 0.6 * truth, 0.1), 0, 1)
    intensity = rng.lognormal(2 + truth, 0.8)
    layers = {"nimbus": score, "integrated": intensity, "truth": truth}
    table = AnnData(intensity.astype(np.float32), layers=layers)
    table.var_names = ["CD3", "CD8", "CD20"]
    return table


def mesh(ax) -> np.ndarray:
    """Drawn colours, axes (y, x, rgb)."""
    [drawn] = [child for child in ax.get_children() if isinstance(child, QuadMesh)]
    return np.asarray(drawn.get_array())


def test_each_marker_has_a_panel_with_its_name_and_axes():
    axes = nimbus.pl.densities(table_of_cells(), show=False)
    assert [ax.get_title() for ax in axes] == ["CD3", "CD8", "CD20"]
    assert {(ax.get_xlabel(), ax.get_ylabel()) for ax in axes} == {("mean intensity", "score")}
    assert axes[0].get_ylim() == (0, 1)


def test_positive_and_negative_cells_lie_where_they_scored():
    table = table_of_cells(4)
    table.layers["nimbus"][:, 0] = [0.05, 0.05, 0.95, 0.95]
    table.layers["integrated"][:, 0] = [0.0, 10.0, 0.0, 10.0]
    table.layers["truth"][:, 0] = [0, 0, 1, 1]
    [ax] = nimbus.pl.densities(
        table, markers="CD3", truth_layer="truth", n_bins=4, xscale="linear", show=False
    )
    colors = mesh(ax)
    np.testing.assert_allclose(colors[0, [0, 3]], [to_rgb(NEGATIVE)] * 2)
    np.testing.assert_allclose(colors[3, [0, 3]], [to_rgb(POSITIVE)] * 2)
    assert (colors[1:3] == 1).all(), "paper where there is no cell"


def test_the_title_tells_the_auroc_of_score_and_intensity():
    table = table_of_cells()
    axes = nimbus.pl.densities(table, truth_layer="truth", show=False)
    truth = table.layers["truth"][:, 0]
    score, intensity = (auroc(table.layers[k][:, 0], truth) for k in ("nimbus", "integrated"))
    assert score != intensity
    assert f"score {score:.3f}, intensity {intensity:.3f}" in axes[0].get_title()
    assert axes[2].get_title() == "CD20\nno cells positive"


def test_cells_with_nan_or_undefined_truth_change_nothing():
    table = table_of_cells()
    more = table_of_cells()
    more.layers["nimbus"][:50] = np.nan
    more.layers["truth"][50:100] = -1
    more.layers["integrated"][100:110] = np.inf
    [with_nan] = nimbus.pl.densities(more, markers="CD3", truth_layer="truth", show=False)
    [without] = nimbus.pl.densities(
        table[110:].copy(), markers="CD3", truth_layer="truth", show=False
    )
    np.testing.assert_array_equal(mesh(with_nan), mesh(without))


def test_undefined_labels_are_no_value_of_a_layer():
    table = table_of_cells()
    labels = table.layers["truth"].copy()
    labels[:50] = -1
    table.layers["silver"] = labels
    [with_undefined] = nimbus.pl.densities(table, layer="silver", markers="CD3", show=False)
    [without] = nimbus.pl.densities(table[50:].copy(), layer="silver", markers="CD3", show=False)
    assert with_undefined.get_ylim() == (0, 1)
    np.testing.assert_array_equal(mesh(with_undefined), mesh(without))


def test_a_marker_that_nobody_judged_is_not_said_to_be_negative():
    table = table_of_cells()
    table.layers["truth"][:, 0] = -1
    titles = [ax.get_title() for ax in nimbus.pl.densities(table, truth_layer="truth", show=False)]
    assert titles[0] == "CD3\nno cell has a score and a truth"
    assert titles[2] == "CD20\nno cells positive", "all of its cells were judged"


def test_markers_without_a_score_are_left_out():
    table = table_of_cells()
    table.layers["nimbus"][:, 1] = np.nan
    axes = nimbus.pl.densities(table, show=False)
    assert [ax.get_title() for ax in axes] == ["CD3", "CD20"]
    table.layers["nimbus"][:] = np.nan
    with pytest.raises(ValueError, match="no score of any marker"):
        nimbus.pl.densities(table, show=False)


def test_unknown_names_are_told_with_what_there_is():
    with pytest.raises(ValueError, match="layer 'nimbu' does not exist; did you mean 'nimbus'"):
        nimbus.pl.densities(table_of_cells(), layer="nimbu")
    with pytest.raises(ValueError, match="layer 'gold'"):
        nimbus.pl.densities(table_of_cells(), truth_layer="gold")
    with pytest.raises(ValueError, match="marker 'CD9'"):
        nimbus.pl.densities(table_of_cells(), markers=["CD9"])
    with pytest.raises(ValueError, match="xscale='log'"):
        nimbus.pl.densities(table_of_cells(), xscale="log")


def test_the_table_is_found_in_spatialdata():
    sdata = SpatialData(tables={"cells": table_of_cells()})
    axes = nimbus.pl.densities(sdata, table_key="cells", markers=["CD8"], show=False)
    assert axes[0].get_title() == "CD8"


def test_given_axes_are_drawn_into():
    figure, pair = plt.subplots(1, 2)
    axes = nimbus.pl.densities(table_of_cells(), markers=["CD3", "CD8"], ax=pair)
    assert [ax.figure for ax in axes] == [figure, figure]
    with pytest.raises(ValueError, match="2 axes, but this figure has 3 panels"):
        nimbus.pl.densities(table_of_cells(), ax=pair)


def test_show_decides_what_comes_back(monkeypatch, tmp_path):
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(True))
    table = table_of_cells()
    assert nimbus.pl.densities(table) is None
    assert shown == [True]
    assert nimbus.pl.densities(table, save=tmp_path / "d.png") is not None
    assert shown == [True], "who wants a file is not shown a window"
    assert (tmp_path / "d.png").read_bytes().startswith(b"\x89PNG")
    assert nimbus.pl.densities(table, save=tmp_path / "d.pdf", show=True) is None
    assert shown == [True, True]


def test_a_layer_that_is_sparse_is_drawn_like_a_dense_one():
    from scipy.sparse import csr_matrix

    table = table_of_cells()
    dense = mesh(nimbus.pl.densities(table, markers="CD3", show=False)[0])
    table.layers["integrated"] = csr_matrix(table.layers["integrated"])
    np.testing.assert_array_equal(
        mesh(nimbus.pl.densities(table, markers="CD3", show=False)[0]), dense
    )
