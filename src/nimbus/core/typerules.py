"""What must hold of a cell of each cell type: rules on which markers are positive."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from nimbus._check import listed, require_known

from .assignment import NEGATIVE, POSITIVE, AssignmentMatrix


@dataclass(frozen=True, slots=True)
class Literal:
    """One marker is positive, or negative.

    Examples
    --------
    >>> str(Literal("CD3", True)), str(Literal("CD20", False))
    ('CD3+', 'CD20-')
    """

    marker: str
    positive: bool

    def __str__(self) -> str:
        return self.marker + ("+" if self.positive else "-")


Clause: TypeAlias = tuple[Literal, ...]
"""At least one of these holds."""


@dataclass(frozen=True, slots=True)
class Rule:
    """All clauses hold; or, where `negated`, not all of them.

    Examples
    --------
    >>> any_of = Rule(((Literal("CD68", True), Literal("CD163", True)),))
    >>> str(any_of), str(Rule((), negated=True)), str(Rule(any_of.clauses, negated=True))
    ('CD68+ or CD163+', 'not ()', 'not (CD68+ or CD163+)')
    """

    clauses: tuple[Clause, ...]
    negated: bool = False

    @classmethod
    def of(cls, marker: str, positive: bool) -> Rule:
        """The rule that one marker is positive, or negative."""
        return cls(((Literal(marker, positive),),))

    @property
    def markers(self) -> tuple[str, ...]:
        """Markers that it speaks of, each once."""
        return tuple(dict.fromkeys(one.marker for clause in self.clauses for one in clause))

    def negation(self) -> Rule:
        """The rule that holds where this one does not; without `negated` where that can be said.

        Examples
        --------
        >>> both = Rule(((Literal("CD4", True),), (Literal("CD8", False),)))
        >>> str(both.negation()), str(both.negation().negation())
        ('CD4- or CD8+', 'CD4+ and CD8-')
        """
        if self.negated:
            return Rule(self.clauses)
        if all(len(clause) == 1 for clause in self.clauses):
            return Rule((tuple(_flipped(one) for (one,) in self.clauses),))
        if len(self.clauses) == 1:
            return Rule(tuple((_flipped(one),) for one in self.clauses[0]))
        return Rule(self.clauses, negated=True)

    def without(self, markers: Collection[str]) -> Rule | None:
        """What is left of it when nothing is known of these markers; ``None`` where nothing is."""
        if self.negated:  # "not both" says nothing more once one of both is unknown
            return None if set(self.markers) & set(markers) else self
        left = (tuple(one for one in own if one.marker not in markers) for own in self.clauses)
        clauses = tuple(clause for clause in left if clause)
        return Rule(clauses) if clauses else None

    def __str__(self) -> str:
        many = len(self.clauses) > 1
        parts = [" or ".join(map(str, clause)) for clause in self.clauses]
        parts = [f"({part})" if many and " or " in part else part for part in parts]
        text = " and ".join(parts)
        return f"not ({text})" if self.negated else text


@dataclass(frozen=True, slots=True)
class Signature:
    """One way of being of a cell type.

    Parameters
    ----------
    path
        Names from the broadest to its own; one name where there are no levels.
    rules
        All rules of the path.
    """

    path: tuple[str, ...]
    rules: tuple[Rule, ...]

    @property
    def name(self) -> str:
        """The finest name."""
        return self.path[-1]


@dataclass(frozen=True, slots=True)
class TypeRules:
    """Signatures of all cell types; a type may have several, below different broader ones.

    Examples
    --------
    >>> import numpy as np
    >>> matrix = AssignmentMatrix(("B", "T"), ("CD3", "CD20"), np.array([[0, 1], [1, -1]]))
    >>> rules = TypeRules.of_matrix(matrix)
    >>> rules.names, [str(rule) for rule in rules.signatures[0].rules]
    (('B', 'T'), ['CD3-', 'CD20+'])
    """

    signatures: tuple[Signature, ...]

    @classmethod
    def of_matrix(cls, matrix: AssignmentMatrix) -> TypeRules:
        """Each row is a type, each 1 or 0 a rule; a blank is none."""
        signatures = []
        for name, row in zip(matrix.cell_types, matrix.values, strict=True):
            rules = tuple(
                Rule.of(marker, bool(value == POSITIVE))
                for marker, value in zip(matrix.markers, row, strict=True)
                if value in (POSITIVE, NEGATIVE)
            )
            signatures.append(Signature((name,), rules))
        return cls(tuple(signatures))

    @property
    def names(self) -> tuple[str, ...]:
        """Cell types in the order of their first signature."""
        return tuple(dict.fromkeys(one.name for one in self.signatures))

    @property
    def markers(self) -> tuple[str, ...]:
        """Markers that any rule speaks of, each once."""
        rules = (rule for one in self.signatures for rule in one.rules)
        return tuple(dict.fromkeys(marker for rule in rules for marker in rule.markers))

    def without_types(self, names: Iterable[str]) -> TypeRules:
        """The same without some types, and what stands below them.

        Raises
        ------
        ValueError
            An unknown type, or none is left.
        """
        gone = set(names)
        require_known("cell type", gone, self.names)
        left = tuple(one for one in self.signatures if not gone & set(one.path))
        if not left:
            raise ValueError(f"no cell type is left without {listed(sorted(gone))}")
        return TypeRules(left)

    def without_markers(self, markers: Collection[str]) -> TypeRules:
        """The same where nothing is known of some markers."""
        return TypeRules(
            tuple(
                replace(
                    one, rules=tuple(left for rule in one.rules if (left := rule.without(markers)))
                )
                for one in self.signatures
            )
        )

    def renamed(self, names: Mapping[str, str]) -> TypeRules:
        """The same under other names."""
        return TypeRules(
            tuple(
                replace(one, path=tuple(names.get(name, name) for name in one.path))
                for one in self.signatures
            )
        )

    def to_json(self) -> str:
        """Text that :meth:`from_json` reads back as an equal value."""
        return json.dumps(
            [
                {
                    "path": one.path,
                    "rules": [
                        {
                            "clauses": [[(x.marker, x.positive) for x in c] for c in rule.clauses],
                            "negated": rule.negated,
                        }
                        for rule in one.rules
                    ],
                }
                for one in self.signatures
            ]
        )

    @classmethod
    def from_json(cls, text: str) -> TypeRules:
        """What :meth:`to_json` wrote."""
        return cls(tuple(_signature(one) for one in json.loads(text)))


def _flipped(one: Literal) -> Literal:
    return Literal(one.marker, not one.positive)


def _signature(read: Mapping[str, Any]) -> Signature:
    rules = (
        Rule(
            tuple(tuple(Literal(str(m), bool(p)) for m, p in clause) for clause in rule["clauses"]),
            negated=bool(rule["negated"]),
        )
        for rule in read["rules"]
    )
    return Signature(tuple(str(name) for name in read["path"]), tuple(rules))
