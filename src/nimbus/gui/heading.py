"""Line at the top of the page: what it is of, whether all is saved, buttons that export."""

from __future__ import annotations

from html import escape
from typing import Any

import panel as pn

from .controls import html
from .saving import Status


class Heading:
    """The line.

    Parameters
    ----------
    title
        What kind of page it is.
    buttons
        At the right end.
    """

    def __init__(self, title: str, buttons: Any) -> None:
        self._title = title
        self.what = html("title-bar", align="center")
        self.status = html("status", align="center")
        self.root = pn.Row(self.what, self.status, buttons, sizing_mode="stretch_width", margin=0)

    def tell(self, what: str, status: Status) -> None:
        """Show what the page is of, in plain words, and where the work is."""
        self.what.object = (
            f'<span class="title">{escape(self._title)}</span> &nbsp;'
            f'<span class="what">{escape(what)}</span>'
        )
        told = f'<span class="{status.kind}">{escape(status.text)}</span>'
        self.status.object = f'<div style="text-align: right">{told}</div>'
