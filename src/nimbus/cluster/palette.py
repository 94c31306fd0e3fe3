"""Colours that stay apart, as many as wanted, always in the same order."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache

import numpy as np
from numpy.typing import NDArray

STEPS = 9
"""Levels of red, green and blue among which colours are chosen."""

LIGHTNESS = (0.42, 0.88)
"""Neither near black, which outlines have, nor near white, which paper has."""

CHROMA = (0.07, 0.21)
"""Greys stand for what has no metacluster; the purest screen colours are hard on the eye."""

# OKLab of linear RGB (Ottosson, 2020): distances there are close to what the eye sees.
_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def distinct_colors(n: int, *, taken: Collection[str] = ()) -> list[str]:
    """Colours such as ``"#e60049"``, none of which is among `taken`.

    A longer list begins with the shorter one. Colours begin again when none is left.

    Examples
    --------
    >>> first = distinct_colors(3)
    >>> distinct_colors(5)[:3] == first
    True
    >>> distinct_colors(1, taken=first) == distinct_colors(4)[3:]
    True
    """
    every = _ordered()
    free = [color for color in every if color not in set(taken)] or list(every)
    return [free[k % len(free)] for k in range(n)]


@cache
def _ordered() -> tuple[str, ...]:
    """Candidates, each the one that is farthest from all before it."""
    levels = np.linspace(0, 255, STEPS).round()
    rgb = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    lab = _oklab(rgb / 255)
    light, chroma = lab[:, 0], np.hypot(lab[:, 1], lab[:, 2])
    kept = (
        (light > LIGHTNESS[0])
        & (light < LIGHTNESS[1])
        & (chroma > CHROMA[0])
        & (chroma < CHROMA[1])
    )
    rgb, lab = rgb[kept], lab[kept]
    order = [int(np.argmin(np.linalg.norm(lab - _oklab(np.array([0.0, 0.45, 0.7])), axis=1)))]
    nearest = np.full(len(lab), np.inf)
    while len(order) < len(lab):
        nearest = np.minimum(nearest, np.linalg.norm(lab - lab[order[-1]], axis=1))
        order.append(int(np.argmax(nearest)))
    return tuple("#{:02x}{:02x}{:02x}".format(*rgb[k].astype(int)) for k in order)


def _oklab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return np.asarray(np.cbrt(linear @ _TO_CONES.T) @ _TO_LAB.T)
