"""Figures of the page: the cell and its neighbours, and where in the field that is."""

from __future__ import annotations

from collections.abc import Callable

from bokeh.models import ColumnDataSource, LinearColorMapper

from nimbus.gui.tissue import Window
from nimbus.gui.viewport import Picture, Viewport

from .crop import Crop, Lines

CROP_SIDE, FIELD_SIDE = 606, 296
"""Pixels of the frames."""

OWN, OTHERS = "#ffd43b", "#5fd3e6"
"""Of outlines."""

SECOND_COLORS = [f"#2b6cff{int(200 * (k / 255) ** 0.9):02x}" for k in range(256)]
"""Of the second channel: blue, transparent where it is dark."""


class CropPlot:
    """The marker in grey, a second channel in blue over it, and outlines.

    Parameters
    ----------
    on_place
        Called with the place (x, y) that was clicked.
    on_window
        Called when a person moves or zooms.
    """

    def __init__(
        self, *, on_place: Callable[[float, float], None], on_window: Callable[[], None]
    ) -> None:
        self.view = Viewport("crop-plot", side=CROP_SIDE, on_place=on_place, on_window=on_window)
        self.root = self.view.root
        self._second = Picture()
        self._second_mapper = LinearColorMapper(palette=SECOND_COLORS, low=0, high=1)
        self.root.image(**self._second.drawn_by, color_mapper=self._second_mapper)
        self.others, self.own = (ColumnDataSource({"xs": [], "ys": []}) for _ in range(2))
        dark = {"line_color": "#000000", "line_alpha": 0.55}
        self._lines = [
            self.root.multi_line("xs", "ys", source=source, **style)
            for source, style in (
                (self.others, {"line_width": 2.4, **dark}),
                (self.others, {"line_width": 1.0, "line_color": OTHERS, "line_alpha": 0.8}),
                (self.own, {"line_width": 4.6, **dark}),
                (self.own, {"line_width": 2.4, "line_color": OWN}),
            )
        ]

    def show(self, crop: Crop) -> None:
        """Show what was read."""
        self.view.show(crop.values, crop.extent)
        if crop.second is None:
            self._second.clear()
        else:
            self._second.show(crop.second, crop.extent)
        self._outline(crop.others, crop.own)

    def show_outlines(self, shown: bool) -> None:
        """Show or hide the outlines of the neighbours; that of the cell stays."""
        for line in self._lines[:2]:
            line.visible = shown
        self._lines[2].visible = shown
        self._lines[3].glyph.line_alpha = 1.0 if shown else 0.35

    def limit(self, low: float, high: float, *, second: tuple[float, float] | None) -> None:
        """Intensities that are drawn black and white."""
        self.view.mapper.update(low=low, high=high)
        if second is not None:
            self._second_mapper.update(low=second[0], high=second[1])

    def clear(self) -> None:
        """Show nothing."""
        self.view.clear()
        self._second.clear()
        self._outline(([], []), ([], []))

    def _outline(self, others: Lines, own: Lines) -> None:
        for source, lines in ((self.others, others), (self.own, own)):
            source.data = dict(zip(("xs", "ys"), lines, strict=True))


class FieldPlot:
    """The whole field, and where the crop is.

    Parameters
    ----------
    on_place
        Called with the place (x, y) that was clicked.
    """

    def __init__(self, *, on_place: Callable[[float, float], None]) -> None:
        self.view = Viewport(
            "field-plot", side=FIELD_SIDE, on_place=on_place, on_window=lambda: None
        )
        self.root = self.view.root
        self.root.toolbar_location = None
        self._box = ColumnDataSource({"left": [], "right": [], "top": [], "bottom": []})
        self.root.quad(
            source=self._box,
            left="left",
            right="right",
            top="top",
            bottom="bottom",
            fill_alpha=0,
            line_color=OWN,
            line_width=1.6,
        )

    def mark(self, window: Window) -> None:
        """Show where the crop is."""
        left, right, top, bottom = window
        self._box.data = {"left": [left], "right": [right], "top": [top], "bottom": [bottom]}
