"""How the page shows metaclusters: a plain value beside what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from nimbus._check import require_known
from nimbus._types import FloatArray

Layout: TypeAlias = Literal["metaclusters", "dendrogram", "grid", "tree"]
"""Nodes by metacluster, nodes along their dendrogram, nodes on the grid, nodes on a tree."""

LAYOUTS: tuple[Layout, ...] = ("metaclusters", "dendrogram", "grid", "tree")

ZSCORE_LIMIT = 10.0
"""Largest z-score that the colour range reaches, as on the published page."""

ZSCORE_RANGE = (-3.0, 3.0)
SCORE_RANGE = (0.0, 1.0)


@dataclass(frozen=True, slots=True)
class View:
    """What is shown, and how.

    Parameters
    ----------
    markers
        All markers, in the order they are shown if it was changed by hand.
    hidden
        Markers that are not shown.
    by_hand
        The order of the markers was changed; otherwise alike ones stand beside each other.
    layout
        Where the nodes stand.
    zscore
        Z-scores instead of mean scores.
    score_range, zscore_range
        Values of the first and the last colour, for each of both.
    search
        Text that is looked for.
    marker
        Marker of the histogram and of the colours on grid and tree; ``None`` of the latter shows
        metaclusters.
    field, channel
        Tissue beside it; ``None`` where there is none.
    all_cells
        Where nothing is selected, all cells are coloured.

    Examples
    --------
    >>> view = View.of(["CD3", "CD20", "CD8"])
    >>> view.moved("CD8", -1).hide(["CD3"]).shown_markers
    ('CD8', 'CD20')
    """

    markers: tuple[str, ...]
    hidden: frozenset[str] = frozenset()
    by_hand: bool = False
    layout: Layout = "metaclusters"
    zscore: bool = False
    score_range: tuple[float, float] = SCORE_RANGE
    zscore_range: tuple[float, float] = ZSCORE_RANGE
    search: str = ""
    marker: str = ""
    by_marker: bool = False
    field: str | None = None
    channel: str | None = None
    all_cells: bool = False

    @classmethod
    def of(cls, markers: Sequence[str]) -> View:
        """All markers in the order of the table."""
        if not markers:
            raise ValueError("there is no marker to show")
        return cls(tuple(markers), marker=markers[0])

    @property
    def shown_markers(self) -> tuple[str, ...]:
        """Markers that are shown, in the order of the table or of the hand."""
        return tuple(m for m in self.markers if m not in self.hidden)

    @property
    def as_points(self) -> bool:
        """Whether nodes are points, on the grid or on the tree, and not columns."""
        return self.layout in ("grid", "tree")

    @property
    def limits(self) -> tuple[float, float]:
        """Values of the first and of the last colour."""
        return self.zscore_range if self.zscore else self.score_range

    def with_limits(self, low: float, high: float) -> View:
        """Other values of the first and of the last colour."""
        if not low < high:
            raise ValueError(f"a range of colours rises, unlike {low:g} to {high:g}")
        if self.zscore:
            return replace(self, zscore_range=(low, high))
        return replace(self, score_range=(low, high))

    def with_zscore(self, zscore: bool) -> View:
        """Z-scores, or mean scores; each keeps its range of colours."""
        return replace(self, zscore=zscore)

    def with_layout(self, layout: str) -> View:
        """Another layout of the nodes."""
        require_known("layout", [layout], LAYOUTS)
        return replace(self, layout=next(one for one in LAYOUTS if one == layout))

    def with_search(self, text: str) -> View:
        """Look for a text."""
        return replace(self, search=text)

    def with_marker(self, marker: str) -> View:
        """Marker of the histogram."""
        require_known("marker", [marker], self.markers)
        return replace(self, marker=marker)

    def colored_by_marker(self, by_marker: bool) -> View:
        """Colours on grid and tree: the chosen marker, or metaclusters."""
        return replace(self, by_marker=by_marker)

    def with_tissue(self, field: str | None, channel: str | None) -> View:
        """Field and channel beside it."""
        return replace(self, field=field, channel=channel)

    def with_cells(self, all_cells: bool) -> View:
        """All cells, or the selected ones."""
        return replace(self, all_cells=all_cells)

    def hide(self, markers: Sequence[str]) -> View:
        """Hide these markers, and show all others; one has to stay."""
        require_known("marker", markers, self.markers)
        if len(set(markers)) == len(self.markers):
            raise ValueError("one marker has to stay")
        return replace(self, hidden=frozenset(markers))

    def ordered(self, markers: Sequence[str]) -> View:
        """Markers in this order, those that are left out behind."""
        require_known("marker", markers, self.markers)
        rest = [m for m in self.markers if m not in markers]
        return replace(self, markers=(*dict.fromkeys(markers), *rest), by_hand=True)

    def moved(self, marker: str, by: int) -> View:
        """A marker further up (negative) or down among those that are shown."""
        require_known("marker", [marker], self.shown_markers)
        shown = list(self.shown_markers)
        place = shown.index(marker)
        shown.insert(min(max(place + by, 0), len(shown) - 1), shown.pop(place))
        return self.ordered(shown)

    def by_likeness(self) -> View:
        """Alike markers beside each other again."""
        return replace(self, by_hand=False)


def ends_of(means: FloatArray) -> tuple[float, float]:
    """Values of the first and the last colour at first: 0 and 1 of scores, else the extremes.

    Examples
    --------
    >>> import numpy as np
    >>> ends_of(np.array([0.1, 0.9])), ends_of(np.array([3.0, 200.0])), ends_of(np.array([-2.0]))
    ((0.0, 1.0), (3.0, 200.0), (-2.0, -1.0))
    """
    low, high = float(means.min()), float(means.max())
    if low >= 0 and high <= 1:
        return SCORE_RANGE
    return low, high if low < high else low + 1
