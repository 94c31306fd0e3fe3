"""Elastic deformation of tiles: planes, masks and cell ids moved alike."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

WAVE_PX = 24
"""Distance between two independent displacements; smooth in between."""


def displacements(shift_px: Tensor, size: tuple[int, int], *, seed: int) -> Tensor:
    """Smooth random shifts of every pixel, float32 ``(n, 2, y, x)``: along x, then along y.

    Parameters
    ----------
    shift_px
        Deviation of the shifts of each sample, in pixels, ``(n,)``; 0 leaves a sample.
    size
        Height and width.
    seed
        The same seed gives the same shifts on every device.
    """
    generator = torch.Generator().manual_seed(seed)
    coarse = [side // WAVE_PX + 3 for side in size]
    noise = torch.randn(len(shift_px), 2, *coarse, generator=generator)
    smooth = F.interpolate(noise, size=size, mode="bicubic", align_corners=True)
    return smooth * shift_px.cpu()[:, None, None, None]


def moved(values: Tensor, shifts: Tensor, *, mode: str) -> Tensor:
    """`values` ``(n, y, x)`` read at each pixel's place plus its shift, reflected at the edge.

    Parameters
    ----------
    values
        Float32; integers up to 2^24 come out exact with ``mode="nearest"``.
    shifts
        In pixels, ``(n, 2, y, x)``.
    mode
        ``"bilinear"`` for intensities, ``"nearest"`` for masks and ids.

    Examples
    --------
    >>> row = torch.tensor([[[1.0, 2.0, 3.0, 4.0]]])
    >>> one_right = torch.tensor([1.0, 0.0])[None, :, None, None].expand(1, 2, 1, 4)
    >>> moved(row, one_right, mode="nearest")
    tensor([[[2., 3., 4., 4.]]])
    """
    height, width = values.shape[1:]
    x = torch.arange(width, device=values.device) + shifts[:, 0]
    y = torch.arange(height, device=values.device)[:, None] + shifts[:, 1]
    # grid_sample wants -1 and 1 at the outer edges of the first and the last pixel.
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
    out = F.grid_sample(
        values[:, None], grid, mode=mode, padding_mode="reflection", align_corners=False
    )
    return out[:, 0]
