"""What the engine asks of a model, with or without PyTorch."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager

import numpy as np
from numpy.typing import NDArray

from .views import IDENTITY, View

HOST_LOCK = threading.Lock()
"""Held while the processor works: other threads of this process read ahead meanwhile."""


class Predictor(ABC):
    """Planes in, probabilities out.

    Planes are float32, axes ``(n, 2, y, x)``: the scaled channel in [0, 1] and the mask plane.
    Height and width must be multiples of the card's `multiple`.

    Examples
    --------
    >>> from nimbus.model import VIEWS, CallablePredictor
    >>> left = CallablePredictor(lambda planes: planes[:, :1] * [1.0, 0.0])  # half of what it sees
    >>> planes = np.ones((1, 2, 2, 2), np.float32)
    >>> left.predict(planes)[0, 0]
    array([[1., 0.],
           [1., 0.]], dtype=float32)
    >>> left.predict_views(planes, VIEWS)[0]
    array([[0.5, 0.5],
           [0.5, 0.5]], dtype=float32)
    """

    @abstractmethod
    def each_view(
        self, planes: NDArray[np.float32], views: Sequence[View]
    ) -> Iterator[NDArray[np.float32]]:
        """Probabilities of one view after the other, turned back, axes ``(n, y, x)``.

        The order is that of `views`. Where the device does not work ahead, one view is held at a
        time.
        """

    @abstractmethod
    def fitting(self, n_pixels: int) -> int:
        """Pairs of planes of so many pixels that go to the device at once."""

    @property
    @abstractmethod
    def lock(self) -> AbstractContextManager[object]:
        """To be held while views are taken, so that two threads do not compete for the device."""

    def predict(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities without views, axes ``(n, 1, y, x)``."""
        return self.predict_view(planes, IDENTITY)[:, None]

    def predict_view(self, planes: NDArray[np.float32], view: View) -> NDArray[np.float32]:
        """Probabilities seen through one view, turned back, axes ``(n, y, x)``."""
        return next(iter(self.each_view(planes, [view])))

    def predict_views(
        self, planes: NDArray[np.float32], views: Sequence[View]
    ) -> NDArray[np.float32]:
        """Mean over the views, axes ``(n, y, x)``; summed in their order."""
        if not views:
            raise ValueError("views is empty; give at least the identity")
        n, _, height, width = planes.shape
        mean = np.zeros((n, height, width), dtype=np.float32)
        for probability in self.each_view(planes, views):
            mean += probability
        mean /= len(views)
        return mean
