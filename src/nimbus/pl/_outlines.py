"""Lines along the sides of pixels where one cell ends."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nimbus._types import BoolArray, IntArray


def outline_segments(labels: IntArray) -> NDArray[np.float64]:
    """Segments between different ids, each as long as it is straight.

    Parameters
    ----------
    labels
        Cell ids, axes ``(y, x)``; 0 is background. The edge of the array is no outline.

    Returns
    -------
    Shape ``(n, 2, 2)``: segments, their ends, and (x, y) in pixels from the upper left corner of
    the first pixel.

    Examples
    --------
    >>> outline_segments(np.array([[1, 2], [1, 2], [1, 1]])).tolist()
    [[[1.0, 2.0], [2.0, 2.0]], [[1.0, 0.0], [1.0, 2.0]]]
    """
    across = _runs(labels[1:] != labels[:-1])  # between a row and the next
    down = _runs((labels[:, 1:] != labels[:, :-1]).T)
    return np.concatenate([_lines(across), _lines(down)[:, :, ::-1]])


def _runs(sides: BoolArray) -> tuple[IntArray, IntArray, IntArray]:
    """Line, start and stop of each run of true values along the rows."""
    steps = np.diff(np.pad(sides, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    line, start = np.nonzero(steps == 1)
    _, stop = np.nonzero(steps == -1)
    return line, start, stop


def _lines(runs: tuple[IntArray, IntArray, IntArray]) -> NDArray[np.float64]:
    """Ends (x, y) of runs along x, each between row `line` and the next."""
    line, start, stop = runs
    ends = [np.stack([place, line + 1], axis=-1) for place in (start, stop)]
    return np.stack(ends, axis=1).astype(np.float64)
