"""What annotating leaves in the table: names, confidence, colours, what spoke for and against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

from nimbus._check import listed
from nimbus._keys import Suffix
from nimbus._types import FloatArray, IntArray
from nimbus.cluster.annotating import NO_SCORE, Tally
from nimbus.cluster.palette import distinct_colors
from nimbus.cluster.typemodel import UNASSIGNED, TypeModel, type_model
from nimbus.core.typeoverlap import Overlap
from nimbus.core.typerules import TypeRules

from ._clusterrecord import storable

GREY = "#c0c0c0"
"""Colour of cells without a type; the palette has no grey."""

LITTLE = 0.1
"""Bits below which a marker is not listed among those that spoke for or against."""


@dataclass(frozen=True, slots=True, eq=False)
class Annotated:
    """Types of all cells, and of groups of them.

    Parameters
    ----------
    model
        Cell types.
    rules
        Those of `model`, for the record.
    code, confidence
        Of each cell; -1 unassigned, `NO_SCORE` nothing known.
    of_types
        Probability of each type for each cell, if it was asked for.
    groups
        What the rows of `tally` are called.
    group_code
        Type of each of them.
    group_types
        Probability of each type, ``(group, type)``.
    agreement
        Share of the cells of each group that alone would be named like it.
    tally
        Sums over the cells of groups.
    overlaps
        Types that cannot be told apart.
    """

    model: TypeModel
    rules: TypeRules
    code: IntArray
    confidence: NDArray[np.float32]
    of_types: NDArray[np.float32] | None
    groups: Sequence[str]
    group_code: IntArray
    group_types: FloatArray
    agreement: FloatArray
    tally: Tally
    overlaps: tuple[Overlap, ...]


def write_types(
    table: AnnData, done: Annotated, settings: Mapping[str, Any], *, key_added: str
) -> None:
    """Write names, confidence, colours and the record; an earlier annotation goes away."""
    key = key_added + Suffix.CELL_TYPE
    names = [*done.model.names, UNASSIGNED]
    colors = [*distinct_colors(len(done.model.names)), GREY]
    code = np.where(done.code == -1, len(names) - 1, done.code)
    there = np.unique(code[code >= 0])
    place = np.full(len(names) + 1, -1)
    place[there] = np.arange(there.size)
    codes = np.where(code == NO_SCORE, -1, place[code])
    categories = pd.Index([names[k] for k in there], dtype=object)
    table.obs[key] = pd.Categorical.from_codes(codes, categories=categories)
    table.obs[key_added + Suffix.CELL_TYPE_CONFIDENCE] = done.confidence
    table.uns[key + Suffix.COLORS] = np.array([colors[k] for k in there], dtype=object)
    table.obsm.pop(key, None)
    if done.of_types is not None:
        table.obsm[key] = done.of_types
    table.uns[key] = {
        "model": _stored(done.model, done.rules),
        "types": np.array(done.model.names, dtype=object),
        "summary": summary_of(done),
        "evidence": evidence_of(done),
        "overlaps": _overlaps(done.overlaps),
        "settings": storable(settings),
        "version": version("nimbus-spatial"),
    }


def model_from(table: AnnData, key_added: str) -> tuple[TypeModel, TypeRules]:
    """The model that :func:`nimbus.tl.annotate` stored.

    Raises
    ------
    ValueError
        There is none of that key.
    """
    key = key_added + Suffix.CELL_TYPE
    record = table.uns.get(key)
    if not isinstance(record, Mapping) or "model" not in record:
        found = [
            str(name).removesuffix(Suffix.CELL_TYPE)
            for name, own in table.uns.items()
            if isinstance(own, Mapping) and "model" in own and "types" in own
        ]
        raise ValueError(
            f"uns[{key!r}] holds no annotation; run nimbus.tl.annotate first, or pass key_added= "
            f"(there is {listed(found)})"
        )
    stored = record["model"]
    rules = TypeRules.from_json(str(stored["rules"]))
    model = type_model(
        rules,
        markers=tuple(str(name) for name in stored["markers"]),
        base=np.asarray(stored["base_rate"], dtype=np.float64),
        threshold=np.asarray(stored["threshold"], dtype=np.float64),
    )
    prior, noise = (np.asarray(stored[name], dtype=np.float64) for name in ("prior", "noise"))
    return replace(model, prior=prior, noise=noise), rules


def summary_of(done: Annotated) -> pd.DataFrame:
    """A row for each group, or type: cells, name, confidence, the next likely, for and against."""
    rows = []
    for k, group in enumerate(done.groups):
        code, n_cells = int(done.group_code[k]), int(done.tally.n_cells[k])
        signature = _signature(done, k)
        path = done.rules.signatures[signature].path if code >= 0 else ()
        others = [i for i, name in enumerate(done.model.names) if name not in path]
        after = max(others, key=lambda i: done.group_types[k, i], default=None)
        bits = _bits(done, k, signature)
        rows.append(
            {
                "group": group,
                "n_cells": n_cells,
                "cell_type": done.model.names[code] if code >= 0 else UNASSIGNED,
                "confidence": done.group_types[k, code] if code >= 0 else done.group_types[k].max(),
                "agreement": done.agreement[k],
                "next_type": "" if after is None else done.model.names[after],
                "next_confidence": np.nan if after is None else done.group_types[k, after],
                "for": _listed({name: bit for name, bit in bits.items() if bit >= LITTLE}),
                "against": _listed({name: bit for name, bit in bits.items() if bit <= -LITTLE}),
            }
        )
    return _plain(pd.DataFrame(rows))


def evidence_of(done: Annotated) -> pd.DataFrame:
    """A row for each group and rule of its type: mean score, mean evidence in bits, and noise."""
    rows = []
    noise = {
        str(rule): float(n) for rule, n in zip(done.model.rules, done.model.noise, strict=True)
    }
    for k, group in enumerate(done.groups):
        code = int(done.group_code[k])
        if code < 0 or not done.tally.n_cells[k]:
            continue
        for rule, bits in _bits(done, k, _signature(done, k)).items():
            rows.append(
                {
                    "group": group,
                    "cell_type": done.model.names[code],
                    "rule": rule,
                    "mean_score": _mean_score(done, k, rule),
                    "bits": bits,
                    "noise": noise[rule],
                }
            )
    names = ["group", "cell_type", "rule", "mean_score", "bits", "noise"]
    return _plain(pd.DataFrame(rows, columns=names))


def _signature(done: Annotated, k: int) -> int:
    """The signature that fits a group best, among those of its type if it has one."""
    code = int(done.group_code[k])
    own = [code < 0 or one.name == done.model.names[code] for one in done.rules.signatures]
    return int(np.argmax(np.where(own, done.tally.posterior[k, :-1], -1.0)))


def _bits(done: Annotated, k: int, signature: int) -> dict[str, float]:
    """Mean evidence of each rule of a signature in the cells of a group."""
    n_cells = max(int(done.tally.n_cells[k]), 1)
    held = np.flatnonzero(done.model.holds[:, signature])
    return {
        str(done.model.rules[r]): float(done.tally.evidence[k, r] / n_cells / np.log(2))
        for r in held
    }


def _mean_score(done: Annotated, k: int, rule: str) -> float:
    """Mean score of the marker of a rule; NaN where it speaks of several."""
    marker = {f"{name}{sign}": i for i, name in enumerate(done.model.markers) for sign in "+-"}
    column = marker.get(rule)
    if column is None or not done.tally.n_scores[k, column]:
        return float("nan")
    return float(done.tally.scores[k, column] / done.tally.n_scores[k, column])


def _listed(bits: Mapping[str, float]) -> str:
    ranked = sorted(bits.items(), key=lambda one: -abs(one[1]))
    return ", ".join(f"{rule} ({value:+.1f})" for rule, value in ranked)


def _stored(model: TypeModel, rules: TypeRules) -> dict[str, Any]:
    return {
        "rules": rules.to_json(),
        "markers": np.array(model.markers, dtype=object),
        "base_rate": model.base,
        "threshold": model.threshold,
        "prior": model.prior,
        "noise": model.noise,
    }


def _overlaps(overlaps: Sequence[Overlap]) -> pd.DataFrame:
    rows = [
        {
            "kind": one.kind,
            "cell_types": " | ".join(one.names),
            "rules": ", ".join(map(str, one.rules)),
        }
        for one in overlaps
    ]
    return _plain(pd.DataFrame(rows, columns=["kind", "cell_types", "rules"]))


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """With text as the index, which is what comes back from a store."""
    return frame.set_axis(frame.index.astype(str), axis=0)
