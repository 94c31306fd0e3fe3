"""Channels of one image, whatever files they come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import dask.array as da

from nimbus._check import listed

from ._lazy import Plane
from .errors import read_error


@dataclass(frozen=True, slots=True, eq=False)
class ImageStack:
    """Channels of one image.

    Parameters
    ----------
    source
        File or folder, for messages.
    array
        Values, axes ``(c, y, x)``, lazy.
    channels
        Name of each.
    pixel_size_um
        As stated by the files; ``None`` where they do not.
    planes
        Where the channels lie; empty where they are not planes of their own.
    """

    source: Path
    array: da.Array
    channels: tuple[str, ...]
    pixel_size_um: float | None
    planes: tuple[Plane, ...] = ()


def numbered(names: Sequence[str]) -> tuple[str, ...]:
    """Names, with ``channel_0``, ``channel_1`` ... for those that are empty.

    Examples
    --------
    >>> numbered(["CD3", ""])
    ('CD3', 'channel_1')
    """
    return tuple(name or f"channel_{i}" for i, name in enumerate(names))


def select(stack: ImageStack, channels: Sequence[str] | None) -> ImageStack:
    """Those of `channels` that the image has, in that order; all of them for ``None``.

    Raises
    ------
    ReadError
        None of them is there, or a name that is kept occurs twice.
    """
    kept = (
        list(stack.channels) if channels is None else [c for c in channels if c in stack.channels]
    )
    if not kept:
        raise read_error(
            stack.source,
            f"has none of the channels {listed(channels or ())}; there is: "
            f"{listed(stack.channels)}",
        )
    twice = sorted({name for name in kept if stack.channels.count(name) > 1})
    if twice:
        raise read_error(
            stack.source,
            f"several channels are called {listed(twice)}; rename them in the file, or choose "
            f"others with channels=[...]; there is: {listed(stack.channels)}",
        )
    if channels is None:
        return stack
    at = [stack.channels.index(name) for name in kept]
    return replace(stack, array=stack.array[at], channels=tuple(kept))
