"""Cell types that the markers there are cannot tell apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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
    """Rules in which equal types are one type, and all that overlaps.

    Equal types go on under their names, parted by `OR`. A type without a rule is left out. Nested
    types stay: the finer one is named where its own markers speak for it.

    Examples
    --------
    >>> import numpy as np
    >>> from nimbus.core.assignment import AssignmentMatrix
    >>> values = np.array([[1, -1], [1, -1], [1, 1], [-1, -1]])
    >>> matrix = AssignmentMatrix(("T", "NKT", "CD8 T", "X"), ("CD3", "CD8"), values)
    >>> rules, overlaps = told_apart(TypeRules.of_matrix(matrix))
    >>> rules.names
    ('T / NKT', 'CD8 T')
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
    merged = TypeRules(loud).renamed(names)
    merged = TypeRules(tuple(dict.fromkeys(merged.signatures)))
    overlaps = [Overlap("silent", (name,)) for name in silent]
    overlaps += [Overlap("same", group) for group in groups]
    return merged, (*overlaps, *_nested(merged.signatures))


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
