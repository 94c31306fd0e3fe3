# ruff: noqa: E402 (PyTorch may be absent)
import pytest

torch = pytest.importorskip("torch")

from nimbus.core.scalerule import ScaleRule
from nimbus.model import ModelCard, UNet
from nimbus.model.fold import FoldedUNet


def test_architecture_is_the_published_one():
    net = UNet()
    state = net.state_dict()

    assert sum(p.numel() for p in net.parameters()) == 35_607_809
    assert state["contracting_layers.6.conv2d_1.weight"].shape == (512, 512, 3, 3)
    assert state["expanding_layers.9.upconv.weight"].shape == (128, 64, 2, 2)
    assert state["expanding_layers.11.conv2d_0.weight"].shape == (64, 128, 1, 1)
    assert state["bottle_neck.bn_2.running_var"].shape == (1024,)
    assert state["final_conv.weight"].shape == (1, 64, 1, 1)


@pytest.mark.parametrize(("depth", "radius"), [(3, 22), (4, 46), (5, 94)])
@pytest.mark.parametrize("transpose", [False, True])
def test_a_box_is_reached_from_as_far_as_the_card_says_and_no_further(depth, radius, transpose):
    """NaN spreads to all that it reaches: one column of it, at some distance from the box."""
    net = UNet(depth=depth, root_filters=1).eval()
    card = ModelCard(name="", depth=depth, root_filters=1, pixel_size_um=1.0, scale=ScaleRule(1.0))
    multiple = card.multiple
    first = (radius // multiple + 2) * multiple  # the box begins here, and is as small as can be
    last = first + multiple - 1

    def reached(column):
        planes = torch.rand(1, 2, 2 * multiple, last + first + 1)
        planes[..., column] = torch.nan
        with torch.inference_mode():
            out = net(planes.mT).mT if transpose else net(planes)
        return bool(out[..., first : last + 1].isnan().any())

    assert reached(first - radius)
    assert reached(last + radius)
    assert not reached(slice(0, first - radius))
    assert not reached(slice(last + radius + 1, None))
    assert radius == 6 * multiple - 2 < card.halo


@pytest.mark.parametrize("depth", [3, 4])
def test_halo_is_enough_and_a_smaller_one_is_not(calibrated, depth):
    from .conftest import drawn_planes

    net = calibrated(depth)
    multiple, halo = 2 ** (depth - 1), 6 * 2 ** (depth - 1)
    side = 2 * halo + 4 * multiple
    planes = torch.tensor(drawn_planes(1, side))
    write = slice(halo, halo + multiple)
    with torch.inference_mode():
        whole = net(planes)[..., write, write]
        seen = net(planes[..., : 2 * halo + multiple, : 2 * halo + multiple])[..., write, write]
        less = halo // 2
        narrow = slice(halo - less, halo + multiple + less)
        inner = slice(less, less + multiple)
        cut = net(planes[..., narrow, narrow])[..., inner, inner]

    assert (whole - cut).abs().max() > 1e-3, "half the halo must show"
    torch.testing.assert_close(seen, whole, atol=1e-5, rtol=0)


def test_folding_changes_nothing_but_rounding(calibrated):
    net = calibrated(4, 8)
    planes = torch.rand(2, 2, 24, 16)

    with torch.inference_mode():
        torch.testing.assert_close(FoldedUNet(net)(planes), net(planes), atol=1e-4, rtol=1e-4)


def test_impossible_architecture_is_refused():
    with pytest.raises(ValueError, match="depth must be at least 2"):
        UNet(depth=1)
