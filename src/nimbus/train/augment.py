"""Changes of brightness, sharpness, noise and shape that leave the labels true."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nimbus._types import FloatArray

from .deform import displacements, moved
from .ranges import require_above, require_at_least, require_rising, require_within
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
    gamma, bent
        Exponent of the channel, even on the logarithm, and the part of samples that has one: images
        that somebody stretched.
    lift, lifted
        Constant background that is added, as a part of the scale, even on the logarithm, and the
        part of samples that has it. The scale of such an image is larger: it divides the sum.
    counts, counted
        Counts of a pixel at the scale, even on the logarithm, and the part of samples that is
        counted anew: with the noise of few photons or ions.
    exponent
        All but background and counts changes the channel to this power, which is then undone. With
        0.5, the square root, noise and offset are as strong where the channel is dim as they are to
        a network that sees the square root.

    Raises
    ------
    ValueError
        For a range that is not two rising numbers, a part beyond 0 and 1, or a value outside its
        range.

    Examples
    --------
    Nothing but a factor between a half and two:

    >>> settings = AugmentSettings(
    ...     log_gain=(0.5, 2.0), offset=(0.0, 0.0), noise=(0.0, 0.0), blurred=0.0, contrasted=0.0
    ... )
    >>> change = draw_change(1000, settings, np.random.default_rng(0))
    >>> round(float(change.gain.min()), 1), round(float(change.gain.max()), 1)
    (0.5, 2.0)
    >>> float(change.blur_px.max()), float(change.noise.max())
    (0.0, 0.0)
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
    gamma: tuple[float, float] = (0.6, 1.6)
    bent: float = 0.0
    lift: tuple[float, float] = (0.03, 1.5)
    lifted: float = 0.0
    counts: tuple[float, float] = (8.0, 100.0)
    counted: float = 0.0
    exponent: float = 1.0

    def __post_init__(self) -> None:
        widths, factors = ("noise", "blur_px", "contrast", "shift_px"), ("gamma", "lift", "counts")
        require_rising(self, "log_gain", "offset", *widths, *factors)
        require_at_least(self, 0, *widths)
        require_above(self, 0, "log_gain", *factors, "exponent")
        require_within(self, 0, 1, "blurred", "contrasted", "deformed", "bent", "lifted", "counted")


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
    gamma: Tensor | None = None
    counts: Tensor | None = None
    lift: Tensor | None = None
    exponent: float = 1.0


def draw_change(n: int, settings: AugmentSettings, rng: np.random.Generator) -> Change:
    """Draw the change of `n` samples."""
    low, high = np.log(settings.log_gain)
    is_blurred = rng.random(n) < settings.blurred
    gain = np.exp(rng.uniform(low, high, n))
    offset = rng.uniform(*settings.offset, n)
    usual = {
        "noise": _tensor(rng.uniform(*settings.noise, n)),
        "blur_px": _tensor(np.where(is_blurred, rng.uniform(*settings.blur_px, n), 0.0)),
    }
    seed = int(rng.integers(2**62))
    contrast = _some(n, settings.contrast, settings.contrasted, rng, else_=1.0)
    shift_px = _some(n, settings.shift_px, settings.deformed, rng, else_=0.0)
    gamma = np.exp(_some(n, _logs(settings.gamma), settings.bent, rng, else_=0.0))
    log_lift = _some(n, _logs(settings.lift), settings.lifted, rng, else_=-np.inf)
    log_counts = _some(n, _logs(settings.counts), settings.counted, rng, else_=np.inf)
    return Change(
        gain=_tensor(gain),
        offset=_tensor(offset),
        **usual,
        seed=seed,
        contrast=_tensor(contrast),
        shift_px=_tensor(shift_px),
        gamma=_tensor(gamma) if settings.bent > 0 else None,
        counts=_tensor(np.exp(log_counts)) if settings.counted > 0 else None,
        lift=_tensor(np.exp(log_lift)) if settings.lifted > 0 else None,
        exponent=settings.exponent,
    )


def _logs(bounds: tuple[float, float]) -> tuple[float, float]:
    low, high = np.log(bounds)
    return float(low), float(high)


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
    out = blurred(_power(planes, change.exponent), change.blur_px.to(device))
    if change.gamma is not None:
        out = out.clamp(min=0) ** _column(change.gamma, device)
    if change.contrast is not None:
        mean = out.mean(dim=(1, 2), keepdim=True)
        out = mean + (out - mean) * _column(change.contrast, device)
    out = out * _column(change.gain, device) + _column(change.offset, device)
    if change.counts is not None:
        light = recounted(_power(out, 1 / change.exponent), change.counts, seed=change.seed + 2)
        out = _power(light, change.exponent)
    out = _power(out + noise * _column(change.noise, device), 1 / change.exponent)
    if change.lift is not None:
        lift = _column(change.lift, device)
        out = (out.clamp(max=1) + lift) / (1 + lift)
    return out.clamp(0, 1)


def _power(planes: Tensor, exponent: float) -> Tensor:
    return planes if exponent == 1 else planes.clamp(min=0) ** exponent


def recounted(planes: Tensor, counts: Tensor, *, seed: int) -> Tensor:
    """Planes with the noise of counting; `counts` is what 1.0 is in counts, infinity leaves it."""
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.isfinite(counts)
    if not bool(chosen.any()):
        return planes
    full = counts[chosen][:, None, None]
    expected = planes.cpu()[chosen].clamp(min=0) * full
    out = planes.clone()
    out[chosen.to(planes.device)] = (torch.poisson(expected, generator) / full).to(planes.device)
    return out


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
