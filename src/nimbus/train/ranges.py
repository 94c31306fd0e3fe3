"""Checks of settings: what is out of its range is named, with the range."""

from __future__ import annotations

import numpy as np


def require_at_least(settings: object, least: float, *names: str) -> None:
    """Raise ``ValueError`` for the first field, or a number of it, that is less; NaN is."""
    for name in names:
        value = getattr(settings, name)
        if not np.min(value) >= least:
            raise ValueError(f"{name} must be at least {least}, not {value!r}")


def require_above(settings: object, low: float, *names: str) -> None:
    """Raise ``ValueError`` for the first field, or a number of it, that is not more."""
    for name in names:
        value = getattr(settings, name)
        if not np.min(value) > low:
            raise ValueError(f"{name} must be above {low}, not {value!r}")


def require_within(settings: object, low: float, high: float, *names: str) -> None:
    """Raise ``ValueError`` for the first field that is not from `low` to `high`."""
    for name in names:
        value = getattr(settings, name)
        if not low <= value <= high:
            raise ValueError(f"{name} must be from {low} to {high}, not {value!r}")


def require_rising(settings: object, *names: str) -> None:
    """Raise ``ValueError`` for the first field that is no range: two finite numbers that rise."""
    for name in names:
        value = getattr(settings, name)
        if np.shape(value) != (2,) or not np.isfinite(value).all() or value[0] > value[1]:
            raise ValueError(f"{name} must be two numbers, the smaller first, not {value!r}")
