"""What :func:`nimbus.tl.annotate` reads: rules of cell types, and the scores they speak of."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

from nimbus._check import (
    by_name,
    listed,
    one_or_more,
    require_known,
    require_number,
    require_once,
    told,
    unknown_name,
)
from nimbus._types import IntArray
from nimbus.cluster.annotating import Look, ScoreSurvey
from nimbus.cluster.rows import gather
from nimbus.cluster.typeevidence import base_rates, without_scores
from nimbus.cluster.typemodel import NOISE, UNASSIGNED, TypeModel, fitted, type_model
from nimbus.core.assignment import Assignment
from nimbus.core.typeoverlap import OR, Overlap, told_apart
from nimbus.core.typerules import TypeRules
from nimbus.core.workflow import read_type_rules
from nimbus.data.tables import column_of

from ._clusterinput import ClusterInput, read_input
from ._thresholds import Threshold, thresholds_of

Priors: TypeAlias = Literal["uniform", "estimated"] | Mapping[str, float]

Noise: TypeAlias = float | Literal["estimated"]

MOST_TO_FIT = 100_000
"""What is estimated is so from so many cells at most, evenly spaced through the table."""


@dataclass(frozen=True, slots=True, eq=False)
class TypeInput:
    """Rules of cell types and scores of the markers they speak of.

    Parameters
    ----------
    rules
        Types that can be told apart.
    overlaps
        Those that could not, or only one way.
    given
        Scores of the markers of `rules`.
    look
        What is a score.
    base
        Share of positive cells of each marker.
    """

    rules: TypeRules
    overlaps: tuple[Overlap, ...]
    given: ClusterInput
    look: Look
    base: NDArray[np.float64]


def rules_for(
    table: AnnData,
    assignment: Assignment,
    *,
    exclude_markers: str | Sequence[str],
    exclude_types: str | Sequence[str],
) -> TypeRules:
    """Rules on markers of the table.

    Raises
    ------
    ValueError
        An unknown marker or type, the name of a type that is taken, or nothing is left.
    """
    rules, excluded = read_type_rules(assignment), one_or_more(exclude_markers)
    if exclude_types:
        rules = rules.without_types(one_or_more(exclude_types))
    markers = [str(name) for name in table.var_names]
    require_known("marker", excluded, list(dict.fromkeys([*rules.markers, *markers])))
    require_once("markers of the table", markers)
    strange = [name for name in rules.markers if name not in {*markers, *excluded}]
    if strange:
        others = f" Not there either: {listed(strange[1:])}." if strange[1:] else ""
        raise ValueError(
            f"{unknown_name('marker', strange[0], markers)}{others} The assignment has it and the "
            "table does not; rename it, or pass exclude_markers="
        )
    if UNASSIGNED in rules.names:
        raise ValueError(f"no cell type can be called {UNASSIGNED!r}: cells without a type are")
    return _some_left(rules.without_markers(excluded), "the markers that are left")


def read_scores(
    table: AnnData,
    rules: TypeRules,
    *,
    layer: str | None,
    threshold: Threshold,
    n_jobs: int | None,
) -> TypeInput:
    """Survey the scores, and find which types their markers tell apart.

    Raises
    ------
    ValueError
        An unknown layer, values that are no scores, no marker has any, or a threshold that cannot
        be.

    Warns
    -----
    UserWarning
        Markers without a score, and types that cannot be told apart.
    """
    markers = [str(name) for name in table.var_names if str(name) in rules.markers]
    given = read_input(
        table, layer=layer, obsm=None, markers=markers, restrict_to=None, n_jobs=n_jobs
    )
    whole = np.issubdtype(given.array.dtype, np.integer)
    look = Look(_cuts(table, threshold, given), 0.0 if whole else None)
    found = _surveyed(given, look)
    scored = found.n_scored > 0
    if not scored.all():
        gone = [name for name, there in zip(markers, scored.tolist(), strict=True) if not there]
        rules = _some_left(rules.without_markers(gone), f"the scores in {given.source}")
        warnings.warn(
            f"no cell has a score of {listed(gone)} in {given.source}; rules on them say nothing",
            stacklevel=3,
        )
    rules, overlaps = told_apart(rules)
    if overlaps:
        warnings.warn(_told(overlaps), stacklevel=3)
    kept = [k for k, name in enumerate(given.markers) if name in rules.markers]
    given = replace(
        given,
        markers=tuple(given.markers[k] for k in kept),
        columns=tuple(given.columns[k] for k in kept),
    )
    base = base_rates(found.n_positive[kept], found.n_scored[kept])
    return TypeInput(rules, overlaps, given, replace(look, threshold=look.threshold[kept]), base)


def model_of(found: TypeInput, *, priors: Priors, noise: Noise) -> TypeModel:
    """How common markers and types are, and how many cells follow the rules.

    Raises
    ------
    ValueError
        Priors that cannot be.
    """
    shares = None if isinstance(priors, str) else _shares(priors, found)
    model = type_model(
        found.rules,
        markers=found.given.markers,
        base=found.base,
        threshold=found.look.threshold,
        noise=NOISE if isinstance(noise, str) else noise,
        shares=shares,
    )
    to_fit = {
        "noise": noise == "estimated",
        "prior": isinstance(priors, str) and priors == "estimated",
    }
    if not any(to_fit.values()):
        return model
    rows = found.given.rows()
    n_cells = rows.shape[0]
    chosen = np.arange(n_cells) % -(-n_cells // MOST_TO_FIT) == 0
    scores = np.clip(found.look.scores(gather(rows, chosen).array), 0, 1)
    scores = scores[~without_scores(scores)]
    return fitted(model, model.ratios(scores), **to_fit)


def require_settings(confidence: float, noise: Noise, priors: Priors) -> None:
    """Check numbers at the door.

    Raises
    ------
    ValueError
        One is out of its range.
    """
    require_number("confidence", confidence)
    if not 0 < confidence <= 1:
        raise ValueError(f"confidence is a probability above 0, up to 1, not {confidence}")
    if isinstance(noise, str):
        require_known("noise", [noise], ["estimated"])
    elif not (isinstance(noise, Real) and 0 < noise < 0.5):
        raise ValueError(f'noise is "estimated", or above 0 and below 0.5, not {told(noise)}')
    if isinstance(priors, str):
        require_known("prior", [priors], ["uniform", "estimated"])


def group_codes(obs: pd.DataFrame, groupby: str | None) -> tuple[IntArray | None, list[str]]:
    """Group of each cell, -1 where it has none, and the names of the groups.

    Raises
    ------
    ValueError
        `groupby` is no column, or no cell has a group.
    """
    if groupby is None:
        return None, []
    require_known("column of obs", [groupby], [str(name) for name in obs.columns])
    values = pd.Categorical(column_of(obs, groupby)).remove_unused_categories()
    if not len(values.categories):
        raise ValueError(f"no cell has a value in obs[{groupby!r}]")
    return values.codes.astype(np.int64), [str(name) for name in values.categories]


def _surveyed(given: ClusterInput, look: Look) -> ScoreSurvey:
    parts = given.rows().map(look)
    found = next(parts, None)
    if found is None:
        raise ValueError("the table has no cells")
    for part in parts:
        found = found + part
    if not found.in_range:
        raise ValueError(
            f"{given.source} has values from {found.low:.4g} to {found.high:.4g}; scores are from "
            "0 to 1. Name a layer of scores, or of probabilities (nimbus.tl.score, "
            "nimbus.tl.calibrate); intensities first need a rule for what is positive"
        )
    return found


def _cuts(table: AnnData, threshold: Threshold, given: ClusterInput) -> NDArray[np.float64]:
    """Threshold of each marker."""
    layer = given.source.removeprefix("layers/")
    cut = thresholds_of(table, threshold, layer)[list(given.columns)]
    wrong = [
        f"{name}: {value:.4g}"
        for name, value in zip(given.markers, cut, strict=True)
        if not 0 < value < 1
    ]
    if wrong:
        raise ValueError(
            f"thresholds must be above 0 and below 1, not {listed(wrong)}; give another, or leave "
            "the marker out with exclude_markers="
        )
    return np.asarray(cut)


def _shares(priors: Mapping[str, float], found: TypeInput) -> dict[str, float]:
    """Shares by the names of `found`, in which equal types are one."""
    given = by_name("priors", priors)
    silent = {name for one in found.overlaps if one.kind == "silent" for name in one.names}
    joined = {OR.join(one.names): one.names for one in found.overlaps if one.kind == "same"}
    parts = {name: joined.get(name, (name,)) for name in found.rules.names}
    there = [one for names in parts.values() for one in names]
    require_known("cell type", given, [*there, *silent, UNASSIGNED])
    missing = [name for name in there if name not in given]
    if missing:
        raise ValueError(f"priors= must hold every cell type; these are missing: {listed(missing)}")
    values = np.array(list(given.values()), dtype=np.float64)
    if not (np.isfinite(values) & (values > 0)).all():
        raise ValueError(f"priors are shares above 0, not {given}")
    shares = {name: sum(given[one] for one in names) for name, names in parts.items()}
    return shares | {name: given[name] for name in (UNASSIGNED,) if name in given}


def _some_left(rules: TypeRules, where: str) -> TypeRules:
    if not rules.markers:
        raise ValueError(f"no rule of any cell type is left: {where} say nothing of any")
    return rules


def _told(overlaps: Collection[Overlap]) -> str:
    told: list[str] = []
    for kind, text in (
        ("same", "equal for these markers, so they are one type"),
        ("silent", "without any rule for these markers, so they are never named"),
        ("nested", "nested: the finer is named where its own markers speak for it"),
    ):
        own: list[Any] = [str(one) for one in overlaps if one.kind == kind]
        if own:
            shown = "; ".join(own[:5]) + (f"; and {len(own) - 5} more" if own[5:] else "")
            told.append(f"{text}: {shown}")
    return "cell types that the panel cannot tell apart. " + ". ".join(
        f"{one[0].upper()}{one[1:]}" for one in told
    )
