"""A teacher: a trained network says what cells are to score, beside their labels or instead.

After Hinton et al., *Distilling the knowledge in a neural network* (2015). What a network has
learned that labels do not say, such as how sure one can be of a cell, passes to one that costs
less: a smaller one, or one that sees coarser pixels. Several teachers say the mean of their scores.
Cells without a label are learned from too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from nimbus.model.card import architecture, multiple_of
from nimbus.model.device import feature_order
from nimbus.model.unet import UNet

from .loss import UNDECIDED, cell_means
from .ranges import require_above, require_within
from .samples import Batch
from .targets import between


@dataclass(frozen=True, slots=True)
class TeacherSettings:
    """How cells are taught.

    Parameters
    ----------
    finer
        Teachers see pixels that are this many times finer than those of the tiles.
    label_weight
        Weight of a label in what its cell is to score; the teachers' score has the rest, and all
        of it where there is no label.

    Raises
    ------
    ValueError
        For a value outside its range.

    Examples
    --------
    >>> TeacherSettings(finer=1.25).label_weight
    0.3
    """

    finer: float = 1.0
    label_weight: float = 0.3

    def __post_init__(self) -> None:
        require_above(self, 0, "finer")
        require_within(self, 0, 1, "label_weight")


def taught(
    teachers: Sequence[UNet],
    batch: Batch,
    settings: TeacherSettings,
    *,
    dtype: torch.dtype = torch.float32,
) -> tuple[Batch, Tensor]:
    """The batch with every cell that the teachers saw decided, and what the cells are to score.

    What several teachers say is the mean of their scores.

    Parameters
    ----------
    teachers
        One at least, in evaluation mode, on the device of the batch.
    batch
        As the learner sees it, augmented.
    settings
        Pixels of the teachers, and weight of the labels.
    dtype
        Of the teachers' forward pass.

    Returns
    -------
    The batch, and targets ``(n, cell)``.
    """
    scores = [
        teacher_scores(one, enlarged(batch, settings.finer, one), dtype=dtype) for one in teachers
    ]
    score = torch.stack(scores).mean(dim=0)
    return heard(batch, score), between(batch.labels, score, label_weight=settings.label_weight)


def fingerprint(teachers: Sequence[UNet]) -> str:
    """What tells teachers from others: the sha256 of their architectures and weights.

    Examples
    --------
    >>> one, two = UNet(depth=2, root_filters=1), UNet(depth=2, root_filters=2)
    >>> fingerprint([one]) == fingerprint([one, two])
    False
    """
    known = hashlib.sha256()
    for teacher in teachers:
        known.update(repr(architecture(teacher)).encode())
        for value in teacher.state_dict().values():
            known.update(value.detach().cpu().contiguous().numpy().tobytes())
    return known.hexdigest()


def heard(batch: Batch, score: Tensor) -> Batch:
    """The batch with every cell decided of which there is a score; what it says is not read.

    Examples
    --------
    >>> none = torch.zeros(1, 1, 1)
    >>> batch = Batch(none, none, none.long(), torch.tensor([[1, -1, -1]]), torch.tensor([0]))
    >>> heard(batch, torch.tensor([[0.5, 0.75, torch.nan]])).labels.tolist()
    [[1, 0, -1]]
    """
    new = torch.isfinite(score) & (batch.labels == UNDECIDED)
    return replace(batch, labels=torch.where(new, 0, batch.labels))


@torch.no_grad()
def teacher_scores(teacher: UNet, batch: Batch, *, dtype: torch.dtype) -> Tensor:
    """Mean probability over the interior of each cell, ``(n, cell)``; NaN without one."""
    planes = torch.stack([batch.planes, batch.masks], dim=1)
    planes = planes.contiguous(memory_format=feature_order(planes.device))
    with torch.autocast(planes.device.type, dtype=dtype, enabled=dtype != torch.float32):
        logits = teacher(planes)
    probability = logits[:, 0].float().sigmoid()
    return cell_means(probability, batch.masks, batch.ids, batch.labels.shape[1])


def enlarged(batch: Batch, finer: float, teacher: UNet) -> Batch:
    """The batch on finer pixels: planes interpolated, cells by nearest neighbour, masks anew.

    The side is the nearest that the teacher can take. Masks are drawn as in scoring
    (:func:`nimbus.core.masks.mask_plane`), of the cells of the tile.
    """
    unit = multiple_of(teacher)
    height, width = (unit * max(1, round(side * finer / unit)) for side in batch.ids.shape[1:])
    if (height, width) == batch.ids.shape[1:]:
        return batch
    planes = F.interpolate(
        batch.planes[:, None], (height, width), mode="bilinear", align_corners=False
    )
    half = _nearest(batch.ids, 2 * height, 2 * width)
    inside = (half != 0) & ~_inner_border(half)
    return replace(
        batch,
        planes=planes[:, 0],
        masks=inside[:, ::2, ::2].to(batch.masks.dtype),
        ids=half[:, ::2, ::2].contiguous(),
    )


def _nearest(ids: Tensor, height: int, width: int) -> Tensor:
    rows, columns = (
        ((torch.arange(n, device=ids.device) + 0.5) * (side / n)).long()
        for n, side in zip((height, width), ids.shape[1:], strict=True)
    )
    return ids[:, rows][:, :, columns]


def _inner_border(ids: Tensor) -> Tensor:
    """Pixels ``(n, y, x)`` that touch another id along a side."""
    border = torch.zeros_like(ids, dtype=torch.bool)
    down, right = ids[:, 1:] != ids[:, :-1], ids[:, :, 1:] != ids[:, :, :-1]
    border[:, 1:] |= down
    border[:, :-1] |= down
    border[:, :, 1:] |= right
    border[:, :, :-1] |= right
    return border
