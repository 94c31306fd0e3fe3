"""Cell types that the markers there are cannot tell apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from nimbus._check import listed

from .typerules import Rule, Signature, TypeRules

OR = " / "
"""Between the names of types that are one for the markers there are."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """Types that cannot be told apart, or only one way.

    Parameters
    ----------
    kind
        ``"same"``: equal rules; ``"nested"``: what fits the second fits the first; ``"silent"``:
        no rule at all.
    names
        The types; of nested ones first the broader.
    rules
        What the finer has in addition.
    """

    kind: Literal["same", "nested", "silent"]
    names: tuple[str, ...]
    rules: tuple[Rule, ...] = ()

    def __str__(self) -> str:
        match self.kind:
            case "same":
                return f"{listed(self.names)} have equal signatures"
            case "nested":
                extra = ", ".join(map(str, self.rules))
                return f"{self.names[1]!r} is {self.names[0]!r} with {extra}"
            case "silent":
                return f"no rule is left of {listed(self.names)}"


def told_apart(rules: TypeRules) -> tuple[TypeRules, tuple[Overlap, ...]]:
    """Rules that say of each cell at most one type, and all that overlaps.

    Equal types go on under their names, parted by `OR`. A type without a rule is left out. Of
    nested types the finer stands below the broader, which keeps the cells that the finer does not
    fit.

    Examples
    --------
    >>> import numpy as np
    >>> from nimbus.core.assignment import AssignmentMatrix
    >>> values = np.array([[1, -1], [1, -1], [1, 1], [-1, -1]])
    >>> matrix = AssignmentMatrix(("T", "NKT", "CD8 T", "X"), ("CD3", "CD8"), values)
    >>> rules, overlaps = told_apart(TypeRules.of_matrix(matrix))
    >>> for one in rules.signatures:
    ...     print(one.path, *one.rules)
    ('T / NKT',) CD3+ CD8-
    ('T / NKT', 'CD8 T') CD3+ CD8+
    >>> for overlap in overlaps:
    ...     print(overlap)
    no rule is left of 'X'
    'T', 'NKT' have equal signatures
    'CD8 T' is 'T / NKT' with CD8+
    """
    loud = tuple(one for one in rules.signatures if one.rules)
    silent = [name for name in rules.names if name not in {one.name for one in loud}]
    groups = _equal(loud)
    names = {name: OR.join(group) for group in groups for name in group}
    merged = tuple(dict.fromkeys(TypeRules(loud).renamed(names).signatures))
    overlaps = [Overlap("silent", (name,)) for name in silent]
    overlaps += [Overlap("same", group) for group in groups]
    nested = tuple(_nested(merged))
    if all(len(one.path) == 1 for one in merged):
        merged = _with_levels(merged)
    return TypeRules(_exclusive(merged)), (*overlaps, *nested)


def _with_levels(signatures: Sequence[Signature]) -> tuple[Signature, ...]:
    """Rows of a matrix below those that they are a finer kind of, the broadest first."""
    return tuple(
        replace(
            one,
            path=(
                *(
                    broad.name
                    for broad in sorted(signatures, key=lambda other: len(other.rules))
                    if set(broad.rules) < set(one.rules)
                ),
                one.name,
            ),
        )
        for one in signatures
    )


def _exclusive(signatures: Sequence[Signature]) -> tuple[Signature, ...]:
    """Each also without the signatures below it, so that a cell fits one of them."""
    found = []
    for one in signatures:
        finer = [
            tuple(rule for rule in other.rules if rule not in one.rules)
            for other in signatures
            if one.name in other.path[:-1] and set(one.rules) < set(other.rules)
        ]
        found.append(replace(one, rules=(*_plain(one.rules), *_none_of(finer))))
    return tuple(found)


def _plain(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Negated rules said without it where that can be."""
    return tuple(Rule(one.clauses).negation() if one.negated else one for one in rules)


def _none_of(finer: Iterable[Sequence[Rule]]) -> tuple[Rule, ...]:
    """Rules that none of these holds whole; one that follows from another is left out."""
    wholes = {
        tuple(clause for rule in rules if not rule.negated for clause in rule.clauses)
        for rules in finer
    }
    least = [
        one for one in wholes if one and not any(set(other) < set(one) for other in wholes if other)
    ]
    return tuple(Rule(clauses).negation() for clauses in sorted(least, key=str))


def _equal(signatures: Sequence[Signature]) -> list[tuple[str, ...]]:
    """Names that share a set of rules; a name is in one group at most."""
    group_of: dict[str, set[str]] = {}
    by_rules: dict[frozenset[Rule], list[str]] = {}
    for one in signatures:
        by_rules.setdefault(frozenset(one.rules), []).append(one.name)
    for names in by_rules.values():
        joined = set(names).union(*(group_of.get(name, set()) for name in names))
        for name in joined:
            group_of[name] = joined
    order = list(dict.fromkeys(one.name for one in signatures))
    groups = {
        tuple(sorted(group, key=order.index)) for group in group_of.values() if len(group) > 1
    }
    return sorted(groups, key=lambda group: order.index(group[0]))


def _nested(signatures: Sequence[Signature]) -> Iterable[Overlap]:
    """Pairs in which one has all rules of the other and more, but does not stand below it."""
    seen: set[tuple[str, str]] = set()
    for broad in signatures:
        for fine in signatures:
            pair = (broad.name, fine.name)
            extra = tuple(rule for rule in fine.rules if rule not in broad.rules)
            within = set(broad.rules) < set(fine.rules)
            if within and pair not in seen and broad.name not in fine.path:
                seen.add(pair)
                yield Overlap("nested", pair, extra)
