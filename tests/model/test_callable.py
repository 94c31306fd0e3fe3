import numpy as np
import pytest

from nimbus.model import VIEWS, CallablePredictor

from .conftest import drawn_planes

PLANES = drawn_planes(3, 4, 6)


def left_to_right(planes):
    """Differs between views: each pixel minus nothing, plus its column's place."""
    ramp = np.linspace(0, 0.5, planes.shape[-1], dtype=np.float32)
    return (planes[:, :1] * 0.5 + ramp).astype(np.float32)


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_batches_change_nothing(batch_size):
    seen = []

    def model(planes):
        seen.append(len(planes))
        return left_to_right(planes)

    result = CallablePredictor(model, batch_size).predict(PLANES)

    np.testing.assert_array_equal(result, left_to_right(PLANES))
    assert max(seen) == min(batch_size, 3)
    assert sum(seen) == 3


def test_mean_over_views_is_the_mean_of_each_turned_back():
    predictor = CallablePredictor(left_to_right)
    expected = np.zeros((3, 4, 6))
    for view in VIEWS:
        expected += view.invert(left_to_right(np.ascontiguousarray(view.apply(PLANES))))[:, 0] / 8

    assert np.abs(expected - left_to_right(PLANES)[:, 0]).max() > 0.1, "views must matter"
    np.testing.assert_allclose(predictor.predict_views(PLANES, VIEWS), expected, atol=1e-6)


def test_no_view_is_an_error():
    with pytest.raises(ValueError, match="views is empty"):
        CallablePredictor(left_to_right).predict_views(PLANES, [])


def test_model_may_answer_with_a_tensor():
    torch = pytest.importorskip("torch")

    predictor = CallablePredictor(lambda planes: torch.tensor(planes)[:, :1])

    np.testing.assert_array_equal(predictor.predict(PLANES), PLANES[:, :1])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda planes: planes, r"gave shape \(1, 2, 4, 6\).*expected \(1, 1, 4, 6\)"),
        (lambda planes: planes[:, 0], "gave shape"),
        (lambda planes: planes[:, :1] * 3 - 1, "values from -1 to 2; expected probabilities"),
        (lambda planes: planes[:, :1] * np.nan, "not finite"),
        (lambda planes: planes[:, :1] > 0.5, "gave bool"),
    ],
)
def test_wrong_answers_are_named(model, message):
    planes = np.zeros((1, 2, 4, 6), np.float32)
    planes[0, 0, 0, 0] = 1

    with pytest.raises(ValueError, match=message):
        CallablePredictor(model).predict(planes)
