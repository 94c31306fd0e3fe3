"""What the figure of measures shows."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

import nimbus
from nimbus.pl.metrics import BASELINE, SCORE
from support.judged import judged_table


def evaluated(**more) -> pd.DataFrame:
    return nimbus.tl.evaluate(judged_table(), **{"n_boot": 30, **more})


def points(ax, color):
    """Places (x, y) of the points of a colour, from top to bottom."""
    [line] = [own for own in ax.lines if to_hex(own.get_color()) == color.lower()]
    return line.get_xdata(), line.get_ydata()


def names(ax) -> list[str]:
    return [label.get_text() for label in ax.get_yticklabels()]


def test_each_measure_has_a_panel_and_each_group_a_point():
    table = evaluated()
    axes = nimbus.pl.metrics(table, show=False)
    assert [ax.get_title() for ax in axes] == ["F1", "AUROC", "average precision"]
    order = table.sort_values("f1", ascending=False)
    assert names(axes[0]) == order["marker"].tolist()
    for ax, measure in zip(axes, ("f1", "auroc", "average_precision"), strict=True):
        x, y = points(ax, SCORE)
        np.testing.assert_array_equal(x, order[measure])
        assert (np.diff(y) > 0).all()
        assert ax.get_ylim()[0] > ax.get_ylim()[1], "the first group stands on top"


def test_beside_f1_stands_the_best_f1_of_the_baseline():
    table = evaluated().sort_values("f1", ascending=False)
    axes = nimbus.pl.metrics(table, measures=["f1", "auroc"], show=False)
    np.testing.assert_array_equal(points(axes[0], BASELINE)[0], table["baseline_best_f1"])
    np.testing.assert_array_equal(points(axes[1], BASELINE)[0], table["baseline_auroc"])
    assert "best threshold" in axes[0].get_xlabel()


def test_intervals_are_drawn_where_there_are_some():
    table = evaluated().sort_values("auroc", ascending=False)
    [ax] = nimbus.pl.metrics(table, measures="auroc", show=False)
    drawn = np.concatenate([lines.get_segments() for lines in ax.collections])[:, :, 0]
    expected = table[["auroc_low", "auroc_high"]].to_numpy()
    assert all((np.isclose(drawn, ends).all(axis=1)).any() for ends in expected)
    assert ax.get_xlim()[0] <= expected.min()
    nimbus.pl.metrics(evaluated(n_boot=0), show=False)


def test_gains_are_drawn_to_both_sides_of_0():
    table = evaluated()
    for end, shift in (("", 0.0), ("_low", -0.02), ("_high", 0.02)):
        table[f"f1_gain{end}"] = np.array([0.06, -0.2, 0.0]) + shift
    axes = nimbus.pl.metrics(table, measures=["f1_gain", "auroc", "n_cells"], show=False)
    left, right = axes[0].get_xlim()
    assert left < -0.22
    assert 0.08 < right < 0.2, "a small gain is seen"
    assert axes[1].get_xlim()[1] == 1, "parts of a whole end at 1"
    assert axes[2].get_xlim()[0] == 0
    assert axes[2].get_xlim()[1] > table["n_cells"].max()


def test_averages_stand_below_in_either_order():
    table = evaluated(by=("dataset", "marker"), macro_average=True)
    for sort in (True, False):
        axes = nimbus.pl.metrics(table, measures="auroc", sort=sort, show=False)
        assert names(axes[0])[6:] == ["mean of large", "mean of small", "mean"]
    assert names(axes[0])[:2] == ["large, CD3", "large, CD8"], "unsorted: as in the table"


def test_a_measure_that_is_nan_has_no_point_and_its_group_stands_last():
    table = evaluated()
    table.loc[0, ["auroc", "auroc_low", "auroc_high"]] = np.nan
    [ax] = nimbus.pl.metrics(table, measures="auroc", show=False)
    assert names(ax)[-1] == table["marker"][0]
    assert np.isnan(points(ax, SCORE)[0][-1])


def test_the_legend_names_what_is_compared():
    axes = nimbus.pl.metrics(evaluated(), names=("nimbus", "integrated"), show=False)
    [legend] = axes[0].figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["nimbus", "integrated"]
    axes = nimbus.pl.metrics(evaluated(baseline_layer=None), show=False)
    assert axes[0].figure.legends == []


def test_given_axes_are_drawn_into_and_files_written(tmp_path):
    figure, pair = plt.subplots(1, 2)
    axes = nimbus.pl.metrics(evaluated(), measures=["f1", "auroc"], ax=pair)
    assert [ax.figure for ax in axes] == [figure, figure]
    with pytest.raises(ValueError, match="2 axes, but this figure has 3 panels"):
        nimbus.pl.metrics(evaluated(), ax=pair)
    nimbus.pl.metrics(evaluated(), save=tmp_path / "m.png")
    assert (tmp_path / "m.png").read_bytes().startswith(b"\x89PNG")


def test_another_table_is_refused_with_what_it_holds():
    with pytest.raises(ValueError, match="nimbus.tl.evaluate returns"):
        nimbus.pl.metrics(pd.DataFrame({"marker": ["CD3"]}))
    with pytest.raises(ValueError, match="nimbus.tl.evaluate returns"):
        nimbus.pl.metrics(evaluated()[:0])
    with pytest.raises(ValueError, match="did you mean 'auroc'"):
        nimbus.pl.metrics(evaluated(), measures="aurocc")
