"""Scales: the number that each channel of each image is divided by."""

from __future__ import annotations

import math
from collections.abc import Mapping

from .intensity import Histogram, pooled
from .scalerule import ScaleRule

ScaleTable = dict[str, dict[str, float]]
"""Scale by image and channel."""


def scales_from(
    histograms: Mapping[str, Mapping[str, Histogram]],
    rule: ScaleRule,
    batches: Mapping[str, str],
) -> ScaleTable:
    """Scale of each channel of each image.

    Parameters
    ----------
    histograms
        By image and channel.
    rule
        Which quantile, of which pixels, and how images are pooled.
    batches
        Batch of each image; images of one batch share their scales.

    Returns
    -------
    Scales by image and channel; 0 for a channel without signal in its batch. The order of the
    images does not matter.

    Examples
    --------
    >>> import numpy as np
    >>> from nimbus.core.intensity import histogram
    >>> images = {"a": {"CD3": histogram(np.array([0, 4]))}, "b": {"CD3": histogram(np.array([8]))}}
    >>> one = {"a": "all", "b": "all"}
    >>> scales_from(images, ScaleRule(1.0), one)
    {'a': {'CD3': 8.0}, 'b': {'CD3': 8.0}}
    >>> scales_from(images, ScaleRule(1.0, pixels="positive", pool="image_mean"), one)
    {'a': {'CD3': 6.0}, 'b': {'CD3': 6.0}}
    """
    groups: dict[tuple[str, str], list[Histogram]] = {}
    for image, channels in histograms.items():
        for channel, one in channels.items():
            groups.setdefault((batches[image], channel), []).append(one)
    scale = {key: _scale(held, rule) for key, held in groups.items()}
    return {
        image: {channel: scale[batches[image], channel] for channel in channels}
        for image, channels in histograms.items()
    }


def _scale(held: list[Histogram], rule: ScaleRule) -> float:
    if rule.pixels == "positive":
        held = [one.positive() for one in held]
    if rule.pool == "dataset":
        held = [pooled(held)]
    quantiles = [q for one in held if not math.isnan(q := one.quantile(rule.quantile))]
    if not quantiles:
        return 0.0
    return max(math.fsum(quantiles) / len(quantiles), 0.0)  # fsum: the order cannot change it
