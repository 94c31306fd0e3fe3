import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from matplotlib.colors import to_hex, to_rgb
from spatialdata import SpatialData
from spatialdata.models import Labels2DModel
from spatialdata.transformations import Scale, set_transformation

import nimbus
from nimbus.data.groups import groups_of
from nimbus.data.tables import region_rows
from nimbus.pl import _tissue

pytest.importorskip("spatialdata_plot", reason="the extra 'plot' is not installed")

COLORS = {"B": "#ff0000", "T": "#0000ff", "other": "#00ff00"}
GREY = "#808080"


@pytest.fixture(scope="module")
def drawn():
    """Two fields whose rows are in no order, with types, and cells without one or without a row."""
    sdata = nimbus.datasets.tissue(
        shape=(80, 96), n_fovs=2, n_cells=25, markers=["CD3"], random_state=0
    )
    table = sdata["table"]
    kinds = np.array(["T", "B", None, "other"], dtype=object)[table.obs["instance_id"] % 4]
    kinds[table.obs["region"] == "fov1_labels"] = "T"
    table.obs["kind"] = pd.Categorical(kinds, categories=["B", "T", "unseen", "other"])
    table.uns["kind_colors"] = ["#ff0000", "#0000ff", "#123456", "#00ff00"]
    order = np.random.default_rng(0).permutation(table.n_obs)
    sdata.tables["table"] = table[order[table.obs["instance_id"].to_numpy()[order] != 5]].copy()
    return sdata


def painted(ax, shape):
    """Colour of each pixel of the labels, all layers on each other."""
    out = np.ones((*shape, 3))
    for image in ax.images:
        layer = np.asarray(image.get_array())
        assert layer.shape[:2] == shape
        out = out * (1 - layer[..., 3:]) + layer[..., :3] * layer[..., 3:]
    return out


def wanted(sdata, key):
    """The same by a loop over the rows."""
    labels = sdata[key].to_numpy()
    out = np.ones((*labels.shape, 3))
    out[labels != 0] = to_rgb(GREY)
    rows, ids = region_rows(sdata["table"])[key]
    for row, cell in zip(rows, ids, strict=True):
        kind = sdata["table"].obs["kind"].iloc[row]
        if isinstance(kind, str):
            out[labels == cell] = to_rgb(COLORS[kind])
    return out


class TestColours:
    @pytest.mark.parametrize("key", ["fov0_labels", "fov1_labels"])
    def test_every_pixel_has_the_colour_of_its_cell(self, drawn, key):
        [ax] = nimbus.pl.celltypes(
            drawn, cell_type_key="kind", labels_key=key, na_color=GREY, show=False
        )
        np.testing.assert_allclose(painted(ax, drawn[key].shape), wanted(drawn, key), atol=0.01)

    def test_names_that_are_numbers_are_groups(self, drawn):
        table = drawn["table"]
        table.obs["nimbus_metacluster"] = table.obs["kind"].cat.rename_categories(
            {"B": "0", "T": "1", "unseen": "2", "other": "10"}
        )
        table.uns["nimbus_metacluster_colors"] = table.uns["kind_colors"]
        [ax] = nimbus.pl.celltypes(drawn, labels_key="fov0_labels", na_color=GREY, show=False)
        shape = drawn["fov0_labels"].shape
        np.testing.assert_allclose(painted(ax, shape), wanted(drawn, "fov0_labels"), atol=0.01)

    def test_the_legend_has_what_is_drawn(self, drawn):
        first, second = nimbus.pl.celltypes(drawn, cell_type_key="kind", show=False)
        [legend] = first.figure.legends
        assert [one.get_text() for one in legend.get_texts()] == ["B", "T", "other", "none"]
        assert [first.get_title(), second.get_title()] == ["fov0", "fov1"]
        colors = [to_hex(one.get_facecolor()) for one in legend.get_patches()]
        assert colors[:3] == list(COLORS.values())

    def test_the_legend_is_beside_all_panels_and_whole_however_flat_they_are(self):
        sdata = nimbus.datasets.tissue(
            shape=(40, 160), n_fovs=3, n_cells=30, markers=["CD3"], random_state=0
        )
        axes = nimbus.pl.celltypes(sdata, cell_type_key="cell_type", show=False)
        figure = axes[0].figure
        figure.draw_without_rendering()
        [legend] = figure.legends
        box, whole = legend.get_window_extent(), figure.bbox
        assert box.height > 40 / 160 * axes[0].bbox.width, "proves nothing: panels are as high"
        assert box.x0 >= max(ax.bbox.x1 for ax in axes)
        assert (box.x1, box.y1) <= (whole.x1, whole.y1)
        assert box.y0 >= whole.y0
        for ax in axes:
            assert ax.bbox.width / figure.dpi == pytest.approx(4.5, rel=0.05)

    def test_of_given_axes_the_last_of_the_first_row_has_the_legend(self):
        sdata = nimbus.datasets.tissue(
            shape=(64, 64), n_fovs=4, n_cells=9, markers=["CD3"], random_state=0
        )
        given = plt.subplots(1, 4, figsize=(16, 4))[1]
        axes = nimbus.pl.celltypes(sdata, cell_type_key="cell_type", ax=given)
        assert [ax.get_legend() is not None for ax in axes] == [False, False, False, True]

    def test_cells_of_no_group_at_all_are_drawn(self, drawn):
        table = drawn["table"]
        table.obs["nothing"] = pd.Categorical([None] * table.n_obs, categories=["B", "T"])
        [ax] = nimbus.pl.celltypes(
            drawn, cell_type_key="nothing", labels_key="fov0_labels", na_color=GREY, show=False
        )
        found = painted(ax, drawn["fov0_labels"].shape)[drawn["fov0_labels"].to_numpy() != 0]
        np.testing.assert_allclose(found, np.broadcast_to(to_rgb(GREY), found.shape), atol=0.01)


class TestPlace:
    def test_axes_are_those_of_the_coordinate_system(self, drawn):
        [ax] = nimbus.pl.celltypes(
            drawn, cell_type_key="kind", labels_key="fov0_labels", show=False
        )
        np.testing.assert_allclose(ax.get_xlim(), (0, 48))  # 96 pixels of 0.5 um
        np.testing.assert_allclose(ax.get_ylim(), (40, 0))
        assert [one.get_text() for one in ax.texts] == ["10 µm"]

    def test_only_the_limits_are_drawn(self, drawn):
        [ax] = nimbus.pl.celltypes(
            drawn,
            cell_type_key="kind",
            labels_key="fov0_labels",
            na_color=GREY,
            xlim=(10, 20),
            ylim=(-5, 30),
            show=False,
        )
        np.testing.assert_allclose(ax.get_xlim(), (10, 20))
        np.testing.assert_allclose(ax.get_ylim(), (30, 0))
        part = wanted(drawn, "fov0_labels")[:60, 20:40]
        np.testing.assert_allclose(painted(ax, (60, 20)), part, atol=0.01)

    def test_a_field_larger_than_its_panel_keeps_its_colours(self):
        ids = np.kron(np.arange(1, 65, dtype=np.int32).reshape(8, 8), np.ones((150, 150), np.int32))
        labels = Labels2DModel.parse(ids, dims=("y", "x"))
        set_transformation(labels, Scale([0.5, 0.5], axes=("x", "y")), "global")
        groups = pd.Series(
            pd.Categorical(np.where(np.arange(1, 65) % 3 == 0, "B", "T")), index=np.arange(1, 65)
        )
        field = _tissue.TissueField(
            SpatialData(labels={"cells": labels}),
            "cells",
            "global",
            "",
            groups,
            (0, 600),
            (0, 600),
            None,
        )
        ax = plt.subplots(figsize=(2, 2), dpi=100)[1]
        field.draw(ax, COLORS, na_color=GREY)
        layer = np.asarray(ax.images[-1].get_array())
        assert layer.shape[0] < 600, "proves nothing: it was not made smaller"
        side = layer.shape[0] / 8
        for cell in (1, 3, 28, 64):
            row, column = divmod(cell - 1, 8)
            pixel = layer[int((row + 0.5) * side), int((column + 0.5) * side)]
            assert to_hex(pixel[:3]) == COLORS["B" if cell % 3 == 0 else "T"]


class TestRefused:
    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"cell_type_key": "kin"}, "did you mean 'kind'"),
            ({"labels_key": "fov2_labels"}, "did you mean 'fov"),
            ({"cell_type_key": "kind", "xlim": (90, 99)}, r"which span 0 to 48"),
            ({"cell_type_key": "kind", "coordinate_system": "fov0"}, "coordinate system"),
        ],
    )
    def test_what_does_not_exist_is_named(self, drawn, given, message):
        with pytest.raises(ValueError, match=message):
            nimbus.pl.celltypes(drawn, show=False, **given)

    def test_a_measurement_is_no_group(self, drawn):
        table = AnnData(obs=pd.DataFrame({"size": np.arange(300.0)}).set_axis(map(str, range(300))))
        with pytest.raises(ValueError, match="300 different values"):
            groups_of(table, "size")

    def test_without_types_the_way_is_shown(self):
        sdata = nimbus.datasets.tissue(shape=(40, 40), n_cells=4, markers=["CD3"], random_state=0)
        with pytest.raises(ValueError, match=r"run nimbus\.tl\.cluster or nimbus\.tl\.annotate"):
            nimbus.pl.celltypes(sdata, show=False)

    def test_the_extra_is_named_where_it_is_missing(self, drawn, monkeypatch):
        monkeypatch.setitem(sys.modules, "spatialdata_plot", None)
        with pytest.raises(ImportError, match=r"nimbus-spatial\[plot\]"):
            nimbus.pl.celltypes(drawn, show=False)
