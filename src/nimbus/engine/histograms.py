"""One pass over the chunks of an image: the histogram of each channel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, pairwise, product

import dask.array as da

from nimbus._progress import with_progress
from nimbus.core.boxes import Box
from nimbus.core.intensity import Histogram, histogram, pooled

from .run import run_ordered
from .source import NanRule, finite, read_box


@dataclass(frozen=True, slots=True, eq=False)
class ImagePass:
    """An image whose channels are counted.

    Parameters
    ----------
    name
        Name of the element, for messages.
    image
        Axes ``(c, y, x)``.
    channels
        Name of each channel.
    """

    name: str
    image: da.Array
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Chunk:
    """One chunk of one image."""

    image: int
    group: tuple[int, int]
    box: Box


def channel_histograms(
    images: Sequence[ImagePass], *, nan: NanRule, n_jobs: int, show_progress_bar: bool
) -> list[dict[str, Histogram]]:
    """For each image the histogram of each channel, over all its pixels.

    Every chunk is read once; only chunks under way and the histograms are in memory. Counts add
    up exactly, so neither the order of chunks nor their size can change a histogram.

    Raises
    ------
    ValueError
        A NaN or infinite pixel, unless `nan` is ``"zero"``.
    """
    chunks = [chunk for index, image in enumerate(images) for chunk in _chunks(index, image.image)]
    task: Callable[[_Chunk], list[Histogram]] = partial(_count, tuple(images), nan)
    parts: list[dict[str, list[Histogram]]] = [{c: [] for c in i.channels} for i in images]
    results = with_progress(
        run_ordered(task, chunks, n_jobs=n_jobs),
        total=len(chunks),
        description="intensities",
        unit="chunks",
        show=show_progress_bar,
    )
    for chunk, counted in results:
        names = images[chunk.image].channels[slice(*chunk.group)]
        for name, one in zip(names, counted, strict=True):
            held = parts[chunk.image][name]
            held.append(one)
            if len(held) >= 16:  # keeps the memory of many chunks to that of a few
                held[:] = [pooled(held)]
    return [{name: pooled(held) for name, held in image.items()} for image in parts]


def _chunks(index: int, image: da.Array) -> list[_Chunk]:
    spans = []
    for sizes in image.chunks:
        spans.append(list(pairwise(accumulate(sizes, initial=0))))
    return [_Chunk(index, c, Box(*y, *x)) for c, y, x in product(*spans)]


def _count(images: tuple[ImagePass, ...], nan: NanRule, chunk: _Chunk) -> list[Histogram]:
    source = images[chunk.image]
    group = slice(*chunk.group)
    raw = read_box(source.image, chunk.box, name=source.name, group=group)
    clean = finite(raw, source.channels[group], chunk.box, image_name=source.name, nan=nan)
    return [histogram(plane) for plane in clean]
