"""Keeps a browser from telling a kernel what the kernel told it."""

from __future__ import annotations

from typing import Any

from panel.custom import JSComponent


class NoEcho(JSComponent):  # type: ignore[misc]
    """Lets what a person did go to the kernel, and little else.

    Bokeh marks a change that came from Python (``sync: false``), and a server never hears of it
    again. What Panel has in a notebook does not look at the mark: all data of all figures come back
    after each click, and while the kernel reads them (seconds, on a busy machine) it hears nobody.
    A change goes back once where a person had changed the same before: it may be that the kernel
    did not know that yet, and both should believe the same.
    """

    _esm = """
    export function render({view}) {
      const own = new Set()  // what a person changed
      for (const root of view.model.document.roots()) {
        if (root.type != "panel.models.comm_manager.CommManager") continue
        const tell = root._document_changed.bind(root)
        root._document_changed = (event) => {
          const what = `${event.model?.id} ${event.attr}`
          if (event.sync) own.add(what)
          else if (!own.delete(what)) return
          tell(event)
        }
      }
    }
    """


def no_echo() -> Any:
    """A part of the page that is not seen."""
    return NoEcho(width=0, height=0, margin=0)
