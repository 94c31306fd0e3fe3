"""Shards written one after the other, so that a second call goes on where the first was killed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from nimbus._progress import with_progress
from nimbus.core.shards import (
    INDEX,
    ShardFolder,
    Tiles,
    merged,
    open_shards,
    read_shard,
    read_whole,
    write_index,
    write_shard,
    write_whole,
)
from nimbus.engine.run import run_ordered

Item = TypeVar("Item")

PROGRESS = "progress.json"
"""Stands in a folder that is not finished; its index replaces it."""


@dataclass(frozen=True, slots=True)
class _Progress:
    """What a folder holds: the items that are done, and the sha256 of the shards made of them."""

    n_items: int
    shards: tuple[dict[str, str], ...]


def write_shards(
    folder: Path,
    items: Sequence[Item],
    task: Callable[[Item], Tiles | None],
    *,
    about: Mapping[str, Any],
    shard_bytes: int,
    n_jobs: int,
    show_progress_bar: bool,
) -> ShardFolder:
    """Write what `task` gives for `items`, in their order, in shards of about `shard_bytes`.

    A folder that is finished is left as it is, after its checksums were compared; one that was
    cut off is finished, and holds then the same bytes as one that was not.

    Parameters
    ----------
    folder
        Made where it does not exist.
    items
        Names of what is to be done; which and how many is part of what `about` must tell apart.
    task
        Tiles of an item, or ``None``.
    about
        All that decides the tiles, as JSON values; it becomes that of the index.
    shard_bytes
        A shard is closed when its tiles reach this size.
    n_jobs
        Threads.
    show_progress_bar
        Show the items that are done.

    Raises
    ------
    ValueError
        The folder holds tiles made with another `about` (the differences are named), a damaged
        file, or there is no tile.
    """
    known: dict[str, Any] = json.loads(json.dumps(about))
    done = _begun(folder, known)
    if (folder / INDEX).is_file():
        return open_shards(folder)
    shards = list(done.shards)
    left = items[done.n_items :]
    results = with_progress(
        run_ordered(task, left, n_jobs=n_jobs),
        total=len(left), description=f"tiles of {folder.name}", unit="blocks",
        show=show_progress_bar,
    )  # fmt: skip
    for n_done, tiles in _gathered(results, done.n_items, len(items), shard_bytes):
        if tiles is not None:
            shards.append(write_shard(folder, len(shards), tiles))
        write_whole(folder / PROGRESS, {"about": known, "n_items": n_done, "shards": shards})
    if not shards:
        raise ValueError(
            f"nothing to write to {str(folder)!r}: no tile has a cell that is labelled 0 or 1"
        )
    write_index(folder, shards, known)
    (folder / PROGRESS).unlink(missing_ok=True)
    return open_shards(folder)


def _gathered(
    results: Iterator[tuple[Item, Tiles | None]], n_done: int, n_items: int, shard_bytes: int
) -> Iterator[tuple[int, Tiles | None]]:
    """After each full shard, and at the end: how many items are done, and the shard."""
    pending: list[Tiles] = []
    for number, (_, tiles) in enumerate(results, start=n_done + 1):
        if tiles is not None:
            pending.append(tiles)
        if number == n_items or sum(part.planes.nbytes for part in pending) >= shard_bytes:
            yield number, merged(pending) if pending else None
            pending = []


def _begun(folder: Path, about: Mapping[str, Any]) -> _Progress:
    """What was done before, if anything was, with its checksums compared."""
    folder.mkdir(parents=True, exist_ok=True)
    finished = (folder / INDEX).is_file()
    if finished:
        opened = open_shards(folder)
        kept: dict[str, Any] = {"about": opened.about, "n_items": 0, "shards": opened.shards}
    elif (folder / PROGRESS).is_file():
        kept = read_whole(folder / PROGRESS, entries=("about", "n_items", "shards"))
    else:
        return _Progress(0, ())
    then = kept["about"]
    differ = sorted(key for key in {*about, *then} if about.get(key) != then.get(key))
    if differ:
        what = "; ".join(
            f"{k}: {_short(then.get(k))} then, {_short(about.get(k))} now" for k in differ
        )
        raise ValueError(
            f"{str(folder)!r} holds tiles that were made otherwise ({what}); pass the same input "
            "and settings, or another folder"
        )
    shards = tuple(dict(sums) for sums in kept["shards"])
    for number in range(len(shards)):
        read_shard(ShardFolder(folder, shards, then), number)
    return _Progress(int(kept["n_items"]), shards)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."
