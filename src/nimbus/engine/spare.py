"""Memory that is free but kept by the C library."""

from __future__ import annotations

import ctypes
import platform
import sys


def give_back() -> None:
    """Give free memory back to the system, where the C library is that of GNU; else nothing.

    That library keeps a heap for each thread, also of threads that ended, and what is free in one
    is not used by others: after the tiles some 200 MB, which the table would come on top of. A
    call takes some milliseconds, so it stands between the stages of a run, not between tiles.

    Examples
    --------
    >>> give_back()
    """
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)
