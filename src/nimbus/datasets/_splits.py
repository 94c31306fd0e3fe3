"""Which groups of fields are learned from, and which are only looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nimbus._check import listed, require_known

Split = Mapping[str, float] | Mapping[str, Sequence[str]]
"""Share of the groups of each part, or its groups by name."""


def assign_groups(
    groups: Mapping[str, Sequence[str]], split: Split, *, random_state: int
) -> dict[tuple[str, str], str]:
    """Part of each group of each data set; a group is never in two.

    Parameters
    ----------
    groups
        Patients, or fields, of each data set; their order does not matter.
    split
        ``{part: share}``: in each data set every part but the first gets its share of the groups,
        rounded, at least one; the first gets the others. Or ``{part: names of groups}``; groups
        that are not named are in no part.
    random_state
        Seed of the draw.

    Raises
    ------
    ValueError
        Shares that do not add up to 1, too few groups, a group that does not exist or is named
        twice.

    Examples
    --------
    >>> shares = {"train": 0.7, "test": 0.3}
    >>> parts = assign_groups({"d": ["a", "b", "c"]}, shares, random_state=0)
    >>> sorted(parts.values())
    ['test', 'train', 'train']
    >>> named = {"train": ["b"], "test": ["a"]}
    >>> assign_groups({"d": ["a", "b", "c"]}, named, random_state=0)
    {('d', 'a'): 'test', ('d', 'b'): 'train'}
    """
    names = {dataset: sorted(set(own)) for dataset, own in groups.items()}
    shares = {part: float(v) for part, v in split.items() if isinstance(v, int | float)}
    if shares:
        _check_shares(shares, split)
        part_of = {dataset: _drawn(own, shares, random_state) for dataset, own in names.items()}
    else:
        every = sorted({name for own in names.values() for name in own})
        named = _named(every, {part: _as_list(value) for part, value in split.items()})
        part_of = dict.fromkeys(names, named)
    return {
        (dataset, name): part_of[dataset][name]
        for dataset, own in names.items()
        for name in own
        if name in part_of[dataset]
    }


def _check_shares(shares: Mapping[str, float], split: Split) -> None:
    whole = abs(sum(shares.values()) - 1) < 1e-6
    if len(shares) != len(split) or min(shares.values()) <= 0 or not whole:
        raise ValueError(f"the shares of split must be above 0 and add up to 1, not {dict(split)}")


def _drawn(names: list[str], shares: Mapping[str, float], random_state: int) -> dict[str, str]:
    first, *others = shares
    counts = [max(1, round(shares[part] * len(names))) for part in others]
    counts.insert(0, len(names) - sum(counts))
    if counts[0] < 1:
        raise ValueError(
            f"{len(names)} groups ({listed(names)}) are too few for the parts {listed(shares)}; "
            "name fewer parts, or split by something finer"
        )
    order = np.random.default_rng(random_state).permutation(len(names))
    parts = np.repeat([first, *others], counts)
    return {names[k]: str(part) for k, part in sorted(zip(order.tolist(), parts, strict=True))}


def _named(names: list[str], given: Mapping[str, Sequence[str]]) -> dict[str, str]:
    if not given:
        raise ValueError("split names no part; pass e.g. {'train': 0.8, 'test': 0.2}, or None")
    parts: dict[str, str] = {}
    for part, wanted in given.items():
        require_known(f"group of split[{part!r}]", wanted, names)
        twice = [name for name in wanted if name in parts]
        if twice:
            raise ValueError(f"split names {listed(twice)} in {parts[twice[0]]!r} and in {part!r}")
        parts |= dict.fromkeys(wanted, part)
    return parts


def _as_list(value: object) -> list[str]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError(f"split holds shares, or lists of names of groups, not {value!r}")
    return [str(name) for name in value]
