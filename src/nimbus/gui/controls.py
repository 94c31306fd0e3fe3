"""Buttons and fields in the look of the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import panel as pn

from .markup import Markup
from .notebook import settled
from .style import BUTTONS, FIELDS, TEXT

GAP = (3, 3)
"""Pixels around a control: above and below, left and right."""


def button(label: str, name: str, *, primary: bool = False) -> Any:
    """A button; `name` is a CSS class, by which a test finds it."""
    return pn.widgets.Button(
        label=label,
        color="primary" if primary else "default",
        stylesheets=[BUTTONS],
        css_classes=[name],
        margin=GAP,
        align="end",
    )


def pressed(one: Any, call: Callable[[], object]) -> None:
    """Call when a button is pressed."""
    one.on_click(lambda _: settled(call))


def entered(one: Any, call: Callable[[], object]) -> None:
    """Call when Enter is pressed in a field."""
    one.param.watch(lambda _: settled(call), "enter_pressed")


def download(label: str, name: str, **more: Any) -> Any:
    """A button that saves a file; it is made when it is clicked."""
    return pn.widgets.FileDownload(
        label=label,
        embed=False,
        auto=True,
        stylesheets=[BUTTONS],
        css_classes=[name],
        margin=GAP,
        align="end",
        **more,
    )


def select(
    label: str, name: str, *, width: int, options: Sequence[str] | Mapping[str, Any] = ()
) -> Any:
    """A list to choose one of."""
    return pn.widgets.Select(
        label=label,
        options=dict(options) if isinstance(options, Mapping) else list(options),
        width=width,
        stylesheets=[FIELDS],
        css_classes=[name],
        margin=GAP,
    )


def several(label: str, name: str, options: Sequence[str], *, width: int, size: int) -> Any:
    """A list to choose some of."""
    return pn.widgets.MultiSelect(
        label=label,
        options=list(options),
        size=size,
        width=width,
        stylesheets=[FIELDS],
        css_classes=[name],
        margin=GAP,
    )


def text(label: str, name: str, *, hint: str = "", width: int = 180) -> Any:
    """A field for text."""
    return pn.widgets.TextInput(
        label=label,
        placeholder=hint,
        width=width,
        stylesheets=[FIELDS],
        css_classes=[name],
        margin=GAP,
    )


def integer(label: str, name: str, *, width: int, value: int = 1, end: int | None = None) -> Any:
    """A field for a number from 1 on."""
    return pn.widgets.IntInput(
        label=label,
        value=value,
        start=1,
        end=end,
        width=width,
        stylesheets=[FIELDS],
        css_classes=[name],
        margin=GAP,
    )


def radio(options: Sequence[str] | Mapping[str, Any], name: str) -> Any:
    """Buttons of which one is pressed."""
    return pn.widgets.RadioButtonGroup(
        options=dict(options) if isinstance(options, Mapping) else list(options),
        value=next(iter(options.values())) if isinstance(options, Mapping) else options[0],
        stylesheets=[BUTTONS],
        css_classes=[name],
        margin=GAP,
        align="end",
    )


def span(label: str, name: str, *, width: int) -> Any:
    """A slider with two ends; at first from 0 to 1."""
    return pn.widgets.RangeSlider(
        label=label,
        start=0.0,
        end=1.0,
        value=(0.0, 1.0),
        step=0.01,
        width=width,
        margin=(3, 8),
        bar_color="#27455c",
        stylesheets=[FIELDS],
        css_classes=[name],
    )


def html(name: str, content: str = "", **more: Any) -> Any:
    """A piece of HTML; who fills it escapes what people wrote."""
    size = {} if "width" in more else {"sizing_mode": "stretch_width"}
    given = {"margin": (0, 4), "stylesheets": [TEXT]} | size | more
    return Markup(object=content, css_classes=[name], **given)
