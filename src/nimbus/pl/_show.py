"""What all figures share: axes given or made, shown or returned, saved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.legend import Legend
from matplotlib.patches import Patch

AxesGiven: TypeAlias = Axes | Iterable[Axes] | None
"""One axes, a list or an array of them, or none."""

POSITIVE = "#D55E00"
"""Vermilion; with `NEGATIVE` it stays apart for every common colour blindness (Okabe and Ito)."""

NEGATIVE = "#0072B2"
"""Blue of the same palette."""

UNDEFINED = "#8C8C8C"
"""Cells without a value."""

BESIDE = 0.15
"""Room in inches beside a legend."""

TITLE = 0.3
"""Room above a panel in inches."""

LEGEND_ROWS = 20
"""Entries of a legend beneath each other."""

SAVE_DPI = 200
"""Dots per inch of saved pixels."""


def flat_axes(ax: AxesGiven, n_needed: int, *, what: str) -> list[Axes]:
    """The given axes as a list.

    Raises
    ------
    ValueError
        There are not exactly as many as the figure has panels.
    """
    axes = _listed(ax)
    if len(axes) != n_needed:
        raise ValueError(
            f"ax= holds {len(axes)} axes, but this figure has {n_needed} panels ({what}); pass "
            "as many, or leave ax out"
        )
    return axes


def finish(
    axes: Sequence[Axes], *, given: bool, show: bool | None, save: str | Path | None
) -> list[Axes] | None:
    """Save and show a figure as asked; the axes where it is not shown.

    Parameters
    ----------
    axes
        Panels, from left to right and top to bottom.
    given
        Whether the caller brought them.
    show
        ``None``: shown unless the caller brought the axes or wants a file.
    save
        File to write; the ending says of which kind.
    """
    if save is not None:
        figure = axes[0].get_figure(root=True)
        if figure is not None:
            figure.savefig(save, dpi=SAVE_DPI)
    if show or (show is None and not given and save is None):
        plt.show()
        return None
    return list(axes)


def legend_look(title: str, entries: Mapping[str, str]) -> dict[str, Any]:
    """Arguments of a legend of colours by name, in columns."""
    return {
        "handles": [Patch(color=color, label=name) for name, color in entries.items()],
        "title": title,
        "fontsize": "small",
        "handlelength": 1.0,
        "alignment": "left",
        "frameon": False,
        "ncols": -(-len(entries) // LEGEND_ROWS),
    }


def make_room(*legends: Legend, above: float = 0.0) -> None:
    """Make the figure wider by legends beside each other at its right, and as high.

    So the panels keep the size that the figure was made for; its layout places the legends.

    Parameters
    ----------
    legends
        From left to right.
    above
        Room above them in inches.
    """
    for legend in legends:
        figure = legend.get_figure(root=True)
        if figure is not None:
            box = legend.get_window_extent()
            width, height = figure.get_size_inches()
            figure.set_size_inches(
                width + box.width / figure.dpi + BESIDE,
                max(height, above + box.height / figure.dpi + BESIDE),
            )


def _listed(ax: AxesGiven) -> list[Axes]:
    if ax is None or isinstance(ax, Axes):
        return [] if ax is None else [ax]
    return [axes for row in ax for axes in _listed(row)]  # what plt.subplots gives has rows
