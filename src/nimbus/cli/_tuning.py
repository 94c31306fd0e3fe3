"""The work of ``nimbus finetune``: labels, training, what it brought."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

import nimbus
from nimbus.io.stores import open_store
from nimbus.model import load_model
from nimbus.train import Finetuned, FinetuneSettings
from nimbus.train.finetune import tuned_path

from ._columns import columns, number

_SHOWN = ("cells", "cross_entropy", "auroc", "average_precision", "f1_at_0.5")


def finetuned(
    store: Path,
    out: Path,
    labels: Sequence[Path],
    wanted: Mapping[str, Any],
    settings: Mapping[str, Any],
    *,
    overwrite: bool,
) -> str:
    """Fine-tune and tell in text what it brought.

    Parameters
    ----------
    store
        Path of the SpatialData store.
    out
        Folder for the model.
    labels
        Files of labels, one for each annotator; without any the layer of the table is taken.
    wanted, settings
        Arguments of :func:`nimbus.train.finetune` and of its settings.
    overwrite
        A model of that name in `out` may be replaced.
    """
    path = tuned_path(out, load_model(wanted["model"]).card.name, wanted["name"])
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; --overwrite replaces it, --name gives another name")
    sdata = open_store(store)
    if labels:
        annotators = {str(path): _annotations(path) for path in labels}
        nimbus.pp.gold_labels(
            sdata, annotators, table_key=wanted["table_key"], key_added=wanted["truth_layer"]
        )
    made = nimbus.train.finetune(sdata, out, settings=FinetuneSettings(**settings), **wanted)
    return _as_text(made)


def _annotations(path: Path) -> pd.DataFrame:
    return nimbus.io.read_qupath(path) if path.is_dir() else nimbus.io.read_gold(path)


def _as_text(made: Finetuned) -> str:
    body = [
        [when, *(number(values[name], 0 if name == "cells" else 3) for name in _SHOWN)]
        for when, values in (("before", made.before), ("after", made.after))
    ]
    header = ["held-out cells", *(name.replace("_", " ") for name in _SHOWN)]
    return f"{columns(header, body)}\n\nbest step {made.best_step}\nwrote {made.path}"
