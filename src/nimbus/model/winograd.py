r"""Winograd's minimal filtering: 3x3 convolutions with a quarter of the multiplications.

F(4x4, 3x3) (Lavin and Gray, *Fast algorithms for convolutional neural networks*, 2016): 4x4
outputs come from 6x6 inputs through 36 products instead of 144. In one dimension, with inputs
:math:`d` and taps :math:`g`,

.. math:: y = A^T [(G g) \odot (B^T d)]

and in two dimensions each matrix works on both axes.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nimbus._types import FloatArray

N_OUT = 4
"""Outputs of a tile, per axis."""

N_IN = 6
"""Inputs of a tile, per axis."""

POINTS = (0.0, 0.75, -0.75, 1.5, -1.5)
"""Where the polynomials are interpolated, besides infinity.

The textbook's 0, 1, -1, 2, -2 lose five times as much to rounding in float32
(docs/design/network.md); these are exact in binary too.
"""


def transforms() -> tuple[FloatArray, FloatArray, FloatArray]:
    """The matrices ``A^T (4, 6)``, ``G (6, 3)`` and ``B^T (6, 6)``, in float64.

    Examples
    --------
    >>> outward, taps, inward = transforms()
    >>> d, g = np.array([3.0, 1, 4, 1, 5, 9]), np.array([2.0, 7, 1])
    >>> outward @ ((taps @ g) * (inward @ d))
    array([17., 31., 20., 46.])
    >>> np.correlate(d, g)
    array([17., 31., 20., 46.])
    """
    at = np.array(POINTS)
    others = [np.delete(at, i) for i in range(at.size)]
    scale = np.array([np.prod(point - other) for point, other in zip(at, others, strict=True)])
    outward = np.column_stack([at ** np.arange(N_OUT)[:, None], np.eye(N_OUT)[-1]])
    taps = np.vstack([at[:, None] ** np.arange(3) / scale[:, None], np.eye(3)[-1]])
    inward = np.zeros((N_IN, N_IN))
    for row, other in zip(inward, others, strict=False):
        row[:-1] = np.poly(other)[::-1]
    inward[-1] = np.poly(at)[::-1]
    return outward, taps, inward


def transformed_weights(weight: Tensor) -> Tensor:
    """Weights ``(n_out, n_in, 3, 3)`` as matrices ``(6 x * 6 y, n_in, n_out)``, float32."""
    taps = transforms()[1]
    both = np.einsum("iy,jx->jiyx", taps, taps).reshape(N_IN * N_IN, 9)
    n_out, n_in = weight.shape[:2]
    turned = weight.float().reshape(n_out, n_in * 9).T.contiguous()  # quicker than all at once
    pixels = turned.view(n_in, 9, n_out).transpose(0, 1).reshape(9, n_in * n_out)
    return (torch.from_numpy(both).float() @ pixels).view(-1, n_in, n_out)
