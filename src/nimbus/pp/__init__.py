"""Before the scores: scales and mean intensities."""

from .integrate import integrate
from .normalize import normalize

__all__ = ["integrate", "normalize"]
