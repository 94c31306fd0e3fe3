"""Right and wrong calls, and the rates that follow from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nimbus._types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Confusion:
    """Cells by truth and call; arrays of one shape, e.g. one value for each resample.

    Parameters
    ----------
    true_positive, false_positive, false_negative, true_negative
        Numbers of cells; weighted cells count as often as their weight.

    Notes
    -----
    A rate whose denominator is 0 is NaN: there is no precision where nothing was called positive.

    Examples
    --------
    >>> counts = Confusion(*np.array([3.0, 1.0, 2.0, 4.0]))
    >>> counts.precision, counts.recall, counts.specificity, counts.accuracy
    (array(0.75), array(0.6), array(0.8), array(0.7))
    """

    true_positive: FloatArray
    false_positive: FloatArray
    false_negative: FloatArray
    true_negative: FloatArray

    @property
    def precision(self) -> NDArray[np.float64]:
        """Part of the called cells that is positive."""
        return ratio(self.true_positive, self.true_positive + self.false_positive)

    @property
    def recall(self) -> NDArray[np.float64]:
        """Part of the positive cells that is called."""
        return ratio(self.true_positive, self.true_positive + self.false_negative)

    @property
    def specificity(self) -> NDArray[np.float64]:
        """Part of the negative cells that is not called."""
        return ratio(self.true_negative, self.true_negative + self.false_positive)

    @property
    def f1(self) -> NDArray[np.float64]:
        """Harmonic mean of precision and recall."""
        wrong = self.false_positive + self.false_negative
        return ratio(2 * self.true_positive, 2 * self.true_positive + wrong)

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """Part of the cells that is called right."""
        right = self.true_positive + self.true_negative
        return ratio(right, right + self.false_positive + self.false_negative)


RATES = ("precision", "recall", "specificity", "f1", "accuracy")
"""What follows from a :class:`Confusion`."""


def confusion(
    called: BoolArray, positive: BoolArray, field: IntArray, weights: FloatArray
) -> Confusion:
    """Count calls, each field as often as its weight says.

    Parameters
    ----------
    called, positive
        Call and truth of each cell, shape ``(cells,)``.
    field
        Number of the field each cell lies in, from 0.
    weights
        Shape ``(resamples, fields)``.

    Returns
    -------
    Counts of shape ``(resamples,)``.

    Examples
    --------
    >>> called, positive = np.array([True, True, False]), np.array([True, False, True])
    >>> weights = np.array([[1.0, 1.0], [0.0, 2.0]])
    >>> confusion(called, positive, np.array([0, 0, 1]), weights).false_negative
    array([1., 2.])
    """
    n_fields = weights.shape[1]
    kind = np.where(positive, np.where(called, 0, 2), np.where(called, 1, 3))
    counts = np.bincount(field * 4 + kind, minlength=4 * n_fields).reshape(n_fields, 4)
    return Confusion(*(weights @ counts).T)


def ratio(part: FloatArray | IntArray, whole: FloatArray | IntArray) -> NDArray[np.float64]:
    """`part` over `whole`; NaN where that is 0.

    Examples
    --------
    >>> ratio(np.array([1.0, 0.0]), np.array([4.0, 0.0]))
    array([0.25,  nan])
    """
    shape = np.broadcast_shapes(np.shape(part), np.shape(whole))
    out = np.full(shape, np.nan)
    np.divide(part, whole, out=out, where=np.asarray(whole) != 0)
    return out
