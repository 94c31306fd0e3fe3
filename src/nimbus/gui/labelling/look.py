"""What the page shows beside a cell: a plain value of one window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Look:
    """How cells are shown.

    Parameters
    ----------
    limits
        Intensities drawn black and white, by channel, so that all cells of a marker are seen alike.
    second
        Channel in colour over the marker; ``None`` for none.
    outlines
        Cells have outlines.
    score
        The score is told; by default not, so that it does not lead the eye.

    Examples
    --------
    >>> Look().with_limits("CD3", 1.0, 9.0).limits["CD3"]
    (1.0, 9.0)
    """

    limits: Mapping[str, tuple[float, float]] = field(default_factory=lambda: MappingProxyType({}))
    second: str | None = None
    outlines: bool = True
    score: bool = False

    def with_limits(self, channel: str, low: float, high: float) -> Look:
        """Another range of intensities of a channel."""
        if not low < high:
            raise ValueError(f"a range of intensities rises, unlike {low:g} to {high:g}")
        return replace(self, limits={**self.limits, channel: (low, high)})

    def without_limits(self, channel: str) -> Look:
        """The range of a channel is taken from the field again."""
        kept = {name: own for name, own in self.limits.items() if name != channel}
        return replace(self, limits=kept)

    def with_second(self, channel: str | None) -> Look:
        """Another channel in colour."""
        return replace(self, second=channel)
