import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nimbus.train.augment import AugmentSettings, augmented, draw_change  # noqa: E402
from nimbus.train.deform import displacements, moved  # noqa: E402
from nimbus.train.samples import Batch  # noqa: E402


def test_values_are_read_where_the_shift_points():
    torch.manual_seed(0)
    image = torch.rand(1, 5, 7)
    shifts = torch.zeros(1, 2, 5, 7)
    shifts[:, 0], shifts[:, 1] = 2, -1  # two to the right, one up

    found = moved(image, shifts, mode="bilinear")

    torch.testing.assert_close(found[0, 1:, :5], image[0, :4, 2:])


def test_half_a_pixel_is_the_mean_of_two():
    shifts = torch.zeros(1, 2, 1, 3)
    shifts[:, 0] = 0.5

    found = moved(torch.tensor([[[0.0, 1.0, 4.0]]]), shifts, mode="bilinear")

    assert found[0, 0, :2].tolist() == pytest.approx([0.5, 2.5])


def test_shifts_are_smooth_of_the_wanted_size_and_repeat_with_the_seed():
    size = (96, 80)
    first, again = (displacements(torch.tensor([0.0, 2.0]), size, seed=3) for _ in range(2))

    assert torch.equal(first, again)
    assert float(first[0].abs().max()) == 0
    assert 0.8 < float(first[1].std()) < 2.5
    assert float(first[1].diff(dim=-1).abs().max()) < 0.8


def test_plane_mask_and_ids_are_deformed_alike():
    ids = torch.zeros(2, 64, 64, dtype=torch.long)
    ids[:, 8:24, 8:24], ids[:, 30:60, 20:50] = 1, 70_001  # above 16 bits
    both = (ids > 0).float()
    batch = Batch(both.clone(), both.clone(), ids, torch.ones(2, 1).long(), torch.zeros(2).long())
    none = dict.fromkeys(("offset", "noise"), (0.0, 0.0))
    settings = AugmentSettings(
        log_gain=(1, 1), **none, blurred=0, contrasted=0, shift_px=(2, 2), deformed=1
    )

    found = augmented(batch, draw_change(2, settings, np.random.default_rng(0)))

    assert not torch.equal(found.ids, ids), "proves nothing: nothing moved"
    assert found.ids.unique().tolist() == [0, 1, 70_001]
    assert torch.equal(found.masks > 0, found.ids > 0)
    assert ((found.planes > 0.5) == (found.ids > 0)).float().mean() > 0.99


def test_contrast_keeps_the_mean_and_scales_the_distance_from_it():
    from nimbus.train.augment import Change, changed

    zero, plane = torch.zeros(1), torch.tensor([[[0.4, 0.6, 0.5, 0.5]]])
    twice = Change(
        gain=zero + 1, offset=zero, noise=zero, blur_px=zero, seed=0, contrast=zero + 2
    )  # fmt: skip

    assert changed(plane, twice).flatten().tolist() == pytest.approx([0.3, 0.7, 0.5, 0.5])
