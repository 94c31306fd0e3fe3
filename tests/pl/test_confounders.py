"""What the figure of confounders shows."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import QuadMesh

import nimbus
from support.judged import MARKERS, judged_table


def measured(**more) -> pd.DataFrame:
    wanted = {"pixel_size": 1.0, "n_permutations": 50, **more}
    return nimbus.tl.confounders(judged_table(), **wanted)


def mesh(ax):
    [drawn] = [child for child in ax.get_children() if isinstance(child, QuadMesh)]
    return np.ma.filled(drawn.get_array(), np.nan)


def test_the_panels_share_rows_sorted_by_information():
    table = measured()
    axes = nimbus.pl.confounders(table, show=False)
    whole = table[table["marker"] == "all markers"].sort_values(
        "mutual_information", ascending=False
    )
    names = [label.get_text() for label in axes[0].get_yticklabels()]
    assert names == [name.replace("_", " ") for name in whole["covariate"]]
    widths = [bar.get_width() for bar in axes[0].patches]
    np.testing.assert_allclose(widths, whole["mutual_information"])
    [chance] = axes[0].collections
    np.testing.assert_allclose(
        [segment[0, 0] for segment in chance.get_segments()], whole["null_high"]
    )
    quarters = whole[[f"error_rate_q{k}" for k in (1, 2, 3, 4)]].to_numpy()
    np.testing.assert_array_equal(mesh(axes[1]), quarters)
    assert f"{100 * quarters[0, 0]:.1f}%" in [text.get_text() for text in axes[1].texts]
    wide = table.pivot(index="covariate", columns="marker", values="explained")
    expected = wide.loc[whole["covariate"], list(MARKERS)]
    np.testing.assert_array_equal(mesh(axes[2]), expected)


def test_dots_mark_what_is_above_chance():
    table = measured()
    table["null_high"] = 1.0
    above = (table["marker"] == "CD8") & (table["covariate"] == "density")
    table.loc[above, "null_high"] = -1.0
    axes = nimbus.pl.confounders(table, show=False)
    [dots] = axes[2].lines
    names = [label.get_text() for label in axes[0].get_yticklabels()]
    assert dots.get_xydata().tolist() == [[MARKERS.index("CD8"), names.index("density")]]


def test_many_markers_and_long_names_leave_nothing_outside_the_figure():
    single = measured(markers="CD3", covariates="density")
    single["covariate"] = "a_covariate_of_a_very_long_name"
    rows = [single[:1], *(single[1:].assign(marker=f"m{k}") for k in range(60))]
    axes = nimbus.pl.confounders(pd.concat(rows), show=False)
    figure = axes[0].figure
    figure.draw_without_rendering()
    assert axes[0].get_yticklabels()[0].get_window_extent().x0 >= 0
    [bar] = axes[2].child_axes
    assert bar.get_tightbbox().x1 <= figure.bbox.x1


def test_a_single_marker_needs_no_third_panel():
    assert len(nimbus.pl.confounders(measured(markers="CD3"), show=False)) == 2


def test_quarters_without_cells_and_tables_without_errors_are_drawn():
    table = measured()
    table.loc[0, "error_rate_q2"] = np.nan
    nimbus.pl.confounders(table, show=False)
    perfect = nimbus.tl.confounders(
        judged_table(), layer="truth", pixel_size=1.0, n_permutations=20
    )
    axes = nimbus.pl.confounders(perfect, show=False)
    assert np.isnan(mesh(axes[2])).all()


def test_given_axes_are_drawn_into_and_files_written(tmp_path):
    figure, three = plt.subplots(1, 3)
    axes = nimbus.pl.confounders(measured(), ax=three)
    assert {ax.figure for ax in axes} == {figure}
    with pytest.raises(ValueError, match="3 axes, but this figure has 2 panels"):
        nimbus.pl.confounders(measured(markers="CD3"), ax=three)
    nimbus.pl.confounders(measured(), save=tmp_path / "c.pdf")
    assert (tmp_path / "c.pdf").read_bytes().startswith(b"%PDF")


def test_another_table_is_refused():
    with pytest.raises(ValueError, match="nimbus.tl.confounders returns"):
        nimbus.pl.confounders(pd.DataFrame({"marker": ["CD3"]}))
    table = measured()
    with pytest.raises(ValueError, match="rows of 'all markers'"):
        nimbus.pl.confounders(table[table["marker"] != "all markers"])
