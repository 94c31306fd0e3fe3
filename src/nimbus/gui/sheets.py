"""What a page is laid out on: a sheet, a bar that stays at its top, and cards."""

from __future__ import annotations

from typing import Any

import panel as pn

from .style import SHEET


def sheet(*parts: Any) -> Any:
    """The whole page."""
    return _column("nimbus-page", *parts)


def top_bar(*rows: Any) -> Any:
    """Stays in sight while the page is scrolled."""
    return _column("nimbus-bar", *rows)


def card(*parts: Any, **more: Any) -> Any:
    """A white part of the page."""
    return _column("nimbus-card", *parts, **more)


def _column(name: str, *parts: Any, **more: Any) -> Any:
    given = {"margin": 0} | ({} if "width" in more else {"sizing_mode": "stretch_width"}) | more
    return pn.Column(*parts, css_classes=[name], stylesheets=[SHEET], **given)
