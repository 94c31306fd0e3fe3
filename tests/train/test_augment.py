import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nimbus.train.augment import AugmentSettings, Change, changed, draw_change  # noqa: E402


def change(**values):
    zero = torch.zeros(2)
    given = {"gain": torch.ones(2), "offset": zero, "noise": zero, "blur_px": zero, **values}
    return Change(seed=0, **given)


@pytest.fixture
def planes():
    torch.manual_seed(0)
    return torch.rand(2, 9, 11)


def test_no_change_gives_back_the_planes(planes):
    torch.testing.assert_close(changed(planes, change()), planes)


def test_each_sample_has_its_own_gain(planes):
    out = changed(planes, change(gain=torch.tensor([0.5, 0.25])))

    torch.testing.assert_close(out[0], planes[0] * 0.5)
    torch.testing.assert_close(out[1], planes[1] * 0.25)


def test_the_result_stays_between_zero_and_one(planes):
    out = changed(planes, change(gain=torch.full((2,), 3.0), noise=torch.full((2,), 0.5)))

    assert (float(out.min()), float(out.max())) == (0.0, 1.0)


def test_blur_keeps_the_mean_and_takes_contrast(planes):
    out = changed(planes, change(blur_px=torch.tensor([0.0, 0.8])))

    torch.testing.assert_close(out[0], planes[0])
    assert float(out[1].std()) < 0.6 * float(planes[1].std())
    assert float(out[1].mean()) == pytest.approx(float(planes[1].mean()), rel=0.05)


def test_noise_is_repeated_by_its_seed(planes):
    noisy = change(noise=torch.full((2,), 0.1))

    torch.testing.assert_close(changed(planes, noisy), changed(planes, noisy), atol=0, rtol=0)
    assert float((changed(planes, noisy) - planes).abs().mean()) > 0.03


def test_draws_lie_in_their_ranges_and_repeat_with_the_generator():
    settings = AugmentSettings(log_gain=(0.5, 2.0), blurred=0.5)
    first, again = (draw_change(400, settings, np.random.default_rng(1)) for _ in range(2))

    assert torch.equal(first.gain, again.gain)
    assert 0.5 <= float(first.gain.min()) < 0.55 < 1.9 < float(first.gain.max()) <= 2.0
    assert 0.4 < float((first.blur_px > 0).float().mean()) < 0.6
