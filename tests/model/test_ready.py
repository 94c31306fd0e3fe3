# ruff: noqa: E402 (PyTorch may be absent)

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nimbus.model import VIEWS, CallablePredictor, UNet, make_predictor
from nimbus.model.device import feature_order
from nimbus.model.fold import FoldedUNet

from .conftest import drawn_planes

CPU = torch.device("cpu")


def reference(net, planes):
    with torch.inference_mode():
        return torch.sigmoid(net(torch.tensor(planes))).numpy()


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_probabilities_are_those_of_the_network(calibrated, precision):
    net = calibrated(depth=3, root_filters=8)
    planes = drawn_planes(2, 24, 32)
    expected = reference(net, planes)
    assert expected.std() > 0.15, "probabilities must vary to prove something"

    result = make_predictor(net, device="cpu", precision=precision).predict(planes)

    assert result.dtype == np.float32
    assert np.abs(result - expected).max() < {"float32": 1e-5, "bfloat16": 0.1}.get(precision, 0.02)


def test_user_keeps_the_network_as_it_was(calibrated):
    net = calibrated()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}

    for precision in ("float32", "bfloat16"):
        make_predictor(net, device="cpu", precision=precision).predict(drawn_planes(1, 8))

    for name, tensor in net.state_dict().items():
        assert tensor.dtype == before[name].dtype
        assert torch.equal(tensor, before[name])


def test_views_are_seen_and_turned_back_as_without_pytorch(calibrated):
    net = calibrated()
    planes = drawn_planes(2, 16, 24)
    plain = CallablePredictor(lambda seen: reference(net, seen))
    predictor = make_predictor(net, device="cpu", precision="float32")

    for view in VIEWS:
        np.testing.assert_allclose(
            predictor.predict_view(planes, view), plain.predict_view(planes, view), atol=1e-5
        )
    mean = predictor.predict_views(planes, VIEWS)
    assert np.abs(mean - predictor.predict(planes)[:, 0]).max() > 0.01, "views must matter"
    np.testing.assert_allclose(mean, plain.predict_views(planes, VIEWS), atol=1e-5)


def test_each_image_of_a_batch_is_scored_alone(calibrated):
    predictor = make_predictor(calibrated(), device="cpu", precision="float32", batch_size=2)
    planes = drawn_planes(3, 16)

    together = predictor.predict(planes)

    for image, alone in zip(planes, together, strict=True):
        np.testing.assert_array_equal(predictor.predict(image[None])[0], alone)


@pytest.mark.parametrize("root_filters", [4, 16])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_network_of_another_device_can_be_made_ready_for_the_processor(
    monkeypatch, root_filters, precision
):
    # Nothing can be copied from meta, so the copy has values of its own.
    monkeypatch.setattr(UNet, "cpu", lambda net: net.to_empty(device="cpu"))
    net = UNet(depth=2, root_filters=root_filters).eval().to("meta")
    ready = make_predictor(net, device="cpu", precision=precision)
    assert {tensor.device.type for tensor in net.parameters()} == {"meta"}, "it is not changed"
    networks = [ready.network, *ready.turned.values()]
    assert {tensor.device.type for one in networks for tensor in tensors_of(one)} == {"cpu"}


def tensors_of(value):
    """All tensors in a module, or in dataclasses."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, torch.nn.Module):
        return list(value.parameters())
    if isinstance(value, tuple):
        return [tensor for one in value for tensor in tensors_of(one)]
    if dataclasses.is_dataclass(value):
        parts = [getattr(value, field.name) for field in dataclasses.fields(value)]
        return [tensor for one in parts for tensor in tensors_of(one)]
    return []


@pytest.mark.parametrize("exponent", [1.0, 0.5])
def test_a_network_makes_no_tensor_on_the_processor(exponent):
    net = UNet(depth=3, root_filters=4, patch=2, exponent=exponent).eval()
    planes = torch.zeros(1, 2, 16, 24, device="meta")
    for network in (FoldedUNet(net).to("meta"), net.to("meta")):
        with torch.inference_mode():
            assert network(planes).device.type == "meta"


def test_a_network_is_channels_last_but_on_apple_gpus(monkeypatch):
    meta = torch.device("meta")
    monkeypatch.setattr("nimbus.model.ready.choose_device", lambda name: meta)
    kernels = {}
    for order in (torch.channels_last, torch.contiguous_format):
        for module in ("fold", "ready"):
            monkeypatch.setattr(f"nimbus.model.{module}.feature_order", lambda device, o=order: o)
        ready = make_predictor(UNet(depth=2, root_filters=4).eval(), precision="float16")
        seen = []
        ready.network.down[0].skip.register_forward_pre_hook(lambda _, x, s=seen: s.append(x[0]))
        ready.network(torch.zeros(2, 2, 8, 8, device=meta, dtype=torch.float16))
        kernels[order] = ready.network.down[0].first.weight, seen[0]
    for order, tensors in kernels.items():
        assert all(tensor.is_contiguous(memory_format=order) for tensor in tensors)
    assert feature_order(torch.device("mps")) == torch.contiguous_format
    assert feature_order(torch.device("cuda", 1)) == torch.channels_last


def test_a_gpu_without_a_number_is_the_current_one_of_the_thread_that_asks(monkeypatch, calibrated):
    asked = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr("nimbus.model.ready.link_to", asked.append)
    monkeypatch.setattr(torch.nn.Module, "to", lambda net, *_, device=None, **__: net)
    ready = make_predictor(calibrated(), device="cuda", precision="float32")
    assert asked == [ready.device] == [torch.device("cuda:1")]
