"""What the page tells: progress, the cell, and how far annotators agree; all of it as HTML."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np
import pandas as pd

from nimbus.data.annotations import NEGATIVE, POSITIVE
from nimbus.gui.style import TEXT, counted

from .desk import Desk, Facts
from .state import State

SAID = {"undetermined": "can't tell"}
"""Judgements as the page tells them, where that differs."""

ORDERED = {"uncertain": "least certain first", "disagreement": "scores against means first"}
"""Orders as the page tells them; any other is by chance."""

PROGRESS = (
    TEXT
    + """
.all { max-height: 340px; overflow-y: auto; }
.progress { border-collapse: collapse; width: 100%; font-size: 12.5px; }
.progress td, .progress th { padding: 3px 6px; }
.progress .marker {
  max-width: 130px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap;
}
.progress th { color: #66727f; font-weight: 500; font-size: 11px; }
.progress .n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.progress .track { width: 45%; }
.progress .full { background: #e6eaee; border-radius: 4px; height: 7px; }
.progress .done { background: #27455c; border-radius: 4px; height: 7px; }
.progress .now td { background: #fff6d6; position: sticky; top: 0; bottom: 0; }
.progress .now .marker { font-weight: 650; }
.progress .plus { color: #b93c0b; }
.progress .minus { color: #27455c; }
.left { font-weight: 600; }
"""
)


def page_text(facts: Facts, state: State) -> str:
    """What the page is of, who judges, and in which order."""
    told = ORDERED.get(state.queues.order, "by chance")
    return f"{facts.title} · {facts.annotator} · {told}"


def progress(state: State) -> str:
    """A row for each marker: cells judged of those wanted, and how many were positive."""
    counts = state.counts()
    rows = []
    for marker in state.queues.markers:
        own = counts[marker]
        n, wanted = own.total(), state.n_asked(marker)
        share = 100 * min(1.0, n / max(1, wanted))
        now = ' class="now"' if marker == state.marker else ""
        rows.append(
            f'<tr{now}><td class="marker" title="{escape(marker)}">{escape(marker)}</td>'
            f'<td class="track"><div class="full"><div class="done" style="width:{share:.0f}%">'
            f'</div></div></td><td class="n">{n} / {wanted}</td>'
            f'<td class="n plus">{own[POSITIVE] or ""}</td>'
            f'<td class="n minus">{own[NEGATIVE] or ""}</td></tr>'
        )
    names = ("", "", "judged", "+", "-")
    head = "<tr>" + "".join(f'<th class="n">{name}</th>' for name in names) + "</tr>"
    return f'<div class="all"><table class="progress">{head}{"".join(rows)}</table></div>'


def cell_text(facts: Facts, state: State, *, score: bool) -> str:
    """Which cell is shown, and what was said of it; its score only if asked for."""
    if state.cell is None:
        others = [m for m in state.unfinished() if m != state.marker]
        more = f"Press m for {escape(others[0])}" if others else "All markers are done"
        return (
            f'<span class="head">{escape(state.marker)} is done.</span> '
            f'<span class="faint">{more}, or ask for more cells of each marker.</span>'
        )
    field, cell = facts.microscope.field(state.cell), int(facts.microscope.ids[state.cell])
    told = [f'<span class="head">{escape(state.marker)}</span>', escape(field), f"cell {cell}"]
    if state.label is not None:
        told.append(f"you said <b>{escape(SAID.get(state.label, state.label))}</b>")
    if score:
        value = facts.score(state.cell, state.marker)
        told.append("no score" if value is None else f"score {value:.2f}")
    return ' <span class="faint">·</span> '.join(told)


def left_text(state: State) -> str:
    """How many cells of the marker are left, and of all markers."""
    counts = {marker: own.total() for marker, own in state.counts().items()}
    asked = {marker: state.n_asked(marker) for marker in state.queues.markers}
    done = counts[state.marker]
    left = max(0, asked[state.marker] - done)
    every = sum(min(n, asked[marker]) for marker, n in counts.items())
    of = sum(asked.values())
    return (
        f'<span class="left">{done} judged, {left} left of {escape(state.marker)}</span> '
        f'<span class="faint">· {every:,} of {of:,} of all markers</span>'
    )


def agreement_text(desk: Desk, marker: str) -> str:
    """Cohen's kappa with each other annotator, for the marker and for all."""
    record: Any = desk.ledger.table.uns.get(desk.ledger.key, {})
    found = record.get("agreement") if hasattr(record, "get") else None
    if not isinstance(found, pd.DataFrame):
        return ""
    me = desk.facts.annotator
    lines = []
    for row in found.to_dict("records"):
        if row["marker"] in (marker, "all") and me in (row["first"], row["second"]):
            other = str(row["second"] if row["first"] == me else row["first"])
            what = "all markers" if row["marker"] == "all" else marker
            kappa, n = float(row["kappa"]), int(row["n_decided"])
            told = f"{kappa:.2f}" if np.isfinite(kappa) else "unknown"
            lines.append(
                f"{escape(what)}, with {escape(other)}: kappa {told} ({counted(n, 'cell')})"
            )
    return "<br>".join(lines)
