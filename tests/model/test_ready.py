# ruff: noqa: E402 (PyTorch may be absent)

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nimbus.model import VIEWS, CallablePredictor, make_predictor

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
