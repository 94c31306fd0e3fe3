"""A piece of HTML that changes."""

from __future__ import annotations

import param
from panel.custom import JSComponent


class Markup(JSComponent):  # type: ignore[misc]
    """Shows HTML.

    Panel's own pane sends all its style sheets again with every text, as addresses of another
    machine where the page is in a notebook.

    Parameters
    ----------
    object
        The HTML; who fills it escapes what people wrote.
    """

    object = param.String()

    _esm = """
    export function render({model}) {
      const shown = document.createElement("div")
      const fill = () => { shown.innerHTML = model.object }
      fill()
      model.on("object", fill)
      return shown
    }
    """
