"""Keys of the page: undo, redo, and nothing selected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from panel.custom import JSComponent


class Keys(JSComponent):  # type: ignore[misc]
    """Listens to the keyboard: Ctrl or Cmd with Z, with Shift too, and Escape."""

    _esm = """
    export function render({model}) {
      const pressed = (event) => {
        const field = event.composedPath()[0]
        if (field.matches && field.matches("input, textarea, select")) return
        const z = event.key.toLowerCase() == "z" && (event.ctrlKey || event.metaKey)
        if (!z && event.key != "Escape") return
        event.preventDefault()
        model.send_msg(z ? (event.shiftKey ? "redo" : "undo") : "clear")
      }
      document.addEventListener("keydown", pressed)
      model.on("remove", () => document.removeEventListener("keydown", pressed))
    }
    """


def keys(pressed: Callable[[str], None]) -> Any:
    """A part of the page that is not seen; `pressed` is told ``"undo"``, ``"redo"``, ``"clear"``.

    Parameters
    ----------
    pressed
        Called for each of these keys, unless a field has the focus.
    """
    made = Keys(width=0, height=0, margin=0)
    made.on_msg(lambda event: pressed(str(event.data)))
    return made
