"""Batches of training tiles: batch `k` is a function of the seed and of `k` alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nimbus.core.shards import PLANE_MAX, ShardFolder, Source, Tiles, read_shard

from .loss import UNDECIDED


@dataclass(frozen=True, slots=True)
class Batch:
    """Some samples as tensors.

    Parameters
    ----------
    planes
        Channel in [0, 1], float32 ``(n, y, x)``.
    masks
        Mask plane, float32 ``(n, y, x)``.
    ids
        Cell of each pixel, int64 ``(n, y, x)``.
    labels
        1, 0 or -1, int64 ``(n, cell)``.
    source
        Index of each sample's source in those of the sampler, int64 ``(n,)``.
    """

    planes: Tensor
    masks: Tensor
    ids: Tensor
    labels: Tensor
    source: Tensor

    def to(self, device: torch.device | str) -> Batch:
        """The batch on `device`."""
        every = (self.planes, self.masks, self.ids, self.labels, self.source)
        return Batch(*(tensor.to(device) for tensor in every))


class TileSampler:
    """Draws batches from all tiles of some shards.

    Parameters
    ----------
    shards
        Tiles, shard by shard.
    sources
        Data set and marker that `source` of the shards counts through.
    shares
        Weight of each shard: how often a sample is drawn from it, relative to the others; ``None``
        draws all samples equally often.

    Notes
    -----
    Samples are drawn with replacement. A batch depends on the seed and its number only, so that
    a resumed training sees what an unbroken one would have seen, and that batches may be made
    ahead of their use by threads, in any order.
    """

    def __init__(
        self,
        shards: Sequence[Tiles],
        sources: Sequence[Source] = (),
        shares: Sequence[float] | None = None,
    ) -> None:
        self.shards = tuple(shards)
        self.sources = tuple(sources)
        self.starts = np.cumsum([0] + [len(shard) for shard in shards])
        self.shares = None if shares is None else tuple(shares)

    def __len__(self) -> int:
        return int(self.starts[-1])

    @property
    def tile_shape(self) -> tuple[int, int]:
        """Rows and columns of the tiles, which all have one size."""
        height, width = self.shards[0].planes.shape[1:]
        return height, width

    def batch(self, number: int, *, size: int, seed: int) -> Batch:
        """Batch `number`: `size` samples, each turned and mirrored at random."""
        rng = np.random.default_rng([seed, number])
        chosen = self._drawn(size, rng)
        turns = rng.integers(0, 8, size)
        return stacked([self._sample(int(i), int(t)) for i, t in zip(chosen, turns, strict=True)])

    def in_order(self, *, size: int, every: int = 1) -> Iterator[Batch]:
        """Every `every`-th sample once, as it is, in batches of at most `size`."""
        chosen = range(0, len(self), every)
        for start in range(0, len(chosen), size):
            yield stacked([self._sample(i, 0) for i in chosen[start : start + size]])

    def _drawn(self, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Samples, each from a shard drawn by its share."""
        if self.shares is None:
            return rng.integers(0, len(self), size)
        ends = np.cumsum(self.shares)
        shard = np.searchsorted(ends, rng.random(size) * ends[-1], side="right")
        place = np.floor(rng.random(size) * np.diff(self.starts)[shard])
        chosen: NDArray[np.int64] = self.starts[shard] + place.astype(np.int64)
        return chosen

    def _sample(self, index: int, turn: int) -> _Sample:
        shard = int(np.searchsorted(self.starts, index, side="right")) - 1
        tiles, row = self.shards[shard], index - int(self.starts[shard])
        geometry = int(tiles.geometry[row])
        return _Sample(
            turned(tiles.planes[row], turn),
            turned(tiles.masks[geometry], turn),
            turned(tiles.ids[geometry], turn),
            tiles.labels[row],
            int(tiles.source[row]),
        )


@dataclass(frozen=True, slots=True)
class _Sample:
    plane: NDArray[np.uint16]
    mask: NDArray[np.uint8]
    ids: NDArray[np.int32]
    labels: NDArray[np.int8]
    source: int


def turned(image: NDArray[Any], turn: int) -> NDArray[Any]:
    """`image` after turn 0-7: quarter turns, the last four mirrored as well."""
    out = np.rot90(image, turn % 4)
    return out[:, ::-1] if turn >= 4 else out


def stacked(samples: Sequence[_Sample]) -> Batch:
    """Samples of one size as a batch; rows of labels are filled up with -1."""
    # Each sample is turned, converted and copied in one pass, straight to its place.
    shape = (len(samples), *samples[0].plane.shape)
    planes, masks = np.empty(shape, np.float32), np.empty(shape, np.float32)
    ids = np.empty(shape, np.int64)
    labels = np.full((len(samples), max(len(s.labels) for s in samples)), UNDECIDED, np.int64)
    for k, sample in enumerate(samples):
        np.divide(sample.plane, np.float32(PLANE_MAX), out=planes[k])
        masks[k] = sample.mask
        ids[k] = sample.ids
        labels[k, : len(sample.labels)] = sample.labels
    return Batch(
        planes=torch.from_numpy(planes),
        masks=torch.from_numpy(masks),
        ids=torch.from_numpy(ids),
        labels=torch.from_numpy(labels),
        source=torch.tensor([s.source for s in samples]),
    )


def split(
    folders: Sequence[ShardFolder], *, held_out: int, shares: Sequence[float] | None = None
) -> tuple[TileSampler, TileSampler]:
    """Samplers of the shards to learn from and of the last `held_out` shards of each folder.

    Both have the sources of all folders, one after the other, so that a source has one number in
    the whole training.

    Parameters
    ----------
    folders
        Opened folders of shards.
    held_out
        Shards of each folder that are not learned from.
    shares
        Part of the samples that is drawn from each folder, e.g. ``(0.9, 0.1)`` for mostly simulated
        tissue; ``None`` draws all samples equally often.

    Raises
    ------
    ValueError
        Without a folder, when nothing would be left to learn from, for shares that do not fit the
        folders, or for folders with tiles of several sizes.
    """
    if not folders:
        raise ValueError("there is no folder of tiles to learn from; give one at least")
    _check_shares(shares, folders)
    kept: list[Tiles] = []
    left_out: list[Tiles] = []
    sources: list[Source] = []
    weights: list[float] = []
    every = read_folders(folders)
    for folder, share, read in zip(folders, shares or [1.0] * len(folders), every, strict=True):
        if not 0 <= held_out < len(folder):
            raise ValueError(
                f"cannot hold out {held_out} of the {len(folder)} shards in {str(folder.path)!r}; "
                "write more or hold out fewer"
            )
        first_source = np.int32(len(sources))
        shards = [replace(tiles, source=tiles.source + first_source) for tiles in read]
        first = len(shards) - held_out
        kept += shards[:first]
        left_out += shards[first:]
        n_samples = sum(len(tiles) for tiles in shards[:first])
        weights += [share * len(tiles) / n_samples for tiles in shards[:first]]
        sources += folder.sources
    drawn = TileSampler(kept, sources, None if shares is None else weights)
    return drawn, TileSampler(left_out, sources)


def read_folders(folders: Sequence[ShardFolder]) -> list[list[Tiles]]:
    """The shards of each folder.

    Raises
    ------
    ValueError
        For folders with tiles of several sizes, which no batch can hold.
    """
    read = [[read_shard(folder, number) for number in range(len(folder))] for folder in folders]
    sizes = {
        str(folder.path): shards[0].planes.shape[1:]
        for folder, shards in zip(folders, read, strict=True)
        if shards
    }
    if len(set(sizes.values())) > 1:
        named = ", ".join(f"{h} x {w} pixels in {path!r}" for path, (h, w) in sizes.items())
        raise ValueError(
            f"tiles must have the same size in all folders; there are {named}. Write them again "
            "with one tile_size"
        )
    return read


def _check_shares(shares: Sequence[float] | None, folders: Sequence[ShardFolder]) -> None:
    if shares is None:
        return
    if len(shares) != len(folders) or min(shares) < 0 or not sum(shares) > 0:
        raise ValueError(
            f"shares must be one number of at least 0 for each of the {len(folders)} folders, not "
            f"all 0; given is {list(shares)}"
        )
