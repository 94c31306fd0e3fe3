"""Scores of one field, slowly: no tiles, no folding, other libraries than the package uses.

Image and labels lie pixel on pixel and a network pixel is two of theirs, as in the published
tool.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from skimage.segmentation import find_boundaries


def mask_plane_by_skimage(labels):
    """Inside a cell and not on its inner border, drawn at full resolution, every second pixel."""
    border = find_boundaries(np.asarray(labels, dtype=np.int64), mode="inner")
    return ((labels > 0) & ~border)[::2, ::2].astype(np.float32)


def halved(channel):
    """Mean of each 2 x 2 block; a block cut by the edge is the mean of what is inside."""
    height, width = channel.shape
    padded = np.pad(channel, ((0, height % 2), (0, width % 2)), constant_values=np.nan)
    blocks = padded.reshape(padded.shape[0] // 2, 2, padded.shape[1] // 2, 2)
    return np.nanmean(blocks, axis=(1, 3)).astype(np.float32)


def slow_maps(image, labels, scales, net, *, multiple=16, n_views=8):
    """Probabilities ``(c, y, x)`` of the whole field at once, mean over the views."""
    import torch

    mask = mask_plane_by_skimage(labels)
    maps = []
    for channel, scale in zip(image, scales, strict=True):
        plane = halved(np.clip(channel.astype(np.float64) / scale, 0, 1))
        planes = np.stack([plane, mask])
        height, width = plane.shape
        extra = ((0, 0), (0, -height % multiple), (0, -width % multiple))
        padded = torch.from_numpy(np.pad(planes, extra, mode="reflect"))[None]
        total = torch.zeros(padded.shape[2:])
        for view in range(n_views):
            turned = torch.rot90(padded, view % 4, (2, 3))
            seen = turned.flip(3) if view >= 4 else turned
            with torch.no_grad():
                out = torch.sigmoid(net(seen))
            out = out.flip(3) if view >= 4 else out
            total += torch.rot90(out, -(view % 4), (2, 3))[0, 0]
        maps.append((total / n_views).numpy()[:height, :width])
    return np.stack(maps)


def slow_scores(image, labels, scales, net, *, interior=False, **options):
    """Scores ``(cells, c)`` in the order of the ids, and the ids."""
    maps = slow_maps(image, labels, scales, net, **options)
    height, width = labels.shape
    counted = np.asarray(labels, dtype=np.int64)
    if interior:
        mask = mask_plane_by_skimage(labels)
        counted = np.where(_doubled(mask)[:height, :width] > 0, counted, 0)
    ids = np.unique(counted[counted > 0])
    means = [ndimage.mean(_doubled(one)[:height, :width], counted, ids) for one in maps]
    return np.stack(means, axis=1), ids


def _doubled(plane):
    return plane.repeat(2, axis=0).repeat(2, axis=1)
