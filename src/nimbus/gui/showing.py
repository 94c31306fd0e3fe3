"""Section of the page that changes how it looks: values, colours, layout, search."""

from __future__ import annotations

from html import escape
from typing import Any

from nimbus._types import FloatArray

from .controls import button, entered, html, pressed, radio, span, text
from .editing import Do
from .state import State
from .view import LAYOUTS, ZSCORE_LIMIT, ends_of

LAYOUT_NAMES = dict(zip(("By metacluster", "Dendrogram", "Grid", "Tree"), LAYOUTS, strict=True))


class Showing:
    """Controls of the view.

    Parameters
    ----------
    do
        Makes a step.
    means
        Of the nodes: their range is that of the colours.
    """

    def __init__(self, do: Do, means: FloatArray) -> None:
        self._do = do
        self._ends = ends_of(means)
        self._quiet = False
        self.zscore = radio({"Mean score": False, "Z-score": True}, "zscore")
        self.layout = radio(LAYOUT_NAMES, "layout")
        self.search = text("Search", "search", hint="node, name, marker", width=165)
        self.select_found = button("Select found", "select-found")
        self.found = html("found", width=300, height=18)
        self.limits = span("Colours", "limits", width=150)
        self.zscore.param.watch(lambda e: self._view(lambda v: v.with_zscore(e.new)), "value")
        self.layout.param.watch(lambda e: self._view(lambda v: v.with_layout(e.new)), "value")
        self.search.param.watch(lambda e: self._view(lambda v: v.with_search(e.new)), "value_input")
        entered(self.search, lambda: do(State.select_found))
        pressed(self.select_found, lambda: do(State.select_found))
        self.limits.param.watch(self._limited, "value")

    @property
    def looks(self) -> tuple[Any, ...]:
        """What changes how the heatmaps look."""
        return self.layout, self.zscore, self.limits

    @property
    def finding(self) -> tuple[Any, ...]:
        """What looks for a text."""
        return self.search, self.select_found

    def refresh(self, state: State) -> None:
        """Show a state."""
        self._quiet = True
        view = state.view
        start, end, step = limits_of(view.zscore, *self._ends)
        self.zscore.value, self.layout.value = view.zscore, view.layout
        self.limits.param.update(start=start, end=end, step=step, value=view.limits)
        if self.search.value_input != view.search:
            self.search.param.update(value=view.search, value_input=view.search)
        self.select_found.disabled = not state.found_nodes()
        self.found.object = _told(state)
        self._quiet = False

    def _limited(self, event: Any) -> None:
        low, high = event.new
        if low < high:
            self._view(lambda v: v.with_limits(low, high))

    def _view(self, change: Any) -> None:
        if not self._quiet:
            self._do(lambda s: s.shown(change(s.view)))


def limits_of(zscore: bool, low: float, high: float) -> tuple[float, float, float]:
    """Ends and step of the slider of colours: of z-scores, or of means from `low` to `high`.

    Examples
    --------
    >>> limits_of(True, 0.0, 1.0), limits_of(False, 0.0, 1.0), limits_of(False, 0.0, 200.0)
    ((-10.0, 10.0, 0.5), (0.0, 1.0, 0.01), (0.0, 200.0, 2.0))
    """
    if zscore:
        return -ZSCORE_LIMIT, ZSCORE_LIMIT, 0.5
    return low, high, (high - low) / 100


def _told(state: State) -> str:
    """How many nodes the search finds, and which markers."""
    if not state.view.search.strip():
        return ""
    nodes, markers = len(state.found_nodes()), state.found_markers()
    told = [f"{nodes} node{'s' * (nodes != 1)}"] + [escape(m) for m in markers[:2]]
    more = " …" if len(markers) > 2 else ""
    return f'<div class="faint" style="text-align: right">{", ".join(told)}{more}</div>'
