import numpy as np
import pytest

from nimbus.gui.scene import FILL_ALPHA, brightness, label_scene, packed, point_scene

RED, BLUE = packed("#ff0000"), packed("#0000ff")
WINDOW = (0.0, 10.0, 0.0, 10.0)


def test_cells_are_translucent_with_an_opaque_outline_and_others_are_not_drawn():
    cells = np.zeros((12, 24), int)
    cells[1:11, 1:11], cells[1:11, 13:23] = 3, 9
    nodes = np.where(cells == 3, 0, np.where(cells == 9, 1, -1)).astype(np.int32)
    scene = label_scene(np.zeros(cells.shape, np.float32), cells, nodes, WINDOW)
    seen = scene.paint(np.array([0, RED, 0], np.uint32))
    assert not scene.opaque
    assert seen[1, 1] == RED
    assert seen[5, 5] == packed("#ff0000", FILL_ALPHA)
    assert np.count_nonzero(seen) == 100, "node 1 is transparent, and so is what has no cell"


def test_cells_of_a_few_pixels_are_filled_opaquely():
    cells = np.arange(1, 145).reshape(12, 12)
    scene = label_scene(np.zeros((12, 12), np.float32), cells, np.zeros((12, 12), np.int32), WINDOW)
    assert scene.opaque
    assert (scene.paint(np.array([0, RED], np.uint32)) == RED).all()


def test_two_cells_of_one_node_keep_the_line_between_them():
    cells = np.repeat([[1, 2]], 20, axis=0).repeat(20, axis=1)
    scene = label_scene(
        np.zeros(cells.shape, np.float32), cells, np.zeros(cells.shape, np.int32), WINDOW
    )
    assert scene.edge[:, 19:21].all()
    assert not scene.edge[:, :18].any()


def test_points_are_seen_where_they_are_and_only_within_the_window():
    places = np.array([[2.5, 7.5], [8.5, 1.5], [20.0, 5.0]])
    nodes = np.array([0, 1, 0], np.int32)
    scene = point_scene(places, nodes, WINDOW, max_pixels=10)
    seen = scene.paint(np.array([0, RED, BLUE], np.uint32))
    assert seen[7, 2] == RED
    assert seen[1, 8] == BLUE
    assert scene.pixel.size == 2
    assert scene.paint(np.array([0, 0, BLUE], np.uint32))[7, 2] == 0


def test_the_window_keeps_its_proportions():
    scene = point_scene(np.zeros((1, 2)), np.zeros(1, np.int32), (0, 20, 0, 10), max_pixels=40)
    assert scene.values.shape == (20, 40)
    assert scene.extent == (0, 20, 0, 10)


@pytest.mark.parametrize("color", ["#1f77b4", "#000000"])
def test_a_packed_color_has_its_bytes_as_the_screen_wants_them(color):
    channels = np.array([packed(color)], np.uint32).view(np.uint8)
    assert channels.tolist() == [int(color[k : k + 2], 16) for k in (1, 3, 5)] + [255]


def test_hot_pixels_do_not_darken_the_rest():
    values = np.tile(np.linspace(0, 100, 1000), 2)
    values[0] = 60_000
    low, high = brightness(values)
    assert low < 2
    assert 99 < high <= 100
