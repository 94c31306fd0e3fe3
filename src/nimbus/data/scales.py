"""Scales of a data set: computed in one pass over its pixels, or given."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from spatialdata import SpatialData

from nimbus._check import Named, by_name, listed, require_known
from nimbus.core.intensity import Histogram
from nimbus.core.scalerule import ScaleRule
from nimbus.core.scales import ScaleTable, scales_from
from nimbus.engine.histograms import ImagePass, channel_histograms
from nimbus.engine.pixels import laid_out
from nimbus.engine.source import NanRule

from .elements import channel_names, chosen_channels, element_array

By = str | Mapping[str, str]
"""``"dataset"``, ``"image"``, or the batch of each image."""

GivenScales = Mapping[str, float] | Mapping[str, Mapping[str, float]] | pd.Series
"""``{channel: divisor}``, or a series by channel, or ``{image: {channel: divisor}}``."""


@dataclass(frozen=True, slots=True)
class Scales:
    """Scales of one rule.

    Parameters
    ----------
    table
        Scale by image and channel.
    rule
        The rule.
    pooled
        Whether they were pooled over the data set, so that another image changes them.
    chosen
        Whether the user chose the quantile, so that it holds for every model.
    """

    table: ScaleTable
    rule: ScaleRule
    pooled: bool
    chosen: bool = False

    def told(self) -> str:
        """Where they come from, in words."""
        return str(self.rule) if self.pooled else f"{self.rule} of each batch"


@dataclass(frozen=True, slots=True)
class UsedScales:
    """Scales of a run.

    Parameters
    ----------
    table
        Scale by image and channel.
    origins
        ``"given"``, or the rules they came from, in words.
    """

    table: ScaleTable
    origins: tuple[str, ...]


def compute_scales(
    sdata: SpatialData,
    images: Mapping[str, Sequence[str]],
    rule: ScaleRule,
    *,
    by: By,
    nan: NanRule,
    n_jobs: int,
    show_progress_bar: bool,
) -> Scales:
    """Scales of some channels of some images, in one pass over their pixels.

    Parameters
    ----------
    sdata
        Where the images are.
    images
        Channels by image.
    rule
        Which quantile, of which pixels, and how images are pooled.
    by
        ``"dataset"``: all images share a scale; ``"image"``: each has its own; a mapping from
        image to batch name: images of one batch share.
    nan
        What NaN and infinite pixels do.
    n_jobs
        Threads, where no Dask cluster is active.
    show_progress_bar
        Show the chunks that are done.
    """
    batches = _batches(list(images), by)  # what cannot be is refused before pixels are read
    passes = []
    for key, wanted in images.items():
        names = channel_names(sdata.images[key], image_key=key)
        index = [names.index(channel) for channel in wanted]
        image = laid_out(chosen_channels(element_array(sdata.images[key]), index))
        passes.append(ImagePass(key, image, tuple(wanted)))
    counted = channel_histograms(
        passes, nan=nan, n_jobs=n_jobs, show_progress_bar=show_progress_bar
    )
    histograms = dict(zip(images, counted, strict=True))
    _warn_without_contrast(histograms)
    table = scales_from(histograms, rule, batches)
    return Scales(table, rule, pooled=isinstance(by, str) and by == "dataset")


def used_scales(passes: Sequence[Scales], images: Mapping[str, Sequence[str]]) -> UsedScales:
    """Scales of these channels of these images, of several rules together."""
    merged = {
        (image, channel): scale
        for one in passes
        for image, own in one.table.items()
        for channel, scale in own.items()
    }
    table = {image: {c: merged[image, c] for c in names} for image, names in images.items()}
    return UsedScales(table, tuple(dict.fromkeys(one.told() for one in passes)))


def given_scales(
    given: GivenScales,
    images: Mapping[str, Sequence[str]],
) -> UsedScales:
    """Scales as the user gave them: ``{channel: divisor}`` or ``{image: {channel: divisor}}``.

    Raises
    ------
    TypeError
        Scales without the names of their channels.
    ValueError
        A channel without a scale, or a scale that is negative or not finite.
    """
    table: ScaleTable = {}
    named: dict[str, Any] = by_name("scales", given)
    for image, channels in images.items():
        of_image = named.get(image)  # a number where a channel has the name of the image
        own = by_name("scales", of_image) if isinstance(of_image, Named) else named
        require_known(f"scale of image {image!r} for channel", channels, list(own))
        table[image] = {channel: float(own[channel]) for channel in channels}
        wrong = {c: s for c, s in table[image].items() if not 0 <= s < float("inf")}
        if wrong:
            raise ValueError(
                f"scales are divisors above 0, or 0 for a channel without signal; image {image!r} "
                f"has {wrong}"
            )
    return UsedScales(table, ("given",))


def warn_without_signal(table: ScaleTable) -> None:
    """Warn of channels whose scale is 0: they are scored on zeros."""
    empty = [f"{c} ({image})" for image, own in table.items() for c, s in own.items() if s <= 0]
    if empty:
        warnings.warn(
            f"no signal in {listed(empty)}: the scale is 0 and these channels are scored as zeros",
            stacklevel=3,
        )


def _warn_without_contrast(histograms: Mapping[str, Mapping[str, Histogram]]) -> None:
    """Warn of channels that have one value above 0 in all pixels of an image."""
    flat = [
        f"{c} ({image})"
        for image, own in histograms.items()
        for c, one in own.items()
        if one.values.size == 1 and one.values[0] > 0 and one.counts[0] > 1
    ]
    if flat:
        warnings.warn(
            f"no contrast in {listed(flat)}: all pixels have the same value, so that scores say "
            "nothing there; is the channel saturated, or no stain?",
            stacklevel=3,
        )


def _batches(images: Iterable[str], by: By) -> dict[str, str]:
    if isinstance(by, Named):
        batches = by_name("batches", by)
        require_known("batch of image", images, list(batches))
        return {image: str(batches[image]) for image in images}
    if by == "dataset":
        return dict.fromkeys(images, "dataset")
    if by == "image":
        return {image: image for image in images}
    raise ValueError(
        f"by={by!r} is not one of 'dataset', 'image', or a mapping from image to batch name"
    )
