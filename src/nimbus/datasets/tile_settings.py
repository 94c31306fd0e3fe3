"""Settings: which tiles of simulated tissue are written."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from nimbus._check import listed, require_several

from .platforms import PLATFORMS, VARIANTS

_PLATFORMS = (*PLATFORMS, *VARIANTS)


@dataclass(frozen=True, slots=True)
class TileSettings:
    """What is written.

    Parameters
    ----------
    n_fields
        Fields of tissue; each gives ``tiles_per_side ** 2 * n_channels`` samples.
    n_channels
        Channels of each field.
    tile_size
        Edge of a tile, in pixels of the network.
    tiles_per_side
        Tiles along each side of a field.
    pixel_size_um
        Pixel size of the network.
    zoom
        A field's own pixel size is the network's times a factor in this range.
    fields_per_shard
        Fields in one file.
    platforms
        Each field draws one of these: names of `PLATFORMS` and `VARIANTS`.
    without
        Effects that are left out, to measure what each is worth: names of
        `nimbus.datasets.switches.EFFECTS`, such as ``"haze"``, ``"bleed"`` or ``"merges"``.

    Raises
    ------
    ValueError
        A number below 1, a size that is not above 0, a range that does not rise, or no platform.
    TypeError
        For `platforms` or `without` that are one text.

    Examples
    --------
    >>> settings = TileSettings(n_fields=10, tile_size=64, without=("haze", "bleed"))
    >>> settings.n_fields * settings.tiles_per_side**2 * settings.n_channels  # samples
    560
    """

    n_fields: int = 400
    n_channels: int = 14
    tile_size: int = 128
    tiles_per_side: int = 2
    pixel_size_um: float = 1.0
    zoom: tuple[float, float] = (0.7, 1.4)
    fields_per_shard: int = 50
    platforms: tuple[str, ...] = _PLATFORMS
    without: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_several("platforms", self.platforms)
        require_several("without", self.without)
        for name in ("n_fields", "n_channels", "tile_size", "tiles_per_side", "fields_per_shard"):
            if not getattr(self, name) >= 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)!r}")
        if not 0 < self.pixel_size_um < inf:
            raise ValueError(f"pixel_size_um must be above 0, not {self.pixel_size_um!r}")
        if len(self.zoom) != 2 or not 0 < self.zoom[0] <= self.zoom[1] < inf:
            raise ValueError(
                f"zoom must be two numbers above 0, the smaller first, not {self.zoom!r}"
            )
        if not self.platforms:
            raise ValueError(f"platforms must name one at least; there is {listed(_PLATFORMS)}")
