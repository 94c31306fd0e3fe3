"""What a training channel is divided by: all that a user's data set might give as its scale."""

from __future__ import annotations

import numpy as np

from .effects import Effects
from .fields import Channel

LIT = 0.7
"""Part of the channels whose scale is a quantile of the positive pixels, as `nimbus-s` wants it."""

LIT_QUANTILES = (0.98, 0.99, 0.99, 0.995, 0.999)
ALL_QUANTILES = (0.995, 0.998, 0.999, 0.9995, 0.9999)
"""Quantiles of the positive pixels, or of all, that a tile's scale is drawn from."""

OTHER_FIELDS = (0.6, 2.5)
"""Factor by which the scale of the whole data set differs from that of this field."""

OUTSHONE = 0.1
OUTSHONE_BY = (2.0, 6.0)
"""Part of the channels whose scale comes from far brighter things in other fields, and how far."""

LEAST = 1.0
"""Smallest scale: one count."""


def field_scale(channel: Channel) -> float:
    """The scale that `nimbus-s` would take from this field alone."""
    lit = channel.recorded.image[channel.recorded.image > 0]
    return max(float(np.quantile(lit, 0.99)), LEAST) if lit.size else LEAST


def draw_scale(channel: Channel, effects: Effects, rng: np.random.Generator) -> float:
    """Divisor of a channel: some percentile of this field, or what other fields would give.

    A marker that is absent here often has the scale that its positives elsewhere give, and
    otherwise one so small that noise looks bright.
    """
    image = channel.recorded.image
    lit = image[image > 0]
    positive = bool(lit.size) and rng.random() < LIT
    quantile = float(rng.choice(LIT_QUANTILES if positive else ALL_QUANTILES))
    scale = float(np.quantile(lit if positive else image, quantile))
    scale *= _log_uniform(OTHER_FIELDS, rng)
    if rng.random() < OUTSHONE:
        scale *= _log_uniform(OUTSHONE_BY, rng)
    if not channel.positive.any() and rng.random() < 0.5:
        scale = max(scale, effects.photons * float(rng.uniform(1.0, 3.0)))
    return max(scale, LEAST)


def _log_uniform(bounds: tuple[float, float], rng: np.random.Generator) -> float:
    low, high = np.log(bounds)
    return float(np.exp(rng.uniform(low, high)))
