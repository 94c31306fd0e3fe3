"""What is read around a cell, and how it is drawn."""

import numpy as np
import pandas as pd
import pytest
import spatialdata
from anndata import AnnData
from spatialdata.models import Image2DModel, Labels2DModel, TableModel

from nimbus.gui.labelling.crop import Microscope, outline_lines
from nimbus.gui.labelling.opening import Request, review_desk

pytest.importorskip("panel")

#  two cells in one field of 40 x 60: 7 is 4 high and 6 wide, 9 lies at the border
CELL, BORDER = 7, 9


@pytest.fixture
def sdata():
    labels = np.zeros((40, 60), np.int32)
    labels[10:14, 20:26] = CELL
    labels[36:40, 54:60] = BORDER
    image = np.zeros((2, 40, 60), np.uint16)
    image[0] = 100 + np.arange(60)  # brighter to the right
    image[1] = 5
    obs = pd.DataFrame(
        {"region": pd.Categorical(["a_labels"] * 3), "instance_id": [CELL, BORDER, 11]},
        index=["0", "1", "2"],
    )
    table = AnnData(np.zeros((3, 1)), obs=obs)
    table.var_names = ["CD3"]
    table.obsm["spatial"] = np.array([[23.0, 12.0], [1.0, 1.0], [np.nan, np.nan]])
    keys = {"region": "a_labels", "region_key": "region", "instance_key": "instance_id"}
    return spatialdata.SpatialData(
        images={"a_image": Image2DModel.parse(image, c_coords=["CD3", "DAPI"])},
        labels={"a_labels": Labels2DModel.parse(labels)},
        tables={"table": TableModel.parse(table, **keys)},
    )


@pytest.fixture
def microscope(sdata) -> Microscope:
    desk = review_desk(sdata, Request(annotator="ada", order="random", n_cells=2))
    return desk.facts.microscope


class TestPlace:
    def test_a_centroid_in_the_cell_is_taken(self, microscope):
        assert microscope.place(0) == (23.0, 12.0)

    def test_a_centroid_elsewhere_is_not_believed(self, microscope):
        assert microscope.place(1) == (57.0, 38.0)  # of its bounding box

    def test_a_cell_that_the_labels_do_not_hold_has_none_and_the_field_is_shown(self, microscope):
        assert microscope.place(2) is None
        assert microscope.around(2, 10.0) == (0.0, 60.0, 0.0, 40.0)

    def test_the_window_is_a_square_around_the_cell(self, microscope):
        assert microscope.around(0, 12.0) == (17.0, 29.0, 6.0, 18.0)


class TestCrop:
    def test_pixels_are_those_of_the_window(self, microscope):
        crop = microscope.crop(0, "CD3", None, (17.0, 29.0, 6.0, 18.0))
        left, right, *_ = crop.extent
        assert (left, right) == (17.0, 29.0)
        assert crop.values.min() == 117
        assert crop.values.max() == 128
        assert crop.second is None

    def test_the_second_channel_is_read_at_the_same_pixels(self, microscope):
        crop = microscope.crop(0, "CD3", "DAPI", (17.0, 29.0, 6.0, 18.0))
        assert crop.second.shape == crop.values.shape
        assert (crop.second == 5).all()

    def test_the_outline_is_that_of_the_cell_and_neighbours_are_apart(self, microscope):
        crop = microscope.crop(0, "CD3", None, (0.0, 60.0, 0.0, 40.0))
        (xs,), (ys,) = crop.own
        assert (min(xs), max(xs), min(ys), max(ys)) == (20.0, 26.0, 10.0, 14.0)
        (xs,), (ys,) = crop.others
        assert (min(xs), max(xs), min(ys), max(ys)) == (54.0, 60.0, 36.0, 40.0)


def test_pieces_of_one_cell_are_one_line_each():
    own, others = outline_lines(np.array([[3, -1, 3]]), 3, (0.0, 3.0, 0.0, 1.0))
    assert len(own[0]) == 2
    assert others == ([], [])


class TestCropPlot:
    @pytest.fixture
    def plot(self):
        from nimbus.gui.labelling.cropplot import CropPlot

        return CropPlot(on_place=lambda x, y: None, on_window=lambda: None)

    def test_a_crop_is_drawn_with_its_outlines(self, plot, microscope):
        crop = microscope.crop(0, "CD3", "DAPI", (0.0, 60.0, 0.0, 40.0))
        plot.show(crop)
        drawn = plot.view.picture.source.data["image"][0]
        assert drawn.shape == crop.values.shape
        assert len(plot.own.data["xs"]) == 1
        assert len(plot.others.data["xs"]) == 1

    def test_clearing_takes_all_away(self, plot, microscope):
        plot.show(microscope.crop(0, "CD3", None, (0.0, 60.0, 0.0, 40.0)))
        plot.clear()
        assert plot.view.picture.source.data["image"] == []
        assert plot.own.data["xs"] == []
        assert plot.others.data["xs"] == []
