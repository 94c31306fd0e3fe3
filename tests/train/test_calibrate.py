from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nimbus.core.shards import Tiles  # noqa: E402
from nimbus.model.unet import UNet  # noqa: E402
from nimbus.train import AugmentSettings, calibrate, folded  # noqa: E402
from nimbus.train.measure import score_cells  # noqa: E402
from nimbus.train.samples import TileSampler  # noqa: E402


class ChannelAsLogit(UNet):
    """Its logit is a line of the channel: far too sure of itself."""

    def __init__(self):
        super().__init__(depth=2, root_filters=1)
        torch.nn.init.constant_(self.final_conv.weight, 40.0)
        torch.nn.init.constant_(self.final_conv.bias, 0.0)

    def forward(self, x):
        return self.final_conv(x[:, :1] - 0.7)


@pytest.fixture
def sampler():
    """Cells of one brightness each; a cell of brightness b is positive with probability b."""
    rng = np.random.default_rng(0)
    ids = np.arange(1, 65, dtype=np.int32).reshape(1, 8, 8).repeat(2, axis=1).repeat(2, axis=2)
    level = rng.random((40, 64))
    planes = level[:, (ids[0] - 1)]
    return TileSampler(
        [
            Tiles(
                planes=(planes * 65535).astype(np.uint16),
                geometry=np.zeros(40, dtype=np.int32),
                labels=(rng.random((40, 64)) < level).astype(np.int8),
                masks=np.ones((1, 16, 16), dtype=np.uint8),
                ids=ids,
                source=np.zeros(40, dtype=np.int32),
            )
        ]
    )


def test_after_calibration_scores_are_probabilities(sampler):
    net = ChannelAsLogit().eval()

    def error(judged):
        cells = score_cells(judged, sampler)
        bins = np.digitize(cells.score, np.linspace(0, 1, 6)[1:-1])
        gaps = [
            abs(cells.truth[bins == b].mean() - cells.score[bins == b].mean()) * (bins == b).mean()
            for b in np.unique(bins)
        ]
        return sum(gaps)

    assert error(net) > 0.1, "proves nothing: it was calibrated before"
    assert error(folded(net, calibrate(net, sampler))) < 0.04


def test_calibration_does_not_change_the_order_of_pixels(sampler):
    net = ChannelAsLogit().eval()
    after = folded(net, calibrate(net, sampler))
    x = torch.rand(1, 2, 8, 8)

    assert torch.equal(net(x).flatten().argsort(), after(x).flatten().argsort())


def test_calibrated_on_tiles_half_as_bright_the_call_turns_at_half_the_brightness(sampler):
    half = AugmentSettings(
        log_gain=(0.5, 0.5), offset=(0, 0), noise=(0, 0), blurred=0, contrasted=0, deformed=0
    )
    net = ChannelAsLogit().eval()

    def turning_point(augment):
        line = calibrate(net, sampler, augment=augment)
        return 0.7 - line.intercept / (40 * line.slope)

    assert turning_point(None) == pytest.approx(0.5, abs=0.04)
    assert turning_point(half) == pytest.approx(0.25, abs=0.04)


def test_samples_of_which_nearly_all_cells_are_positive_do_not_calibrate(sampler):
    tiles = sampler.shards[0]
    labels = tiles.labels.copy()
    labels[::2] = 1
    common = TileSampler([replace(tiles, labels=labels)])
    rest = TileSampler(
        [replace(tiles, **{n: getattr(tiles, n)[1::2] for n in ("planes", "geometry", "labels",
                                                               "source")})]
    )  # fmt: skip
    net = ChannelAsLogit().eval()

    alone, with_all, without = (
        calibrate(net, rest), calibrate(net, common), calibrate(net, common, largest_share=0.8),
    )  # fmt: skip

    assert abs(with_all.intercept - alone.intercept) > 0.5, "proves nothing: they change nothing"
    assert without.intercept == pytest.approx(alone.intercept, abs=1e-3)
    assert without.slope == pytest.approx(alone.slope, rel=1e-3)


def with_border(sampler, *, border):
    """The tiles with a lower half of each cell that lies outside of its interior or not."""
    (tiles,) = sampler.shards
    planes, masks = tiles.planes.copy(), tiles.masks.copy()
    planes[:, 1::2] //= 2
    masks[:, 1::2] = not border
    return TileSampler([replace(tiles, planes=planes, masks=masks)])


def test_scores_of_whole_cells_are_calibrated_by_all_of_their_pixels(sampler):
    net = ChannelAsLogit().eval()
    bordered, whole = (with_border(sampler, border=border) for border in (True, False))

    wanted = calibrate(net, whole)

    assert calibrate(net, bordered).intercept < wanted.intercept - 0.1, "the border matters"
    assert calibrate(net, bordered, aggregate="cell") == wanted


def test_without_tiles_there_is_nothing_to_calibrate_on():
    with pytest.raises(ValueError, match="no tiles to calibrate on"):
        calibrate(ChannelAsLogit().eval(), TileSampler([]))
