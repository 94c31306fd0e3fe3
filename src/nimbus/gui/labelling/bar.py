"""Buttons and keys of the judgements; each tells which cell was on the screen."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import param
from panel.custom import JSComponent

from nimbus.data.annotations import JUDGEMENTS

ACTIONS = (
    ("positive", "Positive", "p", "p"),
    ("likely positive", "Likely positive", "P", "⇧P"),
    ("undetermined", "Can't tell", "u", "u"),
    ("likely negative", "Likely negative", "N", "⇧N"),
    ("negative", "Negative", "n", "n"),
    ("back", "Back", "b", "b"),
    ("skip", "Skip", "s", "s"),
    ("next", "Next marker", "m", "m"),
    ("outlines", "Outlines", "o", "o"),
)
"""Name, label, key, and how the key is told."""

KINDS = {name: name.replace(" ", "-") for name in JUDGEMENTS}


SHEET = """
.bar > div { display: flex; flex-wrap: wrap; gap: 5px; margin-bottom: 7px; }
.action {
  font: 600 12px Inter, "Helvetica Neue", Helvetica, Arial, sans-serif; cursor: pointer;
  border-radius: 6px; border: 1px solid #c3ccd5; background: white; color: #1f2933;
  padding: 8px 6px; display: inline-flex; align-items: center; gap: 5px; white-space: nowrap;
}
.action:hover { background: #eef2f5; }
.action kbd {
  font: 500 11px ui-monospace, Menlo, monospace; border-radius: 4px; padding: 1px 5px;
  background: rgba(31, 41, 51, 0.08); color: inherit;
}
.positive { background: #d9480f; border-color: #d9480f; color: white; }
.positive:hover { background: #b93c0b; }
.likely-positive { border-color: #d9480f; color: #b93c0b; }
.negative { background: #27455c; border-color: #27455c; color: white; }
.negative:hover { background: #1c3446; }
.likely-negative { border-color: #27455c; color: #27455c; }
.positive kbd, .negative kbd { background: rgba(255, 255, 255, 0.22); }
.move { font-weight: 500; padding: 5px 9px; font-size: 12px; }
.given { outline: 3px solid #f2b705; outline-offset: 1px; }
"""


class Bar(JSComponent):  # type: ignore[misc]
    """A row of buttons.

    Parameters
    ----------
    actions
        Name, label, key, key as it is told, and CSS class of each button.
    shown
        Which cell the person sees; it is sent back with every action.
    label
        Action that is marked: what was said of the cell before.
    """

    actions = param.List()
    shown = param.String()
    label = param.String()

    _esm = """
    export function render({model}) {
      const bar = document.createElement("div")
      bar.className = "bar"
      const rows = [0, 1].map(() => bar.appendChild(document.createElement("div")))
      const send = (action) => model.send_msg({action, shown: model.shown})
      const buttons = {}
      for (const [action, label, _key, told, kind] of model.actions) {
        const button = document.createElement("button")
        button.className = "action " + kind
        button.type = "button"
        const hint = document.createElement("kbd")
        hint.innerText = told
        button.append(label, hint)
        button.addEventListener("click", () => { button.blur(); send(action) })
        buttons[action] = button
        rows[kind.startsWith("move") ? 1 : 0].append(button)
      }
      const mark = () => {
        for (const [action, button] of Object.entries(buttons)) {
          button.classList.toggle("given", action == model.label)
        }
      }
      mark()
      model.on("label", mark)
      const pressed = (event) => {
        const field = event.composedPath()[0]
        const typed = field.matches && field.matches("textarea, input:not([type=checkbox])")
        if (event.repeat || event.altKey || typed) return
        // the Shift that is held tells, not the letter: Caps Lock turns that
        let key = event.shiftKey ? event.key.toUpperCase() : event.key.toLowerCase()
        if (event.ctrlKey || event.metaKey) {
          if (key != "z") return
          key = "b"
        } else if (event.key == "Backspace") {
          key = "b"
        }
        const found = model.actions.find((one) => one[2] == key)
        if (!found) return
        event.preventDefault()
        send(found[0])
      }
      document.addEventListener("keydown", pressed)
      model.on("remove", () => document.removeEventListener("keydown", pressed))
      return bar
    }
    """

    _stylesheets: ClassVar = [SHEET]


def bar(pressed: Callable[[str, str], None]) -> Bar:
    """Buttons that call `pressed` with the action and the cell that was on the screen."""
    rows = [
        [name, text, key, told, KINDS.get(name, f"move {name}")]
        for name, text, key, told in ACTIONS
    ]
    made = Bar(actions=rows, sizing_mode="stretch_width", margin=(8, 4, 4, 4))
    made.on_msg(lambda event: pressed(str(event.data["action"]), str(event.data["shown"])))
    return made
