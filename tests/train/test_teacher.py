import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nimbus.core.boxes import Box  # noqa: E402
from nimbus.core.grid import same_grid  # noqa: E402
from nimbus.core.masks import cell_plane, mask_plane  # noqa: E402
from nimbus.core.shards import write_index, write_shard  # noqa: E402
from nimbus.model import UNet  # noqa: E402
from nimbus.train import FitSettings, RobustSettings, TeacherSettings, fit  # noqa: E402
from nimbus.train.samples import Batch, TileSampler  # noqa: E402
from nimbus.train.targets import between  # noqa: E402
from nimbus.train.teacher import enlarged, heard, taught, teacher_scores  # noqa: E402

from .conftest import drawn_tiles  # noqa: E402

SETTINGS = FitSettings(
    depth=2, root_filters=4, n_steps=4, batch_size=4, warmup_steps=2, precision="float32"
)


def relabelled(folder, change):
    """A folder of shards like those of the fixture, with other labels."""
    sums = []
    for k in range(3):
        tiles = drawn_tiles(k)
        sums.append(write_shard(folder, k, dataclasses.replace(tiles, labels=change(tiles.labels))))
    write_index(folder, sums, {})
    return folder


def cells_of(seed, size=40):
    """Ids of touching cells of several sizes, and background."""
    rng = np.random.default_rng(seed)
    ids = np.repeat(np.repeat(rng.integers(0, 12, (8, 8)), size // 8, 0), size // 8, 1)
    ids[:, ::7] = np.roll(ids, 3, axis=0)[:, ::7]
    return ids.astype(np.int64)


def batch_of(ids, planes=None):
    tensor = torch.from_numpy(ids)[None]
    planes = torch.zeros(tensor.shape) if planes is None else planes
    labels = torch.zeros(1, int(ids.max()), dtype=torch.int64)
    return Batch(planes, (tensor > 0).float(), tensor, labels, torch.zeros(1, dtype=torch.int64))


def weights_equal(one, other):
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("finer", [1.2, 1.6, 2.0, 0.8])
def test_a_teacher_sees_cells_and_masks_as_scoring_at_its_pixel_size_would_show_them(finer):
    ids = cells_of(0)
    seen = enlarged(batch_of(ids), finer, UNet(depth=2, root_filters=1, patch=2))
    side = seen.ids.shape[1]
    grid = same_grid(ids.shape, len(ids) / side)
    whole, origin = Box(0, side, 0, side), Box(0, len(ids), 0, len(ids))

    inner = np.s_[1:-1, 1:-1]  # at the edge a tile does not know what lies beyond it
    assert side == round(len(ids) * finer)
    assert np.array_equal(
        seen.masks[0].numpy()[inner], mask_plane(ids, grid, whole, origin=origin)[inner]
    )
    assert np.array_equal(seen.ids[0].numpy(), cell_plane(ids, grid, whole, origin=origin))


def test_the_side_a_teacher_sees_is_one_that_it_can_take():
    teacher = UNet(depth=3, root_filters=1).eval()
    seen = enlarged(batch_of(cells_of(1)), 1.3, teacher)

    assert seen.planes.shape == (1, 52, 52)
    assert teacher_scores(teacher, seen, dtype=torch.float32).shape == (1, 11)


def test_a_label_and_a_score_are_weighed_and_an_unlabelled_cell_scores_as_the_teacher_says():
    batch = batch_of(np.array([[1, 2, 3, 4]]))
    batch = dataclasses.replace(batch, labels=torch.tensor([[1, 0, -1, -1]]))
    score = torch.tensor([[0.5, 0.4, 0.9, torch.nan]])

    seen, targets = heard(batch, score), between(batch.labels, score, label_weight=0.25)

    assert targets[0, :3].tolist() == pytest.approx([0.25 + 0.375, 0.3, 0.9])
    assert seen.labels.tolist() == [[1, 0, 0, -1]], "a cell that nobody judged stays undecided"


def test_several_teachers_say_the_mean_of_their_scores_each_on_its_own_pixels():
    batch = batch_of(cells_of(4), planes=torch.rand(1, 40, 40))
    teachers = [UNet(depth=2, root_filters=2).eval(), UNet(depth=3, root_filters=1, patch=2).eval()]
    with torch.no_grad():
        teachers[1].final_conv.bias.fill_(3.0)

    _, targets = taught(teachers, batch, TeacherSettings(finer=1.25, label_weight=0.0))

    alone = [taught([one], batch, TeacherSettings(1.25, 0.0))[1] for one in teachers]
    assert (alone[0] - alone[1]).abs().max() > 0.1, "proves nothing: both say the same"
    torch.testing.assert_close(targets, (alone[0] + alone[1]) / 2)


def test_a_network_learns_from_a_teacher_what_no_label_says(tmp_path, shards):
    taught_by_labels = dataclasses.replace(SETTINGS, n_steps=150, learning_rate=0.01)
    teacher = fit(shards, tmp_path / "a", settings=taught_by_labels, show_progress_bar=False)
    unlabelled = relabelled(tmp_path / "unlabelled", lambda labels: np.full_like(labels, -1))
    taught = dataclasses.replace(taught_by_labels, seed=3, taught=TeacherSettings())

    net = fit(unlabelled, tmp_path / "b", settings=taught, teacher=teacher, show_progress_bar=False)

    new = TileSampler([drawn_tiles(99)])
    (batch,) = new.in_order(size=6)
    score, of_teacher = (teacher_scores(n, batch, dtype=torch.float32) for n in (net, teacher))
    assert score[:, :2].min() > 0.8 > 0.2 > score[:, 2].max()
    assert (score - of_teacher).abs().max() < 0.2


def test_a_teacher_without_weight_changes_no_bit(tmp_path):
    decided = relabelled(tmp_path / "decided", lambda labels: np.abs(labels))
    teacher = UNet(depth=3, root_filters=2)
    taught = dataclasses.replace(SETTINGS, taught=TeacherSettings(finer=1.5, label_weight=1.0))
    plain = fit(decided, tmp_path / "a", settings=SETTINGS, show_progress_bar=False)
    with_teacher = fit(
        decided, tmp_path / "b", settings=taught, teacher=teacher, show_progress_bar=False
    )

    assert weights_equal(plain, with_teacher)
    assert teacher.training, "the teacher that was given is left as it was"


def test_a_resumed_lesson_gives_the_weights_of_an_unbroken_one(tmp_path, shards):
    teacher = UNet(depth=3, root_filters=2)
    settings = dataclasses.replace(SETTINGS, taught=TeacherSettings(finer=1.5))
    arguments = {"settings": settings, "teacher": teacher, "show_progress_bar": False}
    whole = fit(shards, tmp_path / "a", **arguments)
    fit(shards, tmp_path / "b", **arguments, stop_after=2)
    resumed = fit(shards, tmp_path / "b", **arguments, resume=True)

    assert weights_equal(whole, resumed)


def test_other_teachers_do_not_finish_a_lesson(tmp_path, shards):
    settings = dataclasses.replace(SETTINGS, taught=TeacherSettings())
    arguments = {"settings": settings, "show_progress_bar": False}
    first, other = UNet(depth=2, root_filters=2), UNet(depth=2, root_filters=2)
    fit(shards, tmp_path / "a", **arguments, teacher=first, stop_after=2)

    for teacher in (other, [first, other]):
        with pytest.raises(ValueError, match="made with other settings .*teacher"):
            fit(shards, tmp_path / "a", **arguments, teacher=teacher, resume=True)


def test_a_teacher_takes_tiles_that_do_not_fit_it():
    batch = batch_of(cells_of(2))  # 40 pixels; it wants multiples of 16
    teacher = UNet(depth=4, root_filters=1, patch=2).eval()

    assert teacher_scores(teacher, enlarged(batch, 1.0, teacher), dtype=torch.float32).shape[0] == 1


@pytest.mark.parametrize(
    ("settings", "teacher", "words"),
    [
        (SETTINGS, UNet(depth=2, root_filters=1), "a teacher alone"),
        (dataclasses.replace(SETTINGS, taught=TeacherSettings()), None, "settings.taught alone"),
    ],
)
def test_a_teacher_and_its_settings_come_together(tmp_path, shards, settings, teacher, words):
    with pytest.raises(ValueError, match=words):
        fit(shards, tmp_path / "a", settings=settings, teacher=teacher, show_progress_bar=False)


def test_settings_that_cannot_be_are_refused():

    with pytest.raises(ValueError, match="finer must be above 0, not -1"):
        TeacherSettings(finer=-1)
    with pytest.raises(ValueError, match="label_weight must be from 0 to 1, not 2"):
        TeacherSettings(label_weight=2)
    with pytest.raises(ValueError, match="not both"):
        FitSettings(robust=RobustSettings(), taught=TeacherSettings())
