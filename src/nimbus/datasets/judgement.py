"""What a careful observer would say of each label: positive, negative, or that no eye can tell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nimbus._types import BoolArray, FloatArray

from .effects import Effects, Recorded
from .fields import Channel
from .places import Places

MIN_Z, MIN_CONTRAST = 4.5, 0.55
"""A positive is seen when its own counts are more than so many deviations of the rest of the
light in its place, and more than this part of that light."""

DARK_SCATTER, MIN_NEGATIVES = 2.0, 5
"""Its place is brighter than those of so many negatives by this many times their scatter."""

MIN_COUNTS = 5.0
"""Fewer counts of its own make no positive visible."""

MIN_VALUE = 0.012
"""A positive whose own mean is below this part of the scale is as dark as the background."""

LIKE_POSITIVE = 0.6
"""A negative is undecided when foreign light that looks like a cell's own reaches this part of
what dim positives of the channel have (quarter of them are dimmer)."""

LIKE_SCALE = 0.15
"""The same, as a part of the scale, for a channel without visible positives."""

LIKE_REST, MIN_SPREAD = 0.3, 0.25
"""Such light must also reach this part of all other light, and spread over this part of the
place: a bright speck in a large cell deceives nobody."""

LIKE_FILLED = 0.5
"""A negative is undecided when light that fills all cells reaches this part of what typical
positives have: whether such a channel is specific is not to be seen."""

FILLED_SCALE, FILLED_REST = 0.08, 0.5
"""The same in a channel without visible positives: as parts of the scale, and of all other light.
What fills all nuclei and is as bright as that might as well be a stain of nuclei."""

HALF_SHARE = 0.35
"""A visible positive that fills less of a merged label than this leaves it undecided."""

_NEGATIVE, _UNDECIDED, _POSITIVE = 0, 1, 2
_LABEL = np.array([0, -1, 1], dtype=np.int8)


def judged(channel: Channel, places: Places, effects: Effects, scale: float) -> NDArray[np.int8]:
    """Label of each id 1 to n of the label image: 1, 0, or -1 where no eye can tell.

    A label is positive if one visible positive fills a good part of it.

    Parameters
    ----------
    channel
        The channel: its counts and its truth.
    places
        Members of the labels.
    effects
        Effects of the channel.
    scale
        What the channel is divided by.
    """
    area = places.sums(np.ones(places.image.shape))
    recorded = channel.recorded
    own, total = places.sums(recorded.own), places.sums(recorded.image)
    total = total - area * max(effects.offset, 0)
    positive = channel.positive[places.cell - 1]
    seen = positive & visible(own, total, area, effects)
    seen &= own > MIN_VALUE * scale * area
    seen &= stands_above(total / np.maximum(area, 1), positive)
    usual = own[seen] / area[seen]
    fooled = deceptive(places, recorded, area, usual, scale)
    fooled = ~positive & (fooled | unspecific(places, recorded, area, usual, scale))
    rank = np.where(positive | fooled, _UNDECIDED, _NEGATIVE)
    rank[seen & (places.share >= HALF_SHARE)] = _POSITIVE
    best = np.full(places.n_labels + 1, _NEGATIVE)
    np.maximum.at(best, places.label, rank)
    known = np.zeros(places.n_labels + 1, dtype=bool)
    known[places.label] = True
    best[~known] = _UNDECIDED
    return np.asarray(_LABEL[best[1:]])


def visible(own: FloatArray, total: FloatArray, area: FloatArray, effects: Effects) -> BoolArray:
    """Whether the cell's own counts in each place stand out from all others, and arrived.

    Parameters
    ----------
    own
        Expected counts of the cell's own molecules in each place.
    total
        All counts there, as recorded.
    area
        Pixels of the place.
    effects
        Effects of the channel.
    """
    other = np.maximum(total - own, 0)
    per_ion = max(effects.counts_per_ion, 1.0)
    noise = np.sqrt(other * per_ion + area * effects.read_noise**2 + 1)
    stands_out = (own > MIN_Z * noise) & (own > MIN_CONTRAST * other)
    return np.asarray(stands_out & (own >= MIN_COUNTS * per_ion) & (total > 0.4 * own))


def stands_above(mean: FloatArray, positive: BoolArray) -> BoolArray:
    """Whether each mean is above what background alone gives to negatives.

    The scatter of the background is that of the darker half of the negatives: the brighter half
    has bright neighbours.

    Examples
    --------
    >>> mean = np.array([10.0, 10, 11, 12, 12, 90, 13, 30])
    >>> stands_above(mean, np.array([0, 0, 0, 0, 0, 0, 1, 1], dtype=bool))[-2:]
    array([False,  True])
    """
    if np.count_nonzero(~positive) < MIN_NEGATIVES:
        return np.ones(len(mean), dtype=bool)
    low, middle = np.quantile(mean[~positive], (0.16, 0.5))
    return np.asarray(mean > middle + DARK_SCATTER * (middle - low))


def deceptive(
    places: Places, recorded: Recorded, area: FloatArray, usual: FloatArray, scale: float
) -> BoolArray:
    """Whether light from elsewhere looks in each place as if it were the cell's own.

    Parameters
    ----------
    places
        The places.
    recorded
        The channel.
    area
        Pixels of each place.
    usual
        Mean of their own counts in the places of visible positives.
    scale
        What the channel is divided by.
    """
    mimic, total = places.sums(recorded.mimic), places.sums(recorded.image)
    squares = places.sums(recorded.mimic**2)
    spread = mimic**2 / np.maximum(squares * area, 1e-9)
    least = LIKE_SCALE * scale
    if len(usual) >= 3:
        least = LIKE_POSITIVE * float(np.quantile(usual, 0.25))
    strong = (mimic > least * area) & (mimic >= MIN_COUNTS)
    above = mimic > LIKE_REST * np.maximum(total - mimic, 0)
    return np.asarray(strong & above & (spread > MIN_SPREAD))


def unspecific(
    places: Places, recorded: Recorded, area: FloatArray, usual: FloatArray, scale: float
) -> BoolArray:
    """Whether light that fills every cell is as bright in each place as a stain of all cells.

    Arguments are those of :func:`deceptive`.
    """
    filled, total = places.sums(recorded.filled), places.sums(recorded.image)
    if len(usual) >= 3:
        return np.asarray(filled > LIKE_FILLED * float(np.median(usual)) * area)
    bright = filled > FILLED_SCALE * scale * area
    return np.asarray(bright & (filled > FILLED_REST * np.maximum(total - filled, 0)))
