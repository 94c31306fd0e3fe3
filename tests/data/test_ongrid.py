import numpy as np
import pytest
import spatialdata
from spatialdata.models import Image2DModel, Labels2DModel
from spatialdata.transformations import Affine, Scale, Sequence, Translation

from nimbus.data.ongrid import labels_on_image

LABELS = np.arange(1, 13).reshape(3, 4)


def on_image(transformation, shape):
    sdata = spatialdata.SpatialData(
        images={"i": Image2DModel.parse(np.zeros((1, *shape)), dims=("c", "y", "x"))},
        labels={
            "l": Labels2DModel.parse(
                LABELS, dims=("y", "x"), transformations={"global": transformation}
            )
        },
    )
    return labels_on_image(sdata, image_key="i", labels_key="l").compute()


def by_hand(size, start, shape):
    """The label pixel under the centre of each image pixel, in loops."""
    out = np.zeros(shape, dtype=int)
    for y in range(shape[0]):
        for x in range(shape[1]):
            row, column = (y + 0.5 - start[0]) // size, (x + 0.5 - start[1]) // size
            if 0 <= row < LABELS.shape[0] and 0 <= column < LABELS.shape[1]:
                out[y, x] = LABELS[int(row), int(column)]
    return out


@pytest.mark.parametrize(
    ("size", "start", "shape"),
    [(1, (0, 0), (3, 4)), (2, (0, 0), (6, 8)), (0.5, (0, 0), (2, 2)), (1, (1, 2), (5, 7))],
)
def test_every_pixel_has_the_label_under_its_centre(size, start, shape):
    moved = Sequence(
        [Scale([size, size], axes=("y", "x")), Translation(list(start), axes=("y", "x"))]
    )
    np.testing.assert_array_equal(on_image(moved, shape), by_hand(size, start, shape))


def test_turned_labels_are_refused():
    turned = Affine(
        [[0, 1, 0], [1, 0, 0], [0, 0, 1]], input_axes=("y", "x"), output_axes=("y", "x")
    )
    with pytest.raises(ValueError, match=r"whole|turned|relation"):
        on_image(turned, (4, 3))
