"""Changes of brightness, sharpness, noise and shape that leave the labels true."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nimbus._types import FloatArray

from .deform import displacements, moved
from .samples import Batch


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
    contrast
        Factor on the distance from the plane's mean.
    contrasted
        Part of the samples whose contrast changes.
    shift_px
        Deviation of the elastic deformation, in pixels.
    deformed
        Part of the samples that is deformed; masks and cells move with their channel.
    """

    log_gain: tuple[float, float] = (0.35, 1.6)
    offset: tuple[float, float] = (-0.02, 0.03)
    noise: tuple[float, float] = (0.0, 0.02)
    blur_px: tuple[float, float] = (0.3, 0.8)
    blurred: float = 0.25
    contrast: tuple[float, float] = (0.8, 1.2)
    contrasted: float = 0.25
    shift_px: tuple[float, float] = (0.5, 1.5)
    deformed: float = 0.25


@dataclass(frozen=True, slots=True)
class Change:
    """What was drawn for each sample of a batch, ``(n,)`` each; None: no such change."""

    gain: Tensor
    offset: Tensor
    noise: Tensor
    blur_px: Tensor
    seed: int
    contrast: Tensor | None = None
    shift_px: Tensor | None = None


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
        contrast=_tensor(_some(n, settings.contrast, settings.contrasted, rng, else_=1.0)),
        shift_px=_tensor(_some(n, settings.shift_px, settings.deformed, rng, else_=0.0)),
    )


def _some(
    n: int, bounds: tuple[float, float], part: float, rng: np.random.Generator, *, else_: float
) -> FloatArray:
    """Draws for a part of the samples, `else_` for the others."""
    chosen = rng.random(n) < part
    return np.where(chosen, rng.uniform(*bounds, n), else_)


def augmented(batch: Batch, change: Change) -> Batch:
    """`batch` after `change`: deformed first, planes, masks and ids alike, then :func:`changed`.

    A cell that the deformation leaves without pixels has no part in the loss.
    """
    if change.shift_px is None or not bool((change.shift_px > 0).any()):
        return replace(batch, planes=changed(batch.planes, change))
    height, width = batch.planes.shape[1:]
    shifts = displacements(change.shift_px, (height, width), seed=change.seed + 1)
    shifts = shifts.to(batch.planes.device)
    planes = moved(batch.planes, shifts, mode="bilinear")
    return replace(
        batch,
        planes=changed(planes, change),
        masks=moved(batch.masks, shifts, mode="nearest"),
        ids=moved(batch.ids.float(), shifts, mode="nearest").long(),
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
    if change.contrast is not None:
        mean = out.mean(dim=(1, 2), keepdim=True)
        out = mean + (out - mean) * _column(change.contrast, device)
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
