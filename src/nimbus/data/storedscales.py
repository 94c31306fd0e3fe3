"""Scales of a data set, kept in ``sdata.attrs`` and found again."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from spatialdata import SpatialData

from nimbus._check import listed
from nimbus._keys import Attrs
from nimbus.core.scalerule import ScaleRule
from nimbus.engine.source import NanRule

from .scales import (
    GivenScales,
    Scales,
    UsedScales,
    compute_scales,
    given_scales,
    used_scales,
)

Panels = Mapping[str, Sequence[str]]
"""Channels by image."""


def store_scales(sdata: SpatialData, scales: Scales) -> None:
    """Keep scales in ``sdata.attrs["nimbus_scales"]``; those of other channels and images stay.

    The attribute is a list: an entry for each pass, which has a rule of its own.
    """
    older = [_without(one, scales.table) for one in _kept(sdata)]
    kept = [asdict(one) for one in [*older, scales] if one.table]
    sdata.attrs = {**sdata.attrs, Attrs.SCALES: kept}  # a crop shares those of the whole


def scales_to_use(
    sdata: SpatialData,
    images: Panels,
    rule: ScaleRule,
    *,
    given: GivenScales | None,
    nan: NanRule,
    n_jobs: int,
    show_progress_bar: bool,
    keep: bool,
) -> UsedScales:
    """Scales of these channels of these images: given, else stored; what is lacking is computed.

    Parameters
    ----------
    sdata
        Where images and stored scales are.
    images
        Channels by image.
    rule
        That of the model.
    given
        What the user gave.
    nan, n_jobs, show_progress_bar
        As in :func:`nimbus.data.scales.compute_scales`.
    keep
        Store what was computed in ``sdata.attrs``.
    """
    if given is not None:
        return given_scales(given, images)
    scales = stored_scales(sdata, images, rule)
    if missing := lacking(images, scales):
        computed = compute_scales(
            sdata,
            missing,
            rule,
            by="dataset",
            nan=nan,
            n_jobs=n_jobs,
            show_progress_bar=show_progress_bar,
        )
        if keep:
            store_scales(sdata, computed)
        scales.append(computed)
    return used_scales(scales, images)


def stored_scales(sdata: SpatialData, images: Panels, rule: ScaleRule) -> list[Scales]:
    """Stored scales that serve these images and this rule.

    Scales whose quantile the user chose serve every model; others serve only models of the same
    rule. Those pooled over the data set give way, unless chosen, where an image lacks the channel
    or has it from another pass: with all these images the pool is another.

    Warns
    -----
    UserWarning
        Scales of another rule; channels that lack one, where the user chose those of others or
        scales give way.
    """
    every = _kept(sdata)
    here = [_only(one, images) for one in every]
    serving = [one for one in here if one.chosen or one.rule == rule]
    anew = {channel for names in lacking(images, serving).values() for channel in names}
    anew |= _of_several_pools(serving)
    pooled_anew = dict.fromkeys(images, anew)
    found = [
        _without(one, pooled_anew) if one.pooled and not one.chosen else one for one in serving
    ]
    _warn_of_other_rules(here, rule)
    if found != serving or any(one.chosen or not one.pooled for one in every):
        _warn_of_lack(lacking(images, here), rule)
    return found


def _of_several_pools(stored: Sequence[Scales]) -> set[str]:
    """Channels whose scales were pooled in more than one pass, over some of the images each."""
    pools = [one for one in stored if one.pooled and not one.chosen]
    passes = Counter(c for one in pools for c in {c for own in one.table.values() for c in own})
    return {channel for channel, n in passes.items() if n > 1}


def lacking(images: Panels, stored: Sequence[Scales]) -> dict[str, list[str]]:
    """Channels by image that have no scale; without images that have all."""
    there = {(i, c) for one in stored for i, own in one.table.items() for c in own}
    lack = {i: [c for c in names if (i, c) not in there] for i, names in images.items()}
    return {image: names for image, names in lack.items() if names}


def _warn_of_other_rules(stored: Sequence[Scales], rule: ScaleRule) -> None:
    other = [one.rule for one in stored if one.table and not one.chosen and one.rule != rule]
    if other:
        warnings.warn(
            f"stored scales follow {other[0]}, but the model was trained with {rule}; computing "
            "scales by the model's rule. To keep another rule, pass quantile= to "
            "nimbus.pp.normalize",
            stacklevel=4,
        )


def _warn_of_lack(lack: Panels, rule: ScaleRule) -> None:
    absent = [f"{channel} ({image})" for image, names in lack.items() for channel in names]
    if absent:
        warnings.warn(
            f"no scale is stored for {listed(absent)}; computing it by the model's rule, {rule}, "
            "from the images of this call, and anew what was pooled over others. Scales of a "
            "chosen quantile stay; to have theirs here, run nimbus.pp.normalize for these too",
            stacklevel=4,
        )


def _kept(sdata: SpatialData) -> list[Scales]:
    entries: Any = sdata.attrs.get(Attrs.SCALES, [])
    if isinstance(entries, Mapping):  # stores before there were several rules
        old = {"table": entries["scales"], "pooled": True}
        entries = [{"rule": entries["rule"], "chosen": entries["chosen"], **old}]
    return [Scales(**{**entry, "rule": ScaleRule(**entry["rule"])}) for entry in entries]


def _only(scales: Scales, images: Panels) -> Scales:
    """What they have of these channels of these images."""
    return _filtered(scales, lambda image, channel: channel in images.get(image, ()))


def _without(scales: Scales, images: Mapping[str, Collection[str]]) -> Scales:
    return _filtered(scales, lambda image, channel: channel not in images.get(image, ()))


def _filtered(scales: Scales, keep: Callable[[str, str], bool]) -> Scales:
    table = {
        image: {channel: scale for channel, scale in own.items() if keep(image, channel)}
        for image, own in scales.table.items()
    }
    return replace(scales, table={image: own for image, own in table.items() if own})
