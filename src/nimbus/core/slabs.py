"""Small arrays that come one by one and go together, side by side in few large pieces.

If they stayed among the large arrays of the tiles, which go, memory would be full of holes, of
twice the size of the sums. The first lie in memory, what comes then in temporary files: how
much memory a run takes does not grow with what it has done.
"""

from __future__ import annotations

import logging
import mmap
import tempfile
import weakref
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from nimbus._durable import write_all
from nimbus._types import AnyArray

logger = logging.getLogger(__name__)

SMALLEST_SLAB, LARGEST_SLAB = 2**16, 2**25
"""Bytes. Memory of the largest goes back to the system at once, whatever lies beside it."""

IN_MEMORY = 2**19
"""Bytes that a :class:`Slabs` holds in memory before it begins a file."""

FILE_SLAB = 2**28
"""Bytes for which a file has room. It takes no more of the disk than was written."""


class Slab(Protocol):
    """A large piece that small arrays are copied into."""

    @property
    def size(self) -> int:
        """Bytes for which it has room."""

    def put(self, values: AnyArray, at: int) -> AnyArray:
        """A copy of `values`, `at` so many bytes from the begin."""


@dataclass(frozen=True, slots=True, eq=False)
class MemorySlab:
    """A piece of memory."""

    bytes: NDArray[np.uint8]

    @property
    def size(self) -> int:
        """Bytes for which it has room."""
        return self.bytes.size

    def put(self, values: AnyArray, at: int) -> AnyArray:
        """A copy of `values`, `at` so many bytes from the begin."""
        copy = _seen_as(values, self.bytes[at : at + values.nbytes])
        copy[...] = values
        return copy


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class FileSlab:
    """A temporary file without a name, which is gone when the last array of it is.

    It is written as files are, so that a full disk is an error here and not the end of the
    process, and read as memory, from which the system takes what it needs elsewhere.
    """

    file: BinaryIO
    view: mmap.mmap

    @classmethod
    def of(cls, size: int) -> FileSlab:
        """An empty one, in the folder for temporary files."""
        with ExitStack() as opened:
            file = opened.enter_context(tempfile.TemporaryFile(prefix="nimbus-", buffering=0))
            file.truncate(size)
            slab = cls(file, mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ))
            # What was written is read through the view, which keeps the file's content.
            weakref.finalize(slab, opened.pop_all().close)
        return slab

    @property
    def size(self) -> int:
        """Bytes for which it has room."""
        return len(self.view)

    def put(self, values: AnyArray, at: int) -> AnyArray:
        """A copy of `values`, `at` so many bytes from the begin; it cannot be written to.

        Raises
        ------
        OSError
            It could not be written.
        """
        self.file.seek(at)
        write_all(self.file, values.tobytes())
        return _seen_as(values, np.frombuffer(self.view, np.uint8, values.nbytes, at))


@dataclass(slots=True, eq=False)
class Slabs:
    """Small arrays that come one by one and go together.

    Not frozen: it grows.

    Examples
    --------
    >>> slabs = Slabs()
    >>> slabs.kept(np.array([1, 2])), slabs.kept(np.array([0.5]))
    (array([1, 2]), array([0.5]))
    """

    _slab: Slab = field(default_factory=lambda: MemorySlab(np.empty(0, dtype=np.uint8)))
    _used: int = 0
    _in_memory: int = 0
    _may_write: bool = True

    def kept(self, values: AnyArray) -> AnyArray:
        """A copy of `values`, to be read; its memory or file is free when all of its slab are."""
        if self._may_write and self._in_memory >= IN_MEMORY:
            try:
                return self._put(values)
            except OSError as error:
                # Nothing is lost: it is kept where it was kept before there were files.
                logger.warning(
                    "sums of tiles cannot be put into a temporary file (%s); they are held in "
                    "memory. The folder for them is that of TMPDIR", error
                )  # fmt: skip
                self._may_write, self._used = False, self._slab.size
        return self._put(values)

    def _put(self, values: AnyArray) -> AnyArray:
        size = -(-values.nbytes // 8) * 8  # so that the next one is aligned
        if self._used + size > self._slab.size:
            self._slab, self._used = self._next(size), 0
        copy = self._slab.put(values, self._used)
        self._used += size
        return copy

    def _next(self, size: int) -> Slab:
        if self._may_write and self._in_memory >= IN_MEMORY:
            return FileSlab.of(max(size, FILE_SLAB))
        wanted = min(max(2 * self._slab.size, SMALLEST_SLAB), LARGEST_SLAB)
        slab = MemorySlab(np.empty(max(wanted, size), dtype=np.uint8))
        self._in_memory += slab.size
        return slab


def _seen_as(values: AnyArray, place: NDArray[np.uint8]) -> AnyArray:
    """The bytes of `place` with the type and shape of `values`."""
    return place.view(values.dtype).reshape(values.shape)
