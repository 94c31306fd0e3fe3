# ruff: noqa: E402 (PyTorch may be absent)
import pytest

torch = pytest.importorskip("torch")

from nimbus.core.scalerule import ScaleRule
from nimbus.model import ModelCard, UNet
from nimbus.model.fold import FoldedUNet
from nimbus.model.patches import in_patches


def test_architecture_is_the_published_one():
    net = UNet()
    state = net.state_dict()

    assert sum(p.numel() for p in net.parameters()) == 35_607_809
    assert state["contracting_layers.6.conv2d_1.weight"].shape == (512, 512, 3, 3)
    assert state["expanding_layers.9.upconv.weight"].shape == (128, 64, 2, 2)
    assert state["expanding_layers.11.conv2d_0.weight"].shape == (64, 128, 1, 1)
    assert state["bottle_neck.bn_2.running_var"].shape == (1024,)
    assert state["final_conv.weight"].shape == (1, 64, 1, 1)


@pytest.mark.parametrize(
    ("depth", "patch", "radius"), [(3, 1, 22), (4, 1, 46), (5, 1, 94), (3, 2, 44), (4, 2, 92)]
)
@pytest.mark.parametrize("transpose", [False, True])
def test_a_box_is_reached_from_as_far_as_the_card_says_and_no_further(
    depth, patch, radius, transpose
):
    """NaN spreads to all that it reaches: one column of it, at some distance from the box."""
    size = {"depth": depth, "root_filters": 1, "patch": patch}
    net = UNet(**size).eval()
    card = ModelCard(name="", **size, pixel_size_um=1.0, scale=ScaleRule(1.0))
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
    assert radius == 6 * multiple - 2 * patch < card.halo


@pytest.mark.parametrize(("depth", "patch"), [(3, 1), (4, 1), (3, 2)])
def test_halo_is_enough_and_a_smaller_one_is_not(calibrated, depth, patch):
    from .conftest import drawn_planes

    net = calibrated(depth, patch=patch)
    multiple, halo = patch * 2 ** (depth - 1), 6 * patch * 2 ** (depth - 1)
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


@pytest.mark.parametrize("patch", [1, 2])
def test_folding_changes_nothing_but_rounding(calibrated, patch):
    net = calibrated(4, 8, patch=patch)
    planes = torch.rand(2, 2, 48, 32)

    with torch.inference_mode():
        torch.testing.assert_close(FoldedUNet(net)(planes), net(planes), atol=1e-4, rtol=1e-4)


def test_a_network_of_patches_begins_as_the_network_of_their_means(calibrated):
    plain = calibrated(3, 4)
    net = in_patches(plain, 2)
    planes = torch.rand(2, 2, 16, 24)
    averaged = planes.unflatten(-1, (-1, 2)).mean(-1).unflatten(-2, (-1, 2)).mean(-2)

    with torch.inference_mode():
        expected = plain(averaged).repeat_interleave(2, -1).repeat_interleave(2, -2)
        torch.testing.assert_close(net(planes), expected, atol=1e-5, rtol=0)
    assert not net.training
    with pytest.raises(ValueError, match="has patches of 2 already"):
        in_patches(net, 2)


def test_pixels_of_a_patch_are_told_apart_and_stay_in_place():
    """Only the pixel below and to the right in each place is looked at, and answered."""
    net = UNet(depth=2, root_filters=1, patch=2).eval()
    with torch.no_grad():
        for value in net.parameters():
            value.zero_()
        net.contracting_layers[0].conv2d_0.weight[0, 3] = 1  # of the channel: y 1, x 1
        net.expanding_layers[2].conv2d_0.weight[0, 0] = 1  # of the features that were kept
        net.final_conv.weight[3] = 1
        planes = torch.rand(1, 2, 8, 12)
        logits = net(planes)

    expected = torch.zeros(1, 1, 8, 12)
    expected[..., 1::2, 1::2] = planes[:, :1, 1::2, 1::2]
    torch.testing.assert_close(logits, expected)


def test_impossible_architecture_is_refused():
    with pytest.raises(ValueError, match="depth must be at least 2"):
        UNet(depth=1)
    with pytest.raises(ValueError, match="patch at least 1, exponent above 0, not 3, 4, 0, 1"):
        UNet(depth=3, root_filters=4, patch=0)
