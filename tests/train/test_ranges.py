import math

import pytest

pytest.importorskip("torch")

from nimbus.train import AugmentSettings, FinetuneSettings, FitSettings, RobustSettings


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        (FitSettings, {"batch_size": 0}, "batch_size must be at least 1, not 0"),
        (FitSettings, {"log_every": 0}, "log_every must be at least 1, not 0"),
        (FitSettings, {"measure_every": 0}, "measure_every must be at least 1, not 0"),
        (FitSettings, {"n_steps": 0}, "n_steps must be at least 1, not 0"),
        (FitSettings, {"depth": 1}, "depth must be at least 2, not 1"),
        (FitSettings, {"warmup_steps": -1}, "warmup_steps must be at least 0, not -1"),
        (FitSettings, {"learning_rate": math.nan}, "learning_rate must be at least 0, not nan"),
        (FitSettings, {"clip": 0.0}, "clip must be above 0, not 0.0"),
        (FitSettings, {"average_decay": 1.1}, "average_decay must be from 0 to 1, not 1.1"),
        (FinetuneSettings, {"batch_size": 0}, "batch_size must be at least 1, not 0"),
        (FinetuneSettings, {"measure_every": 0}, "measure_every must be at least 1, not 0"),
        (FinetuneSettings, {"patience": 0}, "patience must be at least 1, not 0"),
        (FinetuneSettings, {"judged": 1.5}, "judged must be from 0 to 1, not 1.5"),
        (FinetuneSettings, {"judged": -1}, "judged must be from 0 to 1, not -1"),
        (AugmentSettings, {"log_gain": (0.5,)}, r"log_gain must be two .* not \(0.5,\)"),
        (AugmentSettings, {"log_gain": 0.5}, "log_gain must be two .* not 0.5"),
        (AugmentSettings, {"offset": (0.1, -0.1)}, "offset must be two .*the smaller first"),
        (AugmentSettings, {"counts": (8, math.inf)}, "counts must be two numbers"),
        (AugmentSettings, {"log_gain": (0.0, 1.0)}, r"log_gain must be above 0, not \(0.0, 1.0\)"),
        (AugmentSettings, {"noise": (-0.1, 1.0)}, "noise must be at least 0"),
        (AugmentSettings, {"lifted": 1.5}, "lifted must be from 0 to 1, not 1.5"),
        (RobustSettings, {"contradicted": 0.6}, "contradicted must be from 0 to 0.5, not 0.6"),
    ],
)
def test_settings_out_of_range_are_refused_with_the_range(kind, given, message):
    with pytest.raises(ValueError, match=message):
        kind(**given)


def test_the_ends_of_ranges_can_be_given():
    FitSettings(warmup_steps=0, learning_rate=0.0, held_out=0, clip=math.inf, average_decay=0)
    FinetuneSettings(warmup_steps=0, judged=1, patience=1)
    AugmentSettings(log_gain=(1, 1), offset=(0, 0), noise=(0, 0), blurred=0, deformed=1)
