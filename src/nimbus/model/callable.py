"""A user's own function as a model; nothing here needs PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .predicting import HOST_LOCK, Predictor
from .views import View

ModelFunction: TypeAlias = Callable[[NDArray[np.float32]], Any]
"""``(n, 2, y, x)`` float32 planes to ``(n, 1, y, x)`` probabilities (NumPy or a CPU tensor)."""


@dataclass(frozen=True)
class CallablePredictor(Predictor):
    """Asks a function, and checks each answer.

    Parameters
    ----------
    function
        Probabilities ``(n, 1, y, x)`` of planes ``(n, 2, y, x)``.
    batch_size
        How many pairs of planes it is given at once.

    Examples
    --------
    >>> predictor = CallablePredictor(lambda planes: planes[:, :1] * planes[:, 1:])
    >>> planes = np.array([[[[0.5, 0.25]], [[1, 0]]]], dtype=np.float32)
    >>> predictor.predict(planes)
    array([[[[0.5, 0. ]]]], dtype=float32)
    """

    function: ModelFunction
    batch_size: int = 1

    def each_view(
        self, planes: NDArray[np.float32], views: Sequence[View]
    ) -> Iterator[NDArray[np.float32]]:
        """Probabilities of one view after the other, turned back, axes ``(n, y, x)``.

        Raises
        ------
        ValueError
            The function gave another shape, values outside [0, 1] or values that are not finite.
        """
        for view in views:
            seen = np.array(view.apply(planes), order="C")  # the function's own, to change
            parts = [
                _checked(self.function(part), part.shape)
                for part in np.split(seen, range(self.batch_size, len(seen), self.batch_size))
            ]
            yield np.ascontiguousarray(view.invert(np.concatenate(parts)))

    def fitting(self, n_pixels: int) -> int:  # noqa: ARG002 - of any size
        """`batch_size`."""
        return self.batch_size

    @property
    def lock(self) -> AbstractContextManager[object]:
        """The same for all functions; they may use the processor as they like."""
        return HOST_LOCK


def _checked(answer: Any, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The answer without its plane axis."""
    values = np.asarray(answer)
    wanted = (shape[0], 1, *shape[2:])
    if values.shape != wanted:
        raise ValueError(
            f"the model gave shape {values.shape} for planes {shape}; expected {wanted}"
        )
    if not np.issubdtype(values.dtype, np.floating):
        raise ValueError(f"the model gave {values.dtype}; expected floating point probabilities")
    if not np.isfinite(values).all():
        raise ValueError("the model gave values that are not finite")
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 1:
        raise ValueError(
            f"the model gave values from {low:.4g} to {high:.4g}; expected probabilities in "
            "[0, 1] (a network that gives logits needs a sigmoid)"
        )
    return values[:, 0].astype(np.float32, copy=False)
