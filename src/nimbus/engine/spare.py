"""Memory that is free but kept by the C library.

GNU's keeps a heap for each thread, also of threads that ended, and what is free in one is not used
by others.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys

_M_ARENA_MAX = -8
"""Of ``malloc.h``."""


def give_back() -> None:
    """Give free memory back to the system, where the C library is that of GNU; else nothing.

    After the tiles it is some 200 MB, which the table would come on top of. A call takes some
    milliseconds, so it stands between the stages of a run, not between tiles.

    Examples
    --------
    >>> give_back()
    """
    if _is_gnu():
        ctypes.CDLL(None).malloc_trim(0)


def share_a_heap() -> None:
    """Let threads of this process that begin from now on take memory from the first one's heap.

    For programs of our own, before they work: it holds until the process ends. Who set
    ``MALLOC_ARENA_MAX`` has decided otherwise.

    Examples
    --------
    >>> share_a_heap()
    """
    if _is_gnu() and "MALLOC_ARENA_MAX" not in os.environ:
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def _is_gnu() -> bool:
    return sys.platform == "linux" and platform.libc_ver()[0] == "glibc"
