"""Settings: how fields are cut into tiles."""

from __future__ import annotations

from dataclasses import dataclass

from nimbus.core.scalerule import ScaleRule

RULE = ScaleRule(0.99, pixels="positive", pool="dataset")
"""The rule of ``nimbus-s``."""


@dataclass(frozen=True, slots=True)
class CutSettings:
    """How fields are cut into tiles.

    Parameters
    ----------
    tile_size
        Edge of a tile, in pixels of the network.
    overlap
        Pixels of the network that neighbouring tiles share, so that a cell which one cuts is
        whole in another.
    pixel_size_um
        Pixel size of the tiles; the default is that of simulated tiles.
    scale
        Which number a channel is divided by, over the data set; the default is the rule of
        ``nimbus-s``.
    min_visible
        A cell of which less than this part lies in a tile is undecided there.
    once
        A cell is decided in one tile alone, the one that holds its middle: for tiles of one field
        of which some are learned from and others judge. Else it is decided in every tile that shows
        enough of it.
    shard_mb
        A file of planes is closed when it reaches this size.

    Examples
    --------
    >>> CutSettings(tile_size=256, overlap=32).checked().min_visible
    0.4
    """

    tile_size: int = 128
    overlap: int = 16
    pixel_size_um: float = 1.0
    scale: ScaleRule = RULE
    min_visible: float = 0.4
    once: bool = False
    shard_mb: float = 128

    def checked(self) -> CutSettings:
        """The same settings, or an error for those that cannot be.

        Raises
        ------
        ValueError
            Tiles that overlap by as much as their size, a part beyond 0 and 1, or a size that is
            not above 0.
        """
        if self.tile_size < 1 or not 0 <= self.overlap < self.tile_size:
            raise ValueError(
                f"tiles of {self.tile_size} pixels cannot overlap by {self.overlap}; overlap is at "
                "least 0 and less than tile_size"
            )
        if not 0 <= self.min_visible <= 1:
            raise ValueError(f"min_visible is a part between 0 and 1, not {self.min_visible!r}")
        if not (self.pixel_size_um > 0 and self.shard_mb > 0):
            raise ValueError(
                f"pixel_size_um and shard_mb must be above 0, not {self.pixel_size_um!r} and "
                f"{self.shard_mb!r}"
            )
        return self
