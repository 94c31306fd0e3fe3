"""A page whose program has ended says so: what is done on it then is kept nowhere."""

from __future__ import annotations

from typing import Any

from bokeh.models import CustomJS

from .style import ACCENT, FONT

TOLD = (
    "The program behind this page has ended or cannot be reached: what you do here is not kept. "
    "Start it again, and open the address that it prints."
)

_TELL = f"""
document.getElementById("nimbus-lost")?.remove()
const told = document.createElement("div")
told.id = "nimbus-lost"
told.setAttribute("role", "alert")
told.textContent = {TOLD!r}
told.style.cssText = "position: fixed; z-index: 9999; top: 0; left: 0; right: 0; padding: 10px; "
  + "text-align: center; color: white; background: {ACCENT}; font: 600 14px {FONT}"
document.body.append(told)
"""

_TAKE_BACK = 'document.getElementById("nimbus-lost")?.remove()'


def tell_when_lost(document: Any) -> None:
    """Have the browser tell it across the page when the server is gone, until it is back."""
    document.js_on_event("connection_lost", CustomJS(code=_TELL))
    document.js_on_event("client_reconnected", CustomJS(code=_TAKE_BACK))
