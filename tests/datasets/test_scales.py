import numpy as np

from nimbus.datasets.effects import Effects, Recorded
from nimbus.datasets.fields import Channel
from nimbus.datasets.scales import LEAST, draw_scale


def channel_of(image, positive):
    nothing = np.zeros_like(image)
    return Channel(Recorded(image, nothing, nothing, nothing), np.array(positive), nothing)


def scales_of(channel, effects, n=300):
    return np.array([draw_scale(channel, effects, np.random.default_rng(i)) for i in range(n)])


def test_scales_spread_around_the_bright_pixels():
    image = np.zeros((100, 100), dtype=np.float32)
    image[:20] = np.linspace(50, 100, 2000).reshape(20, 100)

    scales = scales_of(channel_of(image, [True]), Effects())

    assert 90 < np.median(scales) < 200
    assert (scales < 75).mean() > 0.05
    assert (scales > 250).mean() > 0.03


def test_an_absent_marker_has_the_scale_of_other_fields_or_one_that_makes_noise_bright():
    noise = np.random.default_rng(0).poisson(0.2, (100, 100)).astype(np.float32)

    scales = scales_of(channel_of(noise, [False]), Effects(photons=100))

    assert (scales >= 100).mean() > 0.3
    assert (scales < 5).mean() > 0.3


def test_no_scale_is_below_one_count():
    dark = channel_of(np.zeros((10, 10), dtype=np.float32), [True])

    assert scales_of(dark, Effects(), 20).min() == LEAST
