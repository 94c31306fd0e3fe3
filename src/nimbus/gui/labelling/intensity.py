"""Whole fields of channels, and the intensities that are drawn black and white."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nimbus.gui.scene import brightness
from nimbus.gui.tissue import Window

from .crop import Microscope

KEPT = 64
"""Fields that are remembered."""


@dataclass(slots=True, eq=False)
class Intensities:
    """Fields as they were read, and the largest intensity seen of each channel.

    Parameters
    ----------
    microscope
        Reads them.
    """

    microscope: Microscope
    _fields: dict[tuple[str, str], tuple[NDArray[np.float32], Window]] = field(default_factory=dict)
    _largest: dict[str, float] = field(default_factory=dict)

    def overview(self, field: str, channel: str) -> tuple[NDArray[np.float32], Window]:
        """Intensities of a whole field and where it lies."""
        if (field, channel) not in self._fields:
            if len(self._fields) >= KEPT:
                self._fields.pop(next(iter(self._fields)))
            found = self.microscope.overview(field, channel)
            self._fields[field, channel] = found
            self.saw(channel, found[0])
        return self._fields[field, channel]

    def limits(self, field: str, channel: str) -> tuple[float, float]:
        """Intensities drawn black and white: of the whole field, not of the part that is seen."""
        return brightness(self.overview(field, channel)[0])

    def largest(self, channel: str) -> float:
        """The largest intensity seen so far; 1 where there was none."""
        return self._largest.get(channel, 0.0) or 1.0

    def saw(self, channel: str, values: NDArray[np.float32]) -> None:
        """Remember the largest of these intensities."""
        known = values[np.isfinite(values)]
        if known.size:
            top = float(known.max())
            self._largest[channel] = max(self._largest.get(channel, top), top)
