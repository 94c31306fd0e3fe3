import numpy as np
import pytest

from nimbus.model.views import IDENTITY, VIEWS, views

IMAGE = np.arange(2 * 3 * 4).reshape(2, 3, 4)
IMAGE.flags.writeable = False


def test_eight_views_of_an_asymmetric_image_differ():
    square = IMAGE[:, :, :3]

    assert len({view.apply(square).tobytes() for view in VIEWS}) == 8


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_inverse_restores_the_image(view):
    np.testing.assert_array_equal(view.invert(view.apply(IMAGE)), IMAGE)


@pytest.mark.parametrize("k", range(4))
def test_turns_are_those_of_numpy(k):
    np.testing.assert_array_equal(VIEWS[k].apply(IMAGE), np.rot90(IMAGE, k, axes=(1, 2)))


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_tensors_are_turned_as_arrays_are(view):
    torch = pytest.importorskip("torch")
    from nimbus.model.predictor import turned, turned_back

    tensor = torch.from_numpy(IMAGE.copy())

    np.testing.assert_array_equal(turned(tensor, view), view.apply(IMAGE))
    np.testing.assert_array_equal(turned_back(turned(tensor, view), view), IMAGE)


def test_without_augmentation_only_the_image_itself_is_seen():
    assert views(tta=False) == (IDENTITY,)
    assert views(tta=True) == VIEWS
    np.testing.assert_array_equal(IDENTITY.apply(IMAGE), IMAGE)
