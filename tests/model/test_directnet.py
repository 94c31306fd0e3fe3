# ruff: noqa: E402 (PyTorch may be absent)
import pytest

torch = pytest.importorskip("torch")

from nimbus.model import VIEWS, directblock, make_predictor
from nimbus.model.directblock import direct_conv, through_block
from nimbus.model.directnet import direct_unet
from nimbus.model.ready import DIRECT_FILTERS
from nimbus.model.strips import Workspace
from nimbus.model.turning import turned, turned_back, turned_net
from nimbus.model.unet import reflect_pad

from .conftest import drawn_planes


@pytest.fixture(autouse=True)
def inference():
    with torch.inference_mode():
        yield


@pytest.fixture(params=[1, 200, 10**6], ids=["small strips", "strips", "one strip"])
def strips(request, monkeypatch):
    """Strips of two rows, of some, of all."""
    monkeypatch.setattr(directblock, "STRIP_FLOATS", request.param)


@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (1, 5), (2, 3), (3, 1), (5, 2), (7, 4), (24, 9)]
)
def test_block_is_two_padded_convolutions_and_what_they_see(strips, height, width):
    torch.manual_seed(0)
    image = torch.randn(height, width, 3)
    weights = [(torch.randn(3, 3, 3, 3) / 3, torch.randn(3)) for _ in range(2)]
    x = image.permute(2, 0, 1)[None].double()
    expected = x
    for weight, bias in weights:
        expected = torch.conv2d(reflect_pad(expected), weight.double(), bias.double()).relu()
    expected = (expected + x)[0].permute(1, 2, 0)
    found = torch.full((height, width, 3), torch.nan)

    def enter(start, stop, scratch, out):
        out.fill_(7)  # the rim is the block's affair
        out[:, 1:-1] = image[start:stop]

    def leave(start, stop, new, seen):
        assert found[start:stop].isnan().all(), "no row is given twice"
        found[start:stop] = new + seen

    first, second = (direct_conv(*one) for one in weights)
    with Workspace().workers() as work:
        through_block(first, second, (height, width), work, enter=enter, leave=leave)

    torch.testing.assert_close(found, expected.float(), atol=1e-4, rtol=0)


SIZES = [(3, 4, 4), (3, 12, 20), (4, 8, 24), (4, 40, 16), (5, 16, 16), (5, 48, 80)]


@pytest.mark.parametrize(("depth", "height", "width"), SIZES)
@pytest.mark.parametrize("patch", [1, 2, 3])
def test_direct_network_is_the_network(strips, calibrated, depth, height, width, patch):
    net = calibrated(depth, 3, patch=patch)
    planes = torch.tensor(drawn_planes(2, patch * height, patch * width))
    expected = net.double()(planes.double())
    direct = direct_unet(net.float())

    assert expected.std() > 0.2, "logits must vary to prove something"
    for _ in range(2):  # the second time in memory that was used
        assert (direct(planes) - expected).abs().max() < 5e-5


def test_number_of_threads_changes_no_bit(strips, calibrated, threads):
    planes = torch.tensor(drawn_planes(1, 64, 48))
    direct = direct_unet(calibrated(4, 8))
    results = []
    for n_threads in (1, 2, 3):
        threads(n_threads)
        results.append(direct(planes))
        assert torch.get_num_threads() == n_threads

    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


def test_networks_that_share_memory_do_not_disturb_each_other(calibrated):
    space = Workspace()
    nets = [calibrated(3, 4, seed=1), calibrated(4, 3, patch=2, seed=2)]
    planes = [torch.tensor(drawn_planes(1, 24, 40)), torch.tensor(drawn_planes(1, 48, 32))]
    both = [direct_unet(net, space) for net in nets]

    for _ in range(2):
        for net, direct, seen in zip(nets, both, planes, strict=True):
            torch.testing.assert_close(direct(seen), net(seen), atol=5e-5, rtol=0)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
@pytest.mark.parametrize("patch", [1, 2, 3])
def test_turned_network_sees_the_view(calibrated, view, patch):
    net = calibrated(3, 3, patch=patch)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    planes = torch.tensor(drawn_planes(2, 12 * patch, 20 * patch))

    seen = turned_net(net, view)(planes)

    expected = turned_back(net(turned(planes, view)), view)
    assert view.name == "identity" or (expected - net(planes)).abs().max() > 0.1
    torch.testing.assert_close(seen, expected, atol=5e-5, rtol=0)
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


@pytest.mark.parametrize("root_filters", [4, DIRECT_FILTERS + 1], ids=["direct", "fast"])
def test_predictor_sees_each_view_whichever_way_it_runs(calibrated, root_filters):
    net = calibrated(3, root_filters, patch=2)
    planes = drawn_planes(2, 24, 40)
    predictor = make_predictor(net, device="cpu", precision="float32")

    for view, seen in zip(VIEWS, predictor.each_view(planes, VIEWS), strict=True):
        expected = turned_back(net(turned(torch.tensor(planes), view)), view)[:, 0].sigmoid()
        torch.testing.assert_close(torch.tensor(seen), expected, atol=1e-5, rtol=0)
