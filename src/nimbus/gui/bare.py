"""A figure of Bokeh without anything but what is drawn in it."""

from __future__ import annotations

from typing import Any

from bokeh.plotting import figure

from .style import FAINT, FONT, INK

_NOTHING = {
    "tools": "",
    "toolbar_location": None,
    "background_fill_color": None,
    "border_fill_color": None,
    "outline_line_color": None,
}


def bare_figure(**given: Any) -> Any:
    """A figure without grid, ticks, lines of axes, tools or background; `given` brings some back.

    What is left of an axis is its text, in the font of the page.
    """
    made = figure(**(_NOTHING | given))
    made.toolbar.logo = None
    made.grid.visible = False
    made.axis.axis_line_color = None
    made.axis.major_tick_line_color = None
    made.axis.minor_tick_line_color = None
    made.axis.major_label_text_font = made.axis.axis_label_text_font = FONT
    made.axis.major_label_text_font_size = made.axis.axis_label_text_font_size = "11px"
    made.axis.major_label_text_color = INK
    made.axis.axis_label_text_color = FAINT
    made.axis.axis_label_text_font_style = "normal"
    made.axis.axis_label_standoff = 2
    return made
