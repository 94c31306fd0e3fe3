"""The score by its definition, pixel by pixel in exact fractions; for tiny fields of any geometry.

Written from docs/design/score.md; nothing of the package is used.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

import numpy as np

MULTIPLE = 16
"""Of the geometry that a callable model gets."""


@dataclass(frozen=True)
class Geometry:
    """How a field's pixels lie; lengths are in image pixels, exact.

    Parameters
    ----------
    factor
        Size of a network pixel.
    label_size, start
        Size of a label pixel, and where the first one begins (y, x).
    """

    factor: Fraction
    label_size: Fraction
    start: tuple[int, int]


def smooth(planes):
    """A model that looks one pixel around, the same in every view: part blur, part mask."""
    padded = np.pad(planes, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect")
    around = sum(
        padded[:, :, y : y + planes.shape[2], x : x + planes.shape[3]]
        for y in range(3)
        for x in range(3)
    ) / np.float32(9)
    return (np.float32(0.5) * around + np.float32(0.3) * planes)[:, :1] + np.float32(0.15) * (
        planes[:, 1:]
    )


def slow_scores(image, labels, scales, geometry):
    """For each cell: score and mean intensity of each channel, area, centroid (y, x) in labels.

    A label pixel whose centre is not on the image does not count, nor does a cell of such alone.
    """
    mask = slow_mask(image.shape[1:], labels, geometry)
    maps = [
        _map(channel, scale, mask, geometry) for channel, scale in zip(image, scales, strict=True)
    ]
    cells = defaultdict(lambda: {"score": [], "intensity": [], "place": []})
    for (row, column), cell in np.ndenumerate(labels):
        if cell == 0:
            continue
        centre = [
            geometry.start[k] + (Fraction(index) + Fraction(1, 2)) * geometry.label_size
            for k, index in enumerate((row, column))
        ]
        if not all(0 <= c < n for c, n in zip(centre, image.shape[1:], strict=True)):
            continue
        sides = zip(centre, mask.shape, strict=True)
        pixel = tuple(min(floor(c / geometry.factor), n - 1) for c, n in sides)
        cells[int(cell)]["score"].append([one[pixel] for one in maps])
        cells[int(cell)]["place"].append((row + 0.5, column + 0.5))
        for y, x in _image_pixels(row, column, centre, image.shape[1:], geometry):
            cells[int(cell)]["intensity"].append([float(one[y, x]) for one in image])
    return {
        cell: {
            "score": np.mean(found["score"], axis=0),
            "intensity": np.mean(found["intensity"], axis=0),
            "area": len(found["place"]),
            "centroid": np.mean(found["place"], axis=0),
        }
        for cell, found in cells.items()
    }


def _image_pixels(row, column, centre, shape, geometry):
    """Image pixels inside a label pixel; the one under its centre where that is not larger."""
    if geometry.label_size <= 1:
        spans = [[floor(c)] for c in centre]
    else:
        corner = zip(geometry.start, (row, column), strict=True)
        edges = [start + index * geometry.label_size for start, index in corner]
        spans = [range(int(e), int(e + geometry.label_size)) for e in edges]
    return [(y, x) for y in spans[0] for x in spans[1] if 0 <= y < shape[0] and 0 <= x < shape[1]]


def _network_shape(shape, factor):
    return tuple(max(1, ceil(n / factor)) for n in shape)


def slow_mask(shape, labels, geometry):
    """Labels at half a network pixel, without inner borders, every second pixel."""
    half_shape = [max(1, ceil(2 * n / geometry.factor)) for n in shape]

    def id_at(j, i):
        place = []
        for k, index in enumerate((j, i)):
            inside = min(max(index, 0), half_shape[k] - 1)
            centre = (inside + Fraction(1, 2)) * geometry.factor / 2
            centre = min(centre, shape[k] - Fraction(1, 2))
            place.append(floor((centre - geometry.start[k]) / geometry.label_size))
        if all(0 <= p < n for p, n in zip(place, labels.shape, strict=True)):
            return int(labels[tuple(place)])
        return 0

    mask = np.zeros(_network_shape(shape, geometry.factor), dtype=np.float32)
    for row, column in np.ndindex(mask.shape):
        j, i = 2 * row, 2 * column
        own = id_at(j, i)
        beside = (id_at(j - 1, i), id_at(j + 1, i), id_at(j, i - 1), id_at(j, i + 1))
        mask[row, column] = own != 0 and all(one == own for one in beside)
    return mask


def _map(channel, scale, mask, geometry):
    """Probability of each network pixel of one channel."""
    factor = geometry.factor
    plane = np.zeros(mask.shape, dtype=np.float64)
    for row, column in np.ndindex(mask.shape):
        total = weight = 0.0
        for y, high in _overlaps(row, factor, channel.shape[0]):
            for x, wide in _overlaps(column, factor, channel.shape[1]):
                value = float(np.float32(channel[y, x]))
                scaled = min(max(value / scale, 0.0), 1.0) if scale > 0 else 0.0
                total += scaled * float(high * wide)
                weight += float(high * wide)
        plane[row, column] = total / weight
    rows, columns = (
        [_reflected(k, n) for k in range(-(-n // MULTIPLE) * MULTIPLE)] for n in mask.shape
    )
    planes = np.stack([plane, mask])[:, rows][:, :, columns][None].astype(np.float32)
    return smooth(planes)[0, 0]


def _overlaps(index, factor, n):
    """Image pixels under a network pixel, each with the length that lies under it."""
    low, high = index * factor, min((index + 1) * factor, Fraction(n))
    for pixel in range(floor(low), min(ceil(high), n)):
        yield pixel, min(Fraction(pixel + 1), high) - max(Fraction(pixel), low)


def _reflected(k, n):
    if n == 1:
        return 0
    k %= 2 * (n - 1)
    return min(k, 2 * (n - 1) - k)
