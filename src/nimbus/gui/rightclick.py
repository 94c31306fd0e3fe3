"""Right clicks on figures, which Bokeh itself tells nobody of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import param
from panel.custom import JSComponent


class RightClicks(JSComponent):  # type: ignore[misc]
    """Listens to right clicks within figures; elsewhere the browser's menu opens as ever.

    Parameters
    ----------
    figures
        Ids of the figures.
    """

    figures = param.List()

    _esm = """
    export function render({model}) {
      const clicked = (event) => {
        if (event.shiftKey) return  // the browser's menu
        for (const id of model.figures) {
          const view = window.Bokeh.index.find_one_by_id(id)
          if (view == null || !event.composedPath().includes(view.el)) continue
          const box = view.el.getBoundingClientRect()
          const {left, top, width, height} = view.frame.bbox
          const x = (event.clientX - box.left - left) / width
          const y = (event.clientY - box.top - top) / height
          if (x < 0 || x > 1 || y < 0 || y > 1) continue
          event.preventDefault()
          const {start, end} = view.model.x_range
          model.send_msg(start + x * (end - start))
        }
      }
      document.addEventListener("contextmenu", clicked, true)  // before Bokeh ends it
      model.on("remove", () => document.removeEventListener("contextmenu", clicked, true))
    }
    """


def right_clicks(figures: Sequence[Any], clicked: Callable[[float], None]) -> Any:
    """A part of the page that is not seen; `clicked` is told the place along x."""
    ids = [figure.id for figure in figures]
    made = RightClicks(figures=ids, width=0, height=0, margin=0)
    made.on_msg(lambda event: clicked(float(event.data)))
    return made
