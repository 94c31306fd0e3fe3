"""Which number a channel is divided by before the network sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from nimbus._check import require_number

Pixels = Literal["all", "positive"]
Pool = Literal["dataset", "image_mean"]


@dataclass(frozen=True, slots=True)
class ScaleRule:
    """How the scale of a channel follows from its pixels.

    Parameters
    ----------
    quantile
        In ``(0, 1]``.
    pixels
        ``"all"`` pixels, or the strictly ``"positive"`` ones.
    pool
        ``"dataset"``: one quantile over the pixels of all images. ``"image_mean"``: the mean of
        the quantiles of the images; those without such pixels are left out.

    Examples
    --------
    >>> ScaleRule(0.9999)
    ScaleRule(quantile=0.9999, pixels='all', pool='dataset')
    >>> print(ScaleRule(0.999, "positive", "image_mean"))
    quantile 0.999 of the positive pixels, mean over the images
    """

    quantile: float
    pixels: Pixels = "all"
    pool: Pool = "dataset"

    def __post_init__(self) -> None:
        require_number("quantile", self.quantile)
        if not 0 < self.quantile <= 1:
            raise ValueError(f"quantile must be in (0, 1], not {self.quantile!r}")
        if self.pixels not in get_args(Pixels):
            raise ValueError(f"pixels must be one of {get_args(Pixels)}, not {self.pixels!r}")
        if self.pool not in get_args(Pool):
            raise ValueError(f"pool must be one of {get_args(Pool)}, not {self.pool!r}")

    def __str__(self) -> str:
        """The rule in words."""
        pixels = "all" if self.pixels == "all" else "the positive"
        how = "pooled" if self.pool == "dataset" else "mean"
        return f"quantile {float(self.quantile)!r} of {pixels} pixels, {how} over the images"
