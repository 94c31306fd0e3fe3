"""Buttons that save labels as CSV files."""

from __future__ import annotations

import tempfile
from io import StringIO
from pathlib import Path
from typing import Any

import panel as pn

from nimbus.data.layers import layer_names
from nimbus.gui.controls import download
from nimbus.io.gold import write_gold

from .desk import Desk


def export_buttons(desk: Desk) -> Any:
    """Buttons for what the annotator said, and for what all agree on.

    Parameters
    ----------
    desk
        Whose labels; they are taken as they are when a button is clicked.
    """
    name = desk.facts.annotator
    return pn.Row(
        download(
            f"CSV of {name}",
            "export-own",
            filename=f"{desk.ledger.key}-{name}.csv",
            callback=lambda: StringIO(own_csv(desk)),
        ),
        download(
            "CSV of all",
            "export-all",
            filename=f"{desk.ledger.key}.csv",
            callback=lambda: StringIO(agreed_csv(desk)),
        ),
        margin=0,
    )


def own_csv(desk: Desk) -> str:
    """Judgements of the annotator, all five kinds, in the order in which they were given."""
    judged = desk.ledger.with_labels(desk.facts.annotator, desk.state.labels)
    return str(desk.ledger.book.frame(judged).to_csv(index=False))


def agreed_csv(desk: Desk) -> str:
    """What :func:`nimbus.io.write_gold` writes of the layer; nothing where there is none yet."""
    table, key = desk.ledger.table, desk.ledger.key
    if key not in layer_names(table):
        return ""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gold.csv"
        write_gold(table, path, layer=key)
        return path.read_text(encoding="utf-8")
