"""How likely each cell type is for each cell, or for a group of cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nimbus._types import FloatArray, IntArray
from nimbus.core.typerules import Rule, TypeRules

from .typeevidence import rule_evidence, shifted

UNASSIGNED = "unassigned"
"""Name of cells of which no type is likely enough."""

NOISE = 0.05
"""So many cells of a type do not follow a rule of it; then the marker is as in any cell.

Types of real tissue express what the literature says in all but a few per cent of their cells, and
of calls at 0.5 about as many are wrong; ``docs/design/annotation.md`` has other values tried.
"""

CONFIDENCE = 0.5
"""A type is named from here on: then it is likelier than all others together, and none of them."""

SHARED_ERROR = 0.25
"""Correlation of the errors of cells in one group.

They were put together because they look alike, and look alike in what is wrong of them, too. Of
`n` witnesses with this correlation ``n / (1 + (n - 1) SHARED_ERROR)`` count (Kish's design effect,
*Survey Sampling*, 1965): one for one cell, four for any number.
"""

MAX_STEPS, TOLERANCE = 500, 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class TypeModel:
    """Cell types, what is known of markers, and how common the types are.

    The last signature is "none of these": a cell whose markers are as in all cells, independent of
    each other.

    Parameters
    ----------
    names
        Cell types.
    markers
        Columns of the scores.
    rules
        Each rule once.
    holds
        Whether a rule belongs to a signature, ``(rule, signature)``; no rule to the last one.
    belongs
        Whether a signature is of a type, or below it, ``(signature, type)``.
    level
        Of each type: 1, or more where it stands below others.
    prior
        Share of the cells of each signature, shape ``(signature,)``; sums to 1.
    base, threshold
        Of each marker: share of positive cells, and score that speaks neither for nor against.
    noise
        Share of the cells of a type that do not follow a rule of it.
    """

    names: tuple[str, ...]
    markers: tuple[str, ...]
    rules: tuple[Rule, ...]
    holds: NDArray[np.float64]
    belongs: NDArray[np.float64]
    level: NDArray[np.int64]
    prior: NDArray[np.float64]
    base: NDArray[np.float64]
    threshold: NDArray[np.float64]
    noise: float

    def evidence(self, scores: FloatArray) -> NDArray[np.float64]:
        """Of each cell for each rule, natural logarithm, ``(cell, rule)``; see `typeevidence`."""
        column = {name: k for k, name in enumerate(self.markers)}
        return rule_evidence(
            shifted(scores, self.threshold), self.rules, column, self.base, self.noise
        )

    def posterior(self, evidence: FloatArray) -> NDArray[np.float64]:
        """Probability of each signature, ``(cell, signature)``; rows sum to 1."""
        return _normalised(np.log(self.prior) + evidence @ self.holds)

    def of_types(self, posterior: FloatArray) -> NDArray[np.float64]:
        """Probability of each type with all below it, ``(cell, type)``."""
        return np.asarray(np.minimum(posterior @ self.belongs, 1.0))

    def decide(self, of_types: FloatArray, confidence: float) -> Decision:
        """The finest type that is likely enough, of several at one level the likeliest.

        Examples
        --------
        >>> model = type_model(TypeRules.from_json(
        ...     '[{"path": ["T"], "rules": []}, {"path": ["T", "CD8 T"], "rules": []}]'),
        ...     markers=(), base=np.zeros(0), threshold=np.zeros(0))
        >>> model.decide(np.array([[0.9, 0.6], [0.9, 0.4], [0.3, 0.1]]), 0.5)
        Decision(code=array([ 1,  0, -1]), confidence=array([0.6, 0.9, 0.3]))
        """
        rank = np.where(of_types >= confidence, 2 * self.level + of_types, of_types)
        best = rank.argmax(axis=1)
        sure = of_types[np.arange(len(best)), best].astype(np.float64)
        return Decision(np.where(sure >= confidence, best, -1), sure)

    def of_groups(self, evidence: FloatArray, n_cells: IntArray) -> NDArray[np.float64]:
        """Probability of each signature for groups of cells, ``(group, signature)``.

        Parameters
        ----------
        evidence
            Sum over the cells of each group, ``(group, rule)``.
        n_cells
            Cells of each group, shape ``(group,)``.
        """
        count = np.maximum(n_cells, 1)[:, None]
        witnesses = count / (1 + (count - 1) * SHARED_ERROR)
        return self.posterior(evidence / count * witnesses)


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """Type of each cell, -1 where none is likely enough, and the probability of the best one."""

    code: NDArray[np.int64]
    confidence: NDArray[np.float64]


def type_model(
    rules: TypeRules,
    *,
    markers: tuple[str, ...],
    base: FloatArray,
    threshold: FloatArray,
    noise: float = NOISE,
    shares: Mapping[str, float] | None = None,
) -> TypeModel:
    """Model in which all types and "none of these" are as common, or as `shares` says.

    Parameters
    ----------
    rules
        On `markers` alone.
    markers, base, threshold, noise
        As in :class:`TypeModel`.
    shares
        Share of the cells of each type; that of `UNASSIGNED` is as if it were one more type where
        it is not given. They are scaled to sum to 1.
    """
    names = rules.names
    every = tuple(dict.fromkeys(rule for one in rules.signatures for rule in one.rules))
    holds = np.zeros((len(every), len(rules.signatures) + 1))
    belongs = np.zeros((len(rules.signatures) + 1, len(names)))
    level = np.ones(len(names), dtype=np.int64)
    own = [names.index(one.name) for one in rules.signatures]
    for k, one in enumerate(rules.signatures):
        holds[[every.index(rule) for rule in one.rules], k] = 1
        belongs[k, [names.index(name) for name in one.path if name in names]] = 1
        level[own[k]] = max(level[own[k]], len(one.path))
    given = shares or dict.fromkeys(names, 1.0)
    total = sum(given[name] for name in names)
    ways = np.bincount(own, minlength=len(names))
    prior = np.array([given[names[k]] / ways[k] for k in own])
    prior = np.append(prior, given.get(UNASSIGNED, total / len(names)))
    return TypeModel(
        names=names,
        markers=markers,
        rules=every,
        holds=holds,
        belongs=belongs,
        level=level,
        prior=prior / prior.sum(),
        base=np.asarray(base, dtype=np.float64),
        threshold=np.asarray(threshold, dtype=np.float64),
        noise=noise,
    )


def estimated_prior(model: TypeModel, evidence: FloatArray) -> NDArray[np.float64]:
    """Share of each signature among cells, by expectation maximisation from `model.prior`.

    The share of "none of these" stays: as it has the shares of positive cells of all markers, it
    would take over the cells of types that few rules tell from others. As if one more cell had been
    seen, spread as `model.prior` says, so that no share becomes 0.

    Parameters
    ----------
    model
        Where it begins.
    evidence
        Of the cells, ``(cell, rule)``.

    Examples
    --------
    >>> from nimbus.core.assignment import AssignmentMatrix
    >>> matrix = AssignmentMatrix(("B", "T"), ("CD3", "CD20"), np.array([[0, 1], [1, 0]]))
    >>> model = type_model(TypeRules.of_matrix(matrix), markers=("CD3", "CD20"),
    ...                    base=np.array([0.3, 0.1]), threshold=np.array([0.5, 0.5]))
    >>> scores = np.repeat([[0.99, 0.01], [0.01, 0.99]], [300, 100], axis=0)
    >>> estimated_prior(model, model.evidence(scores)).round(2)
    array([0.17, 0.5 , 0.33])
    """
    likelihood = evidence @ model.holds
    prior, none = model.prior, model.prior[-1]
    for _ in range(MAX_STEPS):
        mean = _normalised(np.log(prior) + likelihood).sum(axis=0) + model.prior
        new = np.append(mean[:-1] * ((1 - none) / mean[:-1].sum()), none)
        moved = np.abs(new - prior).max()
        prior = new
        if moved < TOLERANCE:
            break
    return np.asarray(prior)


def _normalised(log: FloatArray) -> NDArray[np.float64]:
    """Exponentials of the rows, scaled to sum to 1."""
    values = np.exp(log - log.max(axis=1, keepdims=True))
    return np.asarray(values / values.sum(axis=1, keepdims=True))
