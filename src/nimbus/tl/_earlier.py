"""Scores of an earlier run that stay beside those of a run of other cells or other markers."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from anndata import AnnData

from nimbus.core.bands import bands
from nimbus.core.scales import ScaleTable
from nimbus.data.layers import dense
from nimbus.data.sources import OpenField
from nimbus.data.tables import region_rows

from ._prepare import Prepared
from ._runrecord import RunRecord, read_record, record_of

_DECIDE = ("model", "sha256", "aggregate", "n_views", "precision")
"""Settings in which scores of one layer must agree.

Scales and pixel sizes are those of each image and field, and are kept for each. A callable has no
hash and is known by its name alone. Versions of nimbus differ by rounding.
"""

_Beside = Mapping[tuple[str, str], int]
"""Number of scores that a run leaves as they are, by labels element and marker."""


def earlier_record(table: AnnData | None, run: Prepared, *, key_added: str) -> RunRecord | None:
    """Record of the scores that stay beside those of a run; ``None`` where none do.

    Warns of scores that cannot stay, because they were made in another way.

    Parameters
    ----------
    table
        As it is before the run; ``None`` where it is to be made.
    run
        What is to be scored.
    key_added
        Layer of the scores, and entry of ``uns``.
    """
    beside = {} if table is None else _beside(table, key_added, run.fields)
    if table is None or not beside:
        return None
    earlier = read_record(table.uns.get(key_added))
    if earlier is None:
        differ = [f"uns[{key_added!r}] does not tell how they were made"]
    else:
        differ = list(_differences(earlier, record_of(run), beside))
    if earlier is None or differ:
        warnings.warn(
            f"{sum(beside.values())} scores of other regions or markers are dropped from "
            f"layers[{key_added!r}], for they were not made like those of this run "
            f"({'; '.join(differ)}); pass key_added= (--key-added) with a new name to keep them",
            stacklevel=3,
        )
        return None
    return replace(
        earlier,
        scales=_scales_beside(earlier, beside),
        fields={labels: earlier.fields[labels] for labels, _ in beside},
    )


def _beside(table: AnnData, layer: str, fields: Mapping[str, OpenField]) -> _Beside:
    """Scores in the layer that a run of `fields` does not measure."""
    if layer not in table.layers:
        return {}
    held, counts = dense(table.layers[layer]), {}
    for labels, (rows, _) in region_rows(table).items():
        measured = fields[labels].source.channels if labels in fields else ()
        others = ~table.var_names.isin(measured)
        n = np.zeros(table.n_vars, dtype=np.int64)
        for part in bands(rows.size if others.any() else 0, table.n_vars):
            n += np.isfinite(held[rows[part]]).sum(axis=0)
        for marker in np.flatnonzero(others & (n > 0)):
            counts[labels, str(table.var_names[marker])] = int(n[marker])
    return counts


def _differences(earlier: RunRecord, now: RunRecord, beside: _Beside) -> Iterator[str]:
    """Why one record cannot tell of both runs."""
    for name in _DECIDE:
        old, new = earlier.settings.get(name), now.settings[name]
        if old != new:
            yield f"{name}: {old!r} then, {new!r} now"
    for labels in dict.fromkeys(labels for labels, _ in beside):
        row = earlier.fields.get(labels)
        if row is None or now.fields.get(labels, row) != row:
            yield f"labels {labels!r}: {row} then, {now.fields.get(labels)} now"
    for image, own in _scales_beside(earlier, beside).items():
        for marker, scale in own.items():
            new_scale = now.scales.get(image, {}).get(marker, scale)
            if new_scale != scale:
                yield f"scale of {marker!r} in {image!r}: {scale:g} then, {new_scale:g} now"


def _scales_beside(earlier: RunRecord, beside: _Beside) -> ScaleTable:
    """Scales of the scores that stay, as far as the record tells them."""
    scales: ScaleTable = {}
    for labels, marker in beside:
        image = earlier.fields[labels].image if labels in earlier.fields else ""
        if marker in earlier.scales.get(image, {}):
            scales.setdefault(image, {})[marker] = earlier.scales[image][marker]
    return scales
