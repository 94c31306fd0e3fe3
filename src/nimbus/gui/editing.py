"""Section of the page that edits: move, new, rename, colour, undo, redo, cut again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import panel as pn

from nimbus._types import IntArray

from .controls import button, entered, html, integer, pressed, radio, select, text
from .notice import Notice
from .state import State
from .style import FIELDS, counted

Step: TypeAlias = Callable[[State], State]
Do: TypeAlias = Callable[[Step], bool]
"""Makes a step and shows the state after it, or why it cannot be made; tells which."""


class Editing:
    """Controls that change metaclusters.

    Parameters
    ----------
    do
        Makes a step.
    recut
        Finds another number of metaclusters.
    counts
        Cells of each node.
    """

    def __init__(self, do: Do, recut: Callable[[int], None], counts: IntArray) -> None:
        self._do, self._recut, self._counts = do, recut, counts
        self._state: State | None = None
        self._quiet = False
        self._selected: frozenset[int] = frozenset()
        self._pointed: int | None = None
        self._shown: tuple[int, str, str] | None = None
        self.undo, self.redo = button("↶ Undo", "undo"), button("↷ Redo", "redo")
        self.clear = button("Clear", "clear")
        self.target = select("Move selection to", "target", width=165)
        self.move = button("Move", "move", primary=True)
        self.new_name = text("New from selection", "new-name", hint="name (optional)", width=150)
        self.new = button("Create", "new", primary=True)
        self.click = radio({"Click selects": "select", "Click moves here": "move"}, "click")
        self.who = select("Metacluster", "who", width=165)
        self.name = text("Name", "name", width=170)
        self.color = pn.widgets.ColorPicker(
            label="Colour", width=52, margin=(3, 3), stylesheets=[FIELDS], css_classes=["color"]
        )
        self.rename = button("Rename", "rename", primary=True)
        self.problem = Notice("problem")
        most = max(1, int((counts > 0).sum()))
        self.number = integer("Metaclusters", "number", width=82, end=most)
        self.recut = button("Cut again", "recut")
        self.chosen = html("chosen", width=190, align="end")
        self._wire()

    @property
    def steps(self) -> tuple[Any, ...]:
        """What changes the selection and where it goes."""
        back = self.undo, self.redo
        selection = self.chosen, self.clear, self.target, self.move
        return *back, *selection, self.new_name, self.new, self.click

    @property
    def cutting(self) -> tuple[Any, ...]:
        """What finds another number of metaclusters."""
        return self.number, self.recut

    @property
    def naming(self) -> tuple[Any, ...]:
        """What names and colours a metacluster."""
        return self.who, self.name, self.rename, self.color, self.problem.root

    def follow(self, state: State) -> None:
        """Point at the metacluster of a new selection, as soon as it is made.

        It is shown later, with all else; what a person chooses until then stays.
        """
        if state.touched and state.selected != self._selected:
            self._pointed = state.touched[0]
        self._selected = state.selected

    def refresh(self, state: State) -> None:
        """Show a state; none of it is an edit."""
        before, self._state = self._state, state
        self._quiet = True
        self.undo.disabled = not state.clusters.done
        self.redo.disabled = not state.clusters.undone
        for one in (self.move, self.new, self.clear):
            one.disabled = not state.selected
        self.chosen.object = self._told(state)
        self.click.value = state.click
        if before is None or before.clusters.now != state.clusters.now:
            options = {name: number for number, name in state.clusters.names.items()}
            for one in (self.target, self.who):
                kept = (
                    one.value if one.value in state.clusters.names else next(iter(options.values()))
                )
                one.param.update(options=options, value=kept)
            self.number.value = len(options)
            self._show_name()
        if self._pointed in state.clusters.names:
            self.who.value = self._pointed
        self._pointed = None
        self._quiet = False

    def _told(self, state: State) -> str:
        if not state.selected:
            return '<span class="faint">Nothing is selected: click on columns or cells.</span>'
        cells = int(self._counts[sorted(state.selected)].sum())
        share = cells / max(1, int(self._counts.sum()))
        nodes = counted(len(state.selected), "node")
        return f"<b>{nodes}</b>, {counted(cells, 'cell')} ({share:.1%}) selected"

    def _wire(self) -> None:
        do = self._do
        pressed(self.undo, lambda: do(State.undo))
        pressed(self.redo, lambda: do(State.redo))
        pressed(self.clear, lambda: do(State.clear))
        pressed(self.move, lambda: do(lambda s: s.move(self.target.value)))
        pressed(self.new, self._create)
        pressed(self.rename, self._rename)
        entered(self.name, self._rename)
        entered(self.new_name, self._create)
        self.name.param.watch(lambda event: self._check(event.new), "value_input")
        self.who.param.watch(lambda _: self._choose(), "value")
        self.click.param.watch(
            lambda e: None if self._quiet else do(lambda s: s.clicking(e.new)), "value"
        )
        self.color.param.watch(self._recolor, "value")
        pressed(self.recut, lambda: self._recut(self.number.value or 0))  # an empty field is None

    def _create(self) -> None:
        name = (self.new_name.value_input or "").strip()
        if self._do(lambda s: s.new(name or None)):
            self.new_name.param.update(value="", value_input="")

    def _rename(self) -> None:
        name = (self.name.value_input or "").strip()
        if self._check(name):
            self._do(lambda s: s.rename(self.who.value, name))

    def _check(self, name: str) -> bool:
        """Whether a name can be given; tells at once, beside the field, why it cannot."""
        told = (
            "" if self._state is None else self._state.problem_of_name(self.who.value, name.strip())
        )
        self.problem.say(told)
        self.rename.disabled = bool(told)
        return not told

    def _choose(self) -> None:
        if not self._quiet:
            self._pointed = None
        self._show_name()

    def _show_name(self) -> None:
        """Show name and colour of the chosen metacluster; what is typed stays until they change."""
        if self._state is None or self.who.value not in self._state.clusters.names:
            return
        number, clusters = self.who.value, self._state.clusters
        shown = number, clusters.names[number], clusters.colors[number]
        if shown != self._shown:
            self._shown = shown
            self.name.param.update(value=shown[1], value_input=shown[1])
            self.color.value = shown[2]
        self._check(self.name.value_input)

    def _recolor(self, event: Any) -> None:
        if (
            not self._quiet
            and self._state is not None
            and self.who.value in self._state.clusters.names
        ):
            self._do(lambda s: s.recolor(self.who.value, event.new))
