"""Phenotype workflows of scimap: broad types, and finer ones within them.

A row is a phenotype: first the group it is looked for in, then its name, then a word for each
marker. The first group holds all cells; every other group is the name of a phenotype, or that name
with ``-rest``: its cells that no phenotype of the group took.

========== =================================================================
``pos``    positive; each marker is weighed by itself
``neg``    negative; likewise
``allpos`` all of the markers with this word are positive, or it does not hold
``allneg`` all of them are negative
``anypos`` at least one of them is positive
``anyneg`` at least one of them is negative
========== =================================================================
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nimbus._check import listed, unknown_name

from .assignment import Assignment, counts_rows, csv_lines, entry_text, is_blank, read_assignment
from .typerules import Literal, Rule, Signature, TypeRules

WORDS = ("pos", "neg", "allpos", "allneg", "anypos", "anyneg")

REST = "-rest"
"""What scimap appends to the name of a group for the cells that none of its phenotypes took."""

MOST_SIGNATURES = 5000
"""A phenotype below several groups is looked for in each; more ways are surely a mistake."""


@dataclass(frozen=True, slots=True)
class Phenotype:
    """One row: the group it is looked for in, its name, and its own rules."""

    group: str
    name: str
    rules: tuple[Rule, ...]


def read_type_rules(given: Assignment) -> TypeRules:
    """Rules of an assignment matrix or of a phenotype workflow, whichever it is.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It is neither; the message names the file, the row and the entry.
    """
    if isinstance(given, pd.DataFrame):
        rows = _rows_of_frame(given)
        return (
            _workflow(rows) if _is_workflow(rows) else TypeRules.of_matrix(read_assignment(given))
        )
    if isinstance(given, str | Path):
        try:
            rows = csv_lines(Path(given).read_text(encoding="utf-8-sig"))
            if _is_workflow(rows):
                return _workflow(rows)
        except (ValueError, csv.Error) as error:
            raise ValueError(f"phenotype workflow {str(given)!r}: {error}") from error
    return TypeRules.of_matrix(read_assignment(given))


def _rows_of_frame(frame: pd.DataFrame) -> list[list[str]]:
    """Header and rows as they would stand in a file."""
    plain = frame if counts_rows(frame) else frame.reset_index()
    head = [entry_text(name) for name in plain.columns]
    return [head, *([entry_text(one) for one in row] for row in plain.to_numpy(dtype=object))]


def _is_workflow(rows: Sequence[Sequence[str]]) -> bool:
    """Whether a row has one of the words behind its two names."""
    return any(entry.lower() in WORDS for row in rows[1:] for entry in row[2:])


def _workflow(rows: Sequence[Sequence[str]]) -> TypeRules:
    header, *body = rows
    markers = list(header[2:])
    twice = sorted({name for name in markers if markers.count(name) > 1})
    if twice:
        raise ValueError(f"each marker has one column; these have several: {listed(twice)}")
    if any(is_blank(name) for name in markers):
        raise ValueError(f"a marker has no name among {listed(markers)}")
    phenotypes = [_phenotype(row, markers) for row in body]
    pairs = [(one.group, one.name) for one in phenotypes]
    for group, name in pairs:
        if pairs.count((group, name)) > 1:
            raise ValueError(f"phenotype {name!r} stands twice in group {group!r}")
    return TypeRules(tuple(_paths(phenotypes)))


def _phenotype(row: Sequence[str], markers: Sequence[str]) -> Phenotype:
    if len(row) != len(markers) + 2:
        raise ValueError(
            f"the row {listed(row[:2])} has {len(row)} entries, not {len(markers) + 2}"
        )
    group, name, *entries = row
    if is_blank(group) or is_blank(name):
        raise ValueError(f"a row has no group or no phenotype: {listed(row[:2])}")
    found: dict[str, list[str]] = {}
    for marker, entry in zip(markers, entries, strict=True):
        if is_blank(entry):
            continue
        word = entry.lower()
        if word not in WORDS:
            raise ValueError(
                f"phenotype {name!r}, marker {marker!r}: {unknown_name('word', entry, WORDS)}"
            )
        found.setdefault(word, []).append(marker)
    if not found:
        raise ValueError(f"phenotype {name!r} of group {group!r} says nothing of any marker")
    return Phenotype(group, name, tuple(_rules(found)))


def _rules(found: Mapping[str, Sequence[str]]) -> list[Rule]:
    rules = []
    for word, markers in found.items():
        literals = [Literal(marker, word.endswith("pos")) for marker in markers]
        if word.startswith("any"):
            rules.append(Rule((tuple(literals),)))
        elif word.startswith("all"):
            rules.append(Rule(tuple((one,) for one in literals)))
        else:
            rules += [Rule(((one,),)) for one in literals]
    return rules


def _paths(phenotypes: Sequence[Phenotype]) -> list[Signature]:
    """Every way from the group of all cells down to each phenotype, broad ones first."""
    root = phenotypes[0].group
    below = _by_parent(phenotypes, root)
    found: list[Signature] = []
    level = [Signature((root,), ())]
    while level:
        level = [_finer(above, one, below) for above in level for one in below.get(above.name, [])]
        found += level
        if len(found) > MOST_SIGNATURES:
            raise ValueError(
                f"the groups name each other so often that there are more than {MOST_SIGNATURES} "
                "ways down; give phenotypes that stand in several groups names of their own"
            )
    reached = {one.name for one in found}
    lost = [one.name for one in phenotypes if one.name not in reached]
    if lost:
        raise ValueError(f"no way leads from the first group, {root!r}, to {listed(lost)}")
    return [Signature(one.path[1:], one.rules) for one in found]


def _by_parent(phenotypes: Sequence[Phenotype], root: str) -> dict[str, list[Phenotype]]:
    """Phenotypes by the name that their group, or the rest of it, belongs to."""
    names = {root, *(one.name for one in phenotypes)}
    below: dict[str, list[Phenotype]] = {}
    for one in phenotypes:
        parent = one.group if one.group in names else one.group.removesuffix(REST)
        if parent not in names:
            there = list(dict.fromkeys([root, *(other.name for other in phenotypes)]))
            raise ValueError(f"phenotype {one.name!r}: {unknown_name('group', one.group, there)}")
        below.setdefault(parent, []).append(one)
    return below


def _finer(above: Signature, one: Phenotype, below: Mapping[str, Sequence[Phenotype]]) -> Signature:
    """A phenotype within another; in the rest of a group, where none of that group holds.

    Raises
    ------
    ValueError
        It is within itself.
    """
    if one.name in above.path:
        raise ValueError(
            f"groups go in a circle: {' > '.join((*above.path, one.name))}; a phenotype cannot be "
            "looked for within itself"
        )
    others = (
        [] if one.group == above.name else [o for o in below[above.name] if o.group == above.name]
    )
    none_of_them = (
        Rule(tuple(clause for rule in other.rules for clause in rule.clauses), negated=True)
        for other in others
    )
    return Signature((*above.path, one.name), (*above.rules, *none_of_them, *one.rules))
