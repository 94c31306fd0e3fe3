"""Several GPUs of one process: each gets the next tile."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .predicting import Predictor
from .views import View


@dataclass(frozen=True)
class ManyDevices(Predictor):
    """Hands calls round to predictors that do the same, each on a device of its own.

    Parameters
    ----------
    predictors
        One for each device.
    calls
        Counts the calls.
    """

    predictors: tuple[Predictor, ...]
    calls: Iterator[int] = field(default_factory=itertools.count, repr=False, compare=False)

    def each_view(
        self, planes: NDArray[np.float32], views: Sequence[View]
    ) -> Iterator[NDArray[np.float32]]:
        """Probabilities of one view after the other, from the device whose turn it is."""
        return self.predictors[next(self.calls) % len(self.predictors)].each_view(planes, views)

    def fitting(self, n_pixels: int) -> int:
        """Pairs of planes of so many pixels that go to one device at once."""
        return self.predictors[0].fitting(n_pixels)

    @property
    def lock(self) -> AbstractContextManager[object]:
        """Nothing: each device has its own."""
        return nullcontext()
