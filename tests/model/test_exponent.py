"""Networks that see a power of the channel, whichever way they run."""

# ruff: noqa: E402 (PyTorch may be absent)
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nimbus.core.scalerule import ScaleRule
from nimbus.model import VIEWS, CheckpointError, ModelCard, UNet, make_predictor
from nimbus.model.checkpoint import load_checkpoint, save_checkpoint
from nimbus.model.fold import FoldedUNet
from nimbus.model.onnx import export_onnx
from nimbus.model.patches import in_patches
from nimbus.model.ready import DIRECT_FILTERS
from nimbus.model.turning import turned, turned_back

from .conftest import drawn_planes

PLANES = drawn_planes(2, 24, 40)


def pair(calibrated, exponent=0.5, **size):
    """A network that sees a power of the channel, and the same weights that see the channel."""
    plain = calibrated(**size)
    net = UNet(depth=plain.depth, root_filters=plain.root_filters, patch=plain.patch,
               exponent=exponent)  # fmt: skip
    net.load_state_dict(plain.state_dict())
    return net.eval().requires_grad_(False), plain


def powered(planes, exponent):
    """Planes whose channel alone has the exponent, made by NumPy."""
    planes = np.array(planes)
    planes[:, 0] = np.maximum(planes[:, 0], 0) ** exponent
    return torch.tensor(planes)


def card_of(net, **changes):
    values = {"depth": net.depth, "root_filters": net.root_filters, "patch": net.patch,
              "exponent": net.exponent, **changes}  # fmt: skip
    return ModelCard(name="tiny", pixel_size_um=1.0, scale=ScaleRule(0.99), **values)


@pytest.mark.parametrize("exponent", [0.5, 0.25, 2.0])
def test_a_network_sees_the_power_of_the_channel_and_the_mask_as_it_is(calibrated, exponent):
    net, plain = pair(calibrated, exponent)
    planes = np.array(PLANES)
    planes[:, 1] *= 0.5  # whose power would differ
    planes[0, 0, :5] = -1.0  # no power of these is a number

    with torch.inference_mode():
        found = net(torch.tensor(planes))
        expected = plain(powered(planes, exponent))
        assert (expected - plain(torch.tensor(planes).clamp(min=0))).abs().max() > 0.1
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("root_filters", [4, DIRECT_FILTERS + 1], ids=["direct", "fast"])
@pytest.mark.parametrize("patch", [1, 2])
def test_every_view_on_the_processor_sees_the_power(calibrated, root_filters, patch):
    net, plain = pair(calibrated, root_filters=root_filters, patch=patch)
    predictor = make_predictor(net, device="cpu", precision="float32")

    for view, seen in zip(VIEWS, predictor.each_view(PLANES, VIEWS), strict=True):
        with torch.inference_mode():
            of_view = plain(turned(powered(PLANES, 0.5), view))
        expected = turned_back(of_view, view)[:, 0].sigmoid()
        torch.testing.assert_close(torch.tensor(seen), expected, atol=1e-5, rtol=0)


def test_the_network_of_other_devices_sees_the_power(calibrated):
    net, plain = pair(calibrated, patch=2)
    with torch.inference_mode():
        found = FoldedUNet(net)(torch.tensor(PLANES))
        torch.testing.assert_close(found, plain(powered(PLANES, 0.5)), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("patch", [1, 2])
def test_other_runtimes_see_the_power(tmp_path, calibrated, patch):
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    net, plain = pair(calibrated, patch=patch)
    planes = np.array(PLANES)
    planes[0, 0, :5] = -1.0
    export_onnx(net, card_of(net), tmp_path / "a.onnx")

    session = runtime.InferenceSession(tmp_path / "a.onnx", providers=["CPUExecutionProvider"])
    [found] = session.run(None, {"planes": planes})

    with torch.inference_mode():
        expected = torch.sigmoid(plain(powered(planes, 0.5))).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_file_of_weights_keeps_the_exponent_and_no_card_can_change_it(tmp_path, calibrated):
    net, plain = pair(calibrated)
    path, other = tmp_path / "tiny.safetensors", tmp_path / "plain.safetensors"
    card = save_checkpoint(path, net, card_of(net))
    loaded, read = load_checkpoint(path)

    assert (loaded.exponent, read.exponent) == (0.5, 0.5)
    with torch.inference_mode():
        assert torch.equal(loaded(torch.tensor(PLANES)), net(torch.tensor(PLANES)))
    assert save_checkpoint(other, plain, card_of(plain)).sha256 != card.sha256
    path.with_suffix(".json").write_text(card_of(net, exponent=1.0).to_json())
    with pytest.raises(CheckpointError, match="network with exponent 0.5, its card says 1.0"):
        load_checkpoint(path)
    other.with_suffix(".json").write_text(card_of(net).to_json())
    with pytest.raises(CheckpointError, match="network with exponent 1.0, its card says 0.5"):
        load_checkpoint(other)
    with pytest.raises(CheckpointError, match="the network has exponent 0.5, its card says 1.0"):
        save_checkpoint(path, net, card_of(plain))


def test_a_network_of_patches_keeps_the_exponent(calibrated):
    assert in_patches(pair(calibrated)[0], 2).exponent == 0.5


@pytest.mark.parametrize("exponent", [0, -1.0, float("nan")])
def test_an_exponent_that_is_none_is_refused(exponent):
    with pytest.raises(ValueError, match="exponent above 0, not 3, 4, 1, "):
        UNet(depth=3, root_filters=4, exponent=exponent)
