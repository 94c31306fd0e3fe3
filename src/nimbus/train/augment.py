"""Changes of brightness, sharpness and noise that leave the labels true."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nimbus._types import FloatArray


@dataclass(frozen=True, slots=True)
class AugmentSettings:
    """Ranges from which each sample draws its own change.

    Parameters
    ----------
    log_gain
        Factor on the channel, even on the logarithm.
    offset
        Added to the channel.
    noise
        Deviation of the noise that is added.
    blur_px
        Deviation of the blur, and the part of samples that is blurred.
    blurred
        Part of the samples that is blurred.
    """

    log_gain: tuple[float, float] = (0.35, 1.6)
    offset: tuple[float, float] = (-0.02, 0.03)
    noise: tuple[float, float] = (0.0, 0.02)
    blur_px: tuple[float, float] = (0.3, 0.8)
    blurred: float = 0.25


@dataclass(frozen=True, slots=True)
class Change:
    """What was drawn for each sample of a batch, ``(n,)`` each."""

    gain: Tensor
    offset: Tensor
    noise: Tensor
    blur_px: Tensor
    seed: int


def draw_change(n: int, settings: AugmentSettings, rng: np.random.Generator) -> Change:
    """Draw the change of `n` samples."""
    low, high = np.log(settings.log_gain)
    is_blurred = rng.random(n) < settings.blurred
    return Change(
        gain=_tensor(np.exp(rng.uniform(low, high, n))),
        offset=_tensor(rng.uniform(*settings.offset, n)),
        noise=_tensor(rng.uniform(*settings.noise, n)),
        blur_px=_tensor(np.where(is_blurred, rng.uniform(*settings.blur_px, n), 0.0)),
        seed=int(rng.integers(2**62)),
    )


def changed(planes: Tensor, change: Change) -> Tensor:
    """Planes ``(n, y, x)`` after `change`, again in [0, 1].

    Examples
    --------
    >>> one, none = torch.ones(1), torch.zeros(1)
    >>> twice = Change(gain=2 * one, offset=none, noise=none, blur_px=none, seed=0)
    >>> changed(torch.tensor([[[0.2, 0.7]]]), twice)
    tensor([[[0.4000, 1.0000]]])
    """
    device = planes.device
    generator = torch.Generator().manual_seed(change.seed)
    noise = torch.randn(planes.shape, generator=generator).to(device)
    out = blurred(planes, change.blur_px.to(device))
    out = out * _column(change.gain, device) + _column(change.offset, device)
    return (out + noise * _column(change.noise, device)).clamp(0, 1)


def blurred(planes: Tensor, sigma_px: Tensor) -> Tensor:
    """Each plane after its own Gaussian blur of at most 5 x 5 pixels; 0 leaves it."""
    reach = torch.arange(-2, 3, device=planes.device, dtype=planes.dtype)
    sigma = sigma_px.clamp(min=1e-3)[:, None]
    line = torch.exp(-0.5 * (reach / sigma) ** 2)
    line = line / line.sum(dim=1, keepdim=True)
    kernel = (line[:, :, None] * line[:, None, :])[:, None]
    padded = F.pad(planes[None], (2, 2, 2, 2), mode="replicate")
    return F.conv2d(padded, kernel, groups=len(planes))[0]


def _tensor(values: FloatArray) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))


def _column(values: Tensor, device: torch.device) -> Tensor:
    return values.to(device)[:, None, None]
