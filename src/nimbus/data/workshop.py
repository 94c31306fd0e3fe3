"""Parts of a store, built in a hidden folder of it and put in place whole."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import zarr

from nimbus._exchange import put_in_place

_PREFIX = ".nimbus-write-"
_OLD = "old"


@contextmanager
def workshop(store: Path) -> Iterator[Path]:
    """A hidden folder inside `store`, removed at the end; first, what a killed run left there.

    The caller has claimed the store, so whatever is found belongs to nobody.
    """
    for left in store.glob(f"{_PREFIX}*"):
        _restore(left, store)
        shutil.rmtree(left)
    folder = store / f"{_PREFIX}{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def install(built: Path, store: Path, part: str, *, folder: Path) -> None:
    """Put what was built in the workshop `folder` at `part` of the store (``"tables/table"``)."""
    target = store / part
    spare = folder / _OLD / part
    spare.parent.mkdir(parents=True, exist_ok=True)
    put_in_place(built, target, spare=spare)


def detach_metadata(store: Path, attrs: Mapping[str, Any]) -> None:
    """Write the attributes of the root, and forget the consolidated metadata.

    Until they are consolidated anew, readers look at each element itself: what they see is right
    at any moment.
    """
    (store / ".zmetadata").unlink(missing_ok=True)  # Zarr 2; Zarr 3 keeps it in the root's file
    root = zarr.open_group(store, mode="r+", use_consolidated=False)
    kept = {key: root.attrs[key] for key in ("spatialdata_attrs",) if key in root.attrs}
    root.attrs.put({**attrs, **kept})


def linked_copy(source: Path, target: Path) -> None:
    """Copy a folder of Zarr: small files of metadata as copies, chunks as hard links.

    Chunks that are to change must be removed from the copy first, not written over.
    """
    shutil.copytree(source, target, copy_function=_copy_or_link)


def _copy_or_link(source: str, target: str) -> None:
    name = os.path.basename(source)
    if name == "zarr.json" or name.startswith(".z"):
        shutil.copy2(source, target)
        return
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copy2(source, target)


def _restore(left: Path, store: Path) -> None:
    """Put back what a run had moved away when it was killed before the new one was in place."""
    for part in (left / _OLD).glob("*/*"):
        target = store / part.relative_to(left / _OLD)
        if not target.exists():
            part.rename(target)
