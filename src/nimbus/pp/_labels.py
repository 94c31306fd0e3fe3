"""What the verbs that make labels share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from anndata import AnnData
from numpy.typing import NDArray

from nimbus._check import listed, one_or_more, require_known
from nimbus._types import AnyArray
from nimbus.data.layers import layer_names, layer_values


def marker_names(table: AnnData) -> list[str]:
    """Names of the markers of a table.

    Raises
    ------
    ValueError
        Two markers share a name.
    """
    names = [str(name) for name in table.var_names]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"markers are in the table twice: {listed(twice)}; rename them")
    return names


def chosen_markers(table: AnnData, markers: str | Sequence[str] | None) -> list[str]:
    """Markers that were asked for; all by default.

    Raises
    ------
    ValueError
        One that the table does not have.
    """
    there = marker_names(table)
    chosen = there if markers is None else one_or_more(markers)
    require_known("marker", chosen, there)
    return chosen


def values_of(table: AnnData, layer: str, markers: Sequence[str]) -> AnyArray:
    """Values of some markers, ``(cells, markers)``.

    Raises
    ------
    ValueError
        There is no such layer.
    """
    require_known("layer", [layer], layer_names(table))
    there = marker_names(table)
    return layer_values(table, layer, [there.index(name) for name in markers])


def undefined_labels(table: AnnData) -> NDArray[np.int8]:
    """-1 for every cell and marker."""
    return np.full(table.shape, -1, dtype=np.int8)


def write_labels(
    table: AnnData, labels: NDArray[np.int8], *, key_added: str, record: Mapping[str, Any]
) -> None:
    """Set the layer, and say in ``uns`` where it comes from."""
    table.layers[key_added] = labels
    table.uns[key_added] = dict(record)
