"""What is seen of a cell: the cell and its neighbours, and where in the field that is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nimbus.gui.tissue import Window

from .crop import Microscope
from .cropplot import CropPlot, FieldPlot
from .intensity import Intensities
from .look import Look
from .state import State


@dataclass(frozen=True, slots=True)
class Seen:
    """A cell in its field, the marker, and the channel over it, if there is one."""

    cell: int
    field: str
    marker: str
    second: str | None


class Eyepiece:
    """Figures of the cell that is judged.

    Parameters
    ----------
    microscope
        Looks at cells.
    side
        Side of the crop at first, in units of the coordinate system.
    on_cell
        Called with the row of a cell that was clicked.
    say
        Told where the cell cannot be seen.
    later
        Calls a function after some milliseconds, once, however often it is asked.
    """

    def __init__(
        self,
        microscope: Microscope,
        side: float,
        *,
        on_cell: Callable[[int], object],
        say: Callable[[str], None],
        later: Callable[[Callable[[], None]], None],
    ) -> None:
        self._microscope, self._side = microscope, side
        self._on_cell, self._say = on_cell, say
        self._intensities = Intensities(microscope)
        self._seen: Seen | None = None
        self.crop = CropPlot(on_place=self._clicked, on_window=lambda: later(self._moved))
        self.field = FieldPlot(on_place=self._clicked)

    def draw(self, state: State, look: Look) -> Look:
        """Show the cell of a state; gives the look with the limits that were taken for it."""
        before, self._seen = self._seen, self._aim(state, look)
        if self._seen is None:
            self.crop.clear()
            return look
        field, marker = self._seen.field, self._seen.marker
        if marker not in look.limits:
            look = look.with_limits(marker, *self._intensities.limits(field, marker))
        if self._seen != before:
            self._go_to(self._seen, before)
        self._limit(self._seen, look.limits[marker])
        self.crop.show_outlines(look.outlines)
        self.field.mark(self.crop.view.window)
        return look

    def brightest(self, marker: str) -> float:
        """The largest intensity seen so far."""
        return self._intensities.largest(marker)

    def _aim(self, state: State, look: Look) -> Seen | None:
        if state.cell is None:
            return None
        field = self._microscope.field(state.cell)
        there = self._microscope.tissue.channels(field)
        over = look.second in there and look.second != state.marker  # not the marker on itself
        second = look.second if over else None
        return Seen(state.cell, field, state.marker, second)

    def _go_to(self, seen: Seen, before: Seen | None) -> None:
        """Read a cell and the overview of its field; move where it is another cell or field."""
        if before is None or before.cell != seen.cell:
            self.crop.view.look_at(self._window(seen.cell))
        self._read(seen)
        values, extent = self._intensities.overview(seen.field, seen.marker)
        self.field.view.show(values, extent)
        if before is None or before.field != seen.field:
            self.field.view.look_at(extent)

    def _window(self, cell: int) -> Window:
        """Around the cell, as large as what was looked at before."""
        left, right, *_ = self.crop.view.window
        side = self._side if self.crop.view.picture.empty else right - left
        return self._microscope.around(cell, side)

    def _read(self, seen: Seen) -> None:
        crop = self._microscope.crop(seen.cell, seen.marker, seen.second, self.crop.view.window)
        self.crop.show(crop)
        self._intensities.saw(seen.marker, crop.values)
        if not crop.own[0]:
            self._say(
                f"cell {int(self._microscope.ids[seen.cell])} is not in the labels that are "
                "seen; zoom out, or skip it"
            )

    def _limit(self, seen: Seen, limits: tuple[float, float]) -> None:
        """Set what is black and what is white."""
        over = seen.second and self._intensities.limits(seen.field, seen.second)
        self.crop.limit(*limits, second=over or None)
        self.field.view.mapper.update(low=limits[0], high=limits[1])

    def _moved(self) -> None:
        if self._seen is not None:
            self._read(self._seen)
            self.field.mark(self.crop.view.window)

    def _clicked(self, x: float, y: float) -> None:
        if self._seen is not None:
            row = self._microscope.tissue.node_at(self._seen.field, x, y)
            if row >= 0:
                self._on_cell(row)
