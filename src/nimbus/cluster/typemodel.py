"""How likely each cell type is for each cell, or for a group of cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nimbus._types import FloatArray, IntArray
from nimbus.core.typerules import Rule, TypeRules

from .typeevidence import rule_ratios, shifted

UNASSIGNED = "unassigned"
"""Name of cells of which no type is likely enough."""

NOISE = 0.05
"""So many cells of a type do not follow a rule of it; then the marker is as in any cell.

Types of real tissue express what the literature says in all but a few per cent of their cells, and
of calls about as many are wrong. It is where the estimate of each rule begins.
"""

NOISE_WEIGHT = 0.15
"""`NOISE` counts as if so many of all cells had shown it, against those that a type really has.

With less the estimate believes rare types of which little is seen; ``docs/design/annotation.md``
has other values tried.
"""

MOST_NOISE = 0.95
"""A rule never becomes quite without meaning."""

CONFIDENCE = 0.5
"""A type is named from here on: then it is likelier than all others together, and none of them."""

SHARED_ERROR = 0.25
"""Correlation of the errors of cells in one group.

They were put together because they look alike, and look alike in what is wrong of them, too. Of
`n` witnesses with this correlation ``n / (1 + (n - 1) SHARED_ERROR)`` count (Kish's design effect,
*Survey Sampling*, 1965): one for one cell, four for any number.
"""

MAX_STEPS, TOLERANCE = 200, 1e-4


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
        Share of the cells of a type that do not follow a rule of it, shape ``(rule,)``.
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
    noise: NDArray[np.float64]

    def ratios(self, scores: FloatArray) -> NDArray[np.float64]:
        """What scores say of each rule, ``(cell, rule)``; see `typeevidence`."""
        column = {name: k for k, name in enumerate(self.markers)}
        return rule_ratios(shifted(scores, self.threshold), self.rules, column, self.base)

    def evidence(self, scores: FloatArray) -> NDArray[np.float64]:
        """Of each cell for each rule, natural logarithm, ``(cell, rule)``."""
        return np.asarray(np.log((1 - self.noise) * self.ratios(scores) + self.noise))

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
        noise=np.full(len(every), noise),
    )


def fitted(model: TypeModel, ratios: FloatArray, *, noise: bool, prior: bool) -> TypeModel:
    """The model that fits some cells best, by expectation maximisation.

    Parameters
    ----------
    model
        Where it begins.
    ratios
        Of the cells, ``(cell, rule)``.
    noise
        Estimate the share of cells that do not follow a rule, for each rule, so that a marker that
        failed loses its say.
    prior
        Estimate the shares of signatures, as if one more cell had been seen, spread as
        `model.prior` says. The share of "none of these" stays: as it has the shares of positive
        cells of all markers, it would take over the types that few rules tell from others.

    Examples
    --------
    >>> from nimbus.core.assignment import AssignmentMatrix
    >>> matrix = AssignmentMatrix(("B", "T"), ("CD3", "CD20"), np.array([[0, 1], [1, 0]]))
    >>> model = type_model(TypeRules.of_matrix(matrix), markers=("CD3", "CD20"),
    ...                    base=np.array([0.3, 0.1]), threshold=np.array([0.5, 0.5]))
    >>> scores = np.repeat([[0.99, 0.01], [0.01, 0.99]], [300, 100], axis=0)
    >>> fitted(model, model.ratios(scores), noise=False, prior=True).prior.round(2)
    array([0.17, 0.5 , 0.33])
    """
    found = model
    for _ in range(MAX_STEPS):
        follows = (1 - found.noise) * ratios + found.noise
        posterior = found.posterior(np.log(follows))
        new = replace(
            found,
            prior=_shares(posterior, model.prior) if prior else found.prior,
            noise=_strays(posterior, follows, found) if noise else found.noise,
        )
        moved = max(np.abs(new.prior - found.prior).max(), np.abs(new.noise - found.noise).max())
        found = new
        if moved < TOLERANCE:
            break
    return found


def _shares(posterior: FloatArray, begin: FloatArray) -> NDArray[np.float64]:
    types = (posterior.sum(axis=0) + begin)[:-1]
    return np.append(types * ((1 - begin[-1]) / types.sum()), begin[-1])


def _strays(posterior: FloatArray, follows: FloatArray, model: TypeModel) -> NDArray[np.float64]:
    """Share of the cells of types with a rule that do not follow it, for each rule."""
    own = posterior @ model.holds.T
    weight = NOISE_WEIGHT * len(posterior)
    strays = (own * (model.noise / follows)).sum(axis=0)
    return np.asarray(
        np.minimum((strays + NOISE * weight) / (own.sum(axis=0) + weight), MOST_NOISE)
    )


def _normalised(log: FloatArray) -> NDArray[np.float64]:
    """Exponentials of the rows, scaled to sum to 1."""
    values = np.exp(log - log.max(axis=1, keepdims=True))
    return np.asarray(values / values.sum(axis=1, keepdims=True))
