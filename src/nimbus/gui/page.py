"""The page: charts and controls around one state; it holds no logic of clusters."""

from __future__ import annotations

from typing import Any

import panel as pn

from .charts import Charts
from .desk import Desk
from .editing import Editing, Step
from .exporting import export_buttons
from .heading import Heading
from .keys import keys
from .markerpanel import MarkerPanel
from .notice import Notice
from .rightclick import right_clicks
from .sheets import card, sheet, top_bar
from .showing import Showing
from .state import State
from .style import WRAPPED, counted
from .ticks import Ticks
from .tissuepanel import TissuePanel
from .window import present

STEPS = {"undo": State.undo, "redo": State.redo, "clear": State.clear}
"""What keys do."""


class Page:
    """One person's view of a desk.

    Parameters
    ----------
    desk
        What all pages of the clustering share.
    """

    def __init__(self, desk: Desk) -> None:
        self.desk, self.state = desk, desk.state
        self.ticks = Ticks()
        facts = desk.facts
        self.charts = Charts(
            facts,
            on_node=self._on_node,
            on_metacluster=self._on_metacluster,
            on_nodes=self._on_nodes,
        )
        self.editing = Editing(self.do, self._recut, facts.nodes.counts)
        self.showing = Showing(self.do, facts.nodes.means[facts.nodes.counts > 0])
        self.markers = MarkerPanel(self.do, facts.histograms, facts.nodes.markers)
        self.tissue: TissuePanel | None = None
        if facts.tissue is not None and facts.tissue.fields:
            self.tissue = TissuePanel(self.do, facts.tissue, facts.cells, self.ticks.later)
        exports = export_buttons(lambda: self.state.clusters, key=facts.title)
        self.heading, self.notice = Heading("Metaclusters", exports), Notice("message")

    def do(self, step: Step) -> bool:
        """Make a step and show what became of it; one that cannot be made says why."""
        state = self.notice.tried(lambda: step(self._now()))
        if state is None:
            return False
        self.state = state  # before the others are told of it
        self.desk.commit(state)
        self._take(state)
        return True

    def _now(self) -> State:
        """The state with what another window may just have edited, though it is not shown yet."""
        return self.state.with_clusters(self.desk.state.clusters)

    def refresh(self) -> None:
        """Show the state."""
        state = self.state
        self.charts.refresh(state)
        self.editing.refresh(state)
        self.showing.refresh(state)
        self.markers.refresh(state, self.charts.markers)
        if self.tissue is not None:
            self.tissue.refresh(state)
        self._refresh_status()

    def on_key(self, key: str) -> None:
        """What a key does."""
        self.do(STEPS[key])

    def _take(self, state: State) -> None:
        """Show another state soon: several steps at once are shown once."""
        self.notice.say("")
        self.state = state
        self.editing.follow(state)
        self.ticks.once(self.refresh)

    def take_over(self) -> None:
        """Take metaclusters that another page made, and the status."""
        if self.desk.state.clusters is not self.state.clusters:
            self._take(self.state.with_clusters(self.desk.state.clusters))
        self._refresh_status()

    def _refresh_status(self) -> None:
        facts = self.desk.facts
        nodes = counted(int((facts.nodes.counts > 0).sum()), "node")
        groups = counted(len(self.state.clusters.names), "metacluster")
        cells = counted(int(facts.nodes.counts.sum()), "cell")
        what = f"{facts.title} · {nodes} in {groups} · {cells}"
        self.heading.tell(what, self.desk.saving.status)

    def _on_node(self, node: int, row: int, held: bool) -> None:
        if held:
            self.do(lambda s: self._at(s.select_to(node, order=self.charts.order), row))
        else:
            self.do(lambda s: self._at(s.toggle(node), row))

    def _on_nodes(self, nodes: list[int]) -> None:
        self.do(lambda s: s.select(nodes, add=True))

    def _on_metacluster(self, metacluster: int, row: int, _held: bool) -> None:
        self.do(lambda s: self._at(s.click_metacluster(metacluster), row))

    def _at(self, state: State, row: int) -> State:
        """The histogram of the marker that was clicked."""
        if not 0 <= row < len(self.charts.markers):
            return state
        return state.shown(state.view.with_marker(self.charts.markers[row]))

    def on_right_click(self, x: float) -> None:
        """Move the selection into the metacluster at a place of the right heatmap."""
        block = self.charts.groups.block
        metacluster = None if block is None else block.column_at(x)
        if metacluster is not None:
            self.do(lambda s: s.move(metacluster))

    def _recut(self, n_metaclusters: int) -> None:
        cut = self.notice.tried(lambda: self.desk.recut(self._now(), n_metaclusters))
        if cut is not None:
            self._take(cut)


def build(desk: Desk) -> Any:
    """A page of a desk, as a Panel layout for a notebook or a server."""
    page = Page(desk)
    return present(page, _layout(page))


def _layout(page: Page) -> Any:
    return sheet(
        top_bar(
            page.heading.root,
            pn.FlexBox(
                *page.editing.steps, *page.showing.finding, align_items="flex-end", margin=0
            ),
            pn.Row(page.notice.root, page.showing.found, margin=0, sizing_mode="stretch_width"),
        ),
        pn.Row(
            _charts(page),
            _side(page),
            sizing_mode="stretch_width",
            margin=0,
            stylesheets=[WRAPPED],
        ),
        keys(page.on_key),
        right_clicks(page.charts.groups.figures.all, page.on_right_click),
    )


def _charts(page: Page) -> Any:
    """Heatmaps, above them how they are shown, below them the name of a metacluster.

    As wide as they need to be at the least; where that leaves no room, the tissue stands below.
    """
    looks = [*page.showing.looks, *page.editing.cutting]
    return card(
        pn.FlexBox(*looks, align_items="flex-end"),
        page.charts.root,
        pn.Row(*page.editing.naming, margin=0),
        margin=(0, 10, 0, 0),
        styles={"flex": "1 1 0", "min-width": "min-content"},
    )


def _side(page: Page) -> Any:
    """The tissue, if there is one, and the markers."""
    tissue = [] if page.tissue is None else [page.tissue.root]
    return card(*tissue, page.markers.root, width=520)
