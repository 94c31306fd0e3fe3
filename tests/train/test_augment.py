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


def test_gamma_bends_each_sample_by_its_own_exponent(planes):
    out = changed(planes, change(gamma=torch.tensor([1.0, 0.5])))

    torch.testing.assert_close(out[0], planes[0])
    torch.testing.assert_close(out[1], planes[1].sqrt())


def test_counting_anew_keeps_the_mean_and_gives_the_noise_of_so_many_counts():
    even = torch.full((2, 100, 100), 0.5)
    out = changed(even, change(counts=torch.tensor([torch.inf, 20.0])))

    torch.testing.assert_close(out[0], even[0])
    assert float(out[1].mean()) == pytest.approx(0.5, abs=0.01)
    assert float(out[1].var()) == pytest.approx(0.5 / 20, rel=0.05)
    again = changed(even, change(counts=torch.tensor([torch.inf, 20.0])))
    assert torch.equal(out, again)


def test_parts_of_the_samples_are_bent_lifted_and_counted_anew():
    settings = AugmentSettings(bent=0.5, lifted=0.25, lift=(0.1, 0.2), counted=0.3, counts=(8, 9))
    drawn, plain = (
        draw_change(4000, s, np.random.default_rng(1)) for s in (settings, AugmentSettings())
    )

    assert float((drawn.gamma != 1).float().mean()) == pytest.approx(0.5, abs=0.03)
    assert float((drawn.lift > 0).float().mean()) == pytest.approx(0.25, abs=0.03)
    lifted = drawn.lift[drawn.lift > 0]
    assert 0.1 <= float(lifted.min()) < float(lifted.max()) <= 0.2
    assert float(torch.isfinite(drawn.counts).float().mean()) == pytest.approx(0.3, abs=0.03)
    assert plain.gamma is None
    assert plain.lift is None
    assert torch.equal(drawn.gain, plain.gain), "one change would change the draws of another"


def test_a_lifted_plane_is_what_scoring_makes_of_an_image_with_a_constant_background():
    image = torch.tensor([[[0.0, 30, 60, 90, 120, 200]]])  # its scale is 120
    one, none = torch.ones(1), torch.zeros(1)
    change = Change(gain=one, offset=none, noise=none, blur_px=none, seed=0, lift=0.5 * one)

    lifted = changed((image / 120).clamp(0, 1), change)

    torch.testing.assert_close(lifted, ((image + 60) / (120 + 60)).clamp(0, 1))


def test_with_an_exponent_the_power_of_the_channel_is_changed(planes):
    root = change(gain=torch.full((2,), 0.5), offset=torch.full((2,), 0.1), exponent=0.5)

    torch.testing.assert_close(changed(planes, root), (0.5 * planes.sqrt() + 0.1) ** 2)
    dark = changed(torch.zeros(2, 64, 64), change(noise=torch.full((2,), 0.1), exponent=0.5))
    assert float(dark.max()) < 0.25, "noise of a dark plane is squared"
    assert 0 < float(dark.mean()) < 0.01
    torch.testing.assert_close(changed(planes, change(exponent=0.5)), planes)


def test_background_and_counts_are_of_the_channel_itself_whatever_the_exponent(planes):
    lift, counts = torch.tensor([0.5, 2.0]), torch.tensor([20.0, torch.inf])
    for own in ({"lift": lift}, {"counts": counts}):
        plain, root = changed(planes, change(**own)), changed(planes, change(**own, exponent=0.5))
        torch.testing.assert_close(root, plain, atol=1e-5, rtol=0)
        assert not torch.allclose(plain, planes, atol=0.05)
