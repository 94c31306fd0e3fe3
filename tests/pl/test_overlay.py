"""What the overlay shows."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from matplotlib.colors import to_hex
from spatialdata import SpatialData
from spatialdata.models import TableModel

import nimbus
from nimbus.data.fields import Field, build_sdata

LABELS = np.zeros((40, 60), int)
LABELS[:20, :30] = 3
LABELS[:20, 30:] = 8
LABELS[20:, 10:] = 5
IMAGE = np.stack([np.tile(np.arange(60), (40, 1)), np.full((40, 60), 7)]).astype(np.uint16)
SCORE = {8: (0.9, 0.1), 3: (0.25, np.nan), 77: (0.6, 0.6)}  # 5 has no row, 77 no cell


def one_field(*, pixel_size_um=0.5, scores=SCORE, fields=("a",)) -> SpatialData:
    parts = [Field(name, IMAGE, LABELS, ("CD3", "CD8"), pixel_size_um) for name in fields]
    obs = pd.DataFrame({"region": "a_labels", "instance_id": list(scores)})
    obs["region"] = obs["region"].astype("category")
    obs.index = obs.index.astype(str)
    values = np.array(list(scores.values()), dtype=np.float32)
    layers = {"nimbus": values, "integrated": 100 * values}
    table = AnnData(100 * values, obs=obs, layers=layers)
    table.var_names = ["CD3", "CD8"]
    parsed = TableModel.parse(
        table, region="a_labels", region_key="region", instance_key="instance_id"
    )
    return build_sdata(parts, tables={"table": parsed})


def drawn(ax, kind=-1) -> np.ma.MaskedArray:
    """Values of an image of the panel: the last that was drawn, or another."""
    return ax.images[kind].get_array()


def test_panels_are_channel_mask_and_one_for_each_layer():
    axes = nimbus.pl.overlay(
        one_field(), channel=["CD3", "CD8"], layer=["nimbus", "integrated"], show=False
    )
    titles = [ax.get_title() for ax in axes]
    assert titles == ["CD3", "mask", "nimbus", "integrated", "CD8", "mask", "nimbus", "integrated"]


def test_cells_take_their_own_score_by_id():
    ax = nimbus.pl.overlay(one_field(), channel="CD3", show=False)[2]
    colors = drawn(ax)
    assert (colors[LABELS == 3] == np.float32(0.25)).all()
    assert (colors[LABELS == 8] == np.float32(0.9)).all()
    assert colors.mask[LABELS == 0].all(), "background has no colour"
    assert ax.images[-1].get_clim() == (0, 1)


def test_cells_without_a_row_or_with_nan_are_grey_and_explained():
    row = nimbus.pl.overlay(one_field(), channel="CD8", show=False)
    assert drawn(row[2]).mask[(LABELS == 5) | (LABELS == 3)].all()
    grey = drawn(row[2], 0)
    np.testing.assert_array_equal(~grey.mask, (LABELS == 5) | (LABELS == 3))
    [text] = row[2].get_legend().get_texts()
    assert text.get_text() == "no value"
    everywhere = one_field(scores={3: (0.1, 0.1), 8: (0.2, 0.2), 5: (0.3, 0.3)})
    assert nimbus.pl.overlay(everywhere, channel="CD8", show=False)[2].get_legend() is None


@pytest.mark.parametrize("layer", ["gold", "nimbus_positive"])
def test_undefined_labels_are_grey_and_not_negative(layer):
    sdata = one_field(scores={3: (0.1, 0.1), 8: (0.2, 0.2), 5: (0.3, 0.3)})
    sdata["table"].layers[layer] = np.array([[1, -1], [-1, 0], [0, 0]], dtype=np.int8)
    panel = nimbus.pl.overlay(sdata, channel="CD3", layer=layer, show=False)[2]
    np.testing.assert_array_equal(drawn(panel)[LABELS == 5], 0)
    np.testing.assert_array_equal(drawn(panel)[LABELS == 3], 1)
    np.testing.assert_array_equal(~drawn(panel, 0).mask, LABELS == 8)
    assert panel.get_legend().get_texts()[0].get_text() == "no value"


def test_channel_and_mask_panels_show_pixels_and_inner_borders():
    channel, mask, _ = nimbus.pl.overlay(one_field(), channel="CD3", show=False)
    np.testing.assert_array_equal(drawn(channel), IMAGE[0])
    inside = np.asarray(drawn(mask))
    assert inside[5, 5]
    assert not inside[5, 29], "the border of a cell"
    assert not inside[30, 5], "background"


def test_data_coordinates_are_micrometres_and_the_bar_says_so():
    ax = nimbus.pl.overlay(one_field(), channel="CD3", show=False)[0]
    assert ax.images[0].get_extent() == [0, 30, 20, 0]
    assert [text.get_text() for text in ax.texts] == ["5 µm"]
    unknown = one_field(pixel_size_um=None)
    ax = nimbus.pl.overlay(unknown, channel="CD3", show=False)[0]
    assert [text.get_text() for text in ax.texts] == ["10 px"]
    ax = nimbus.pl.overlay(unknown, channel="CD3", pixel_size=2.0, show=False)[0]
    assert [text.get_text() for text in ax.texts] == ["20 µm"]


def test_the_bar_takes_the_pixel_size_that_the_scores_were_made_with():
    sdata = one_field(pixel_size_um=None)
    nimbus.tl.score(
        sdata,
        model=lambda planes: planes[:, :1] * 0,
        pixel_size=2.0,
        tta=False,
        table_key="new",
        labels_key="a_labels",
        channels=["CD3"],
        show_progress_bar=False,
    )
    ax = nimbus.pl.overlay(sdata, channel="CD3", table_key="new", show=False)[0]
    assert [text.get_text() for text in ax.texts] == ["20 µm"]


def test_outlines_run_where_cells_end():
    with_lines, without = (
        nimbus.pl.overlay(one_field(), channel="CD3", outlines=wanted, show=False)[0]
        for wanted in (True, False)
    )
    [line] = with_lines.lines
    ends = line.get_xydata()
    assert 15 in ends[:, 0], "between cells 3 and 8, in micrometres"
    assert 10 in ends[:, 1], "between both and 5"
    assert not without.lines


def test_cells_of_a_few_pixels_get_no_outlines():
    sdata = one_field()
    axes = nimbus.pl.overlay(sdata, channel="CD3", max_pixels=10, show=False)
    assert not axes[0].lines
    assert drawn(axes[0]).shape == (6, 10)


def test_layer_none_needs_no_table():
    sdata = build_sdata([Field("a", IMAGE, LABELS, ("CD3", "CD8"), 0.5)])
    axes = nimbus.pl.overlay(sdata, channel="CD3", layer=None, show=False)
    assert [ax.get_title() for ax in axes] == ["CD3", "mask"]
    with pytest.raises(ValueError, match=r"no table 'table'.*run nimbus.tl.score first"):
        nimbus.pl.overlay(sdata, channel="CD3")


def test_names_that_do_not_exist_are_told_with_what_there_is():
    with pytest.raises(ValueError, match="channel of image 'a_image' 'CD33'.*'CD3'"):
        nimbus.pl.overlay(one_field(), channel="CD33")
    with pytest.raises(ValueError, match="layer 'gold'.*'nimbus'"):
        nimbus.pl.overlay(one_field(), channel="CD3", layer="gold")
    with pytest.raises(ValueError, match="'b_labels'"):
        nimbus.pl.overlay(one_field(), channel="CD3", labels_key="b_labels")


def test_a_layer_that_is_named_twice_is_told():
    with pytest.raises(ValueError, match=r"layers.*'nimbus'"):
        nimbus.pl.overlay(one_field(), channel="CD3", layer=["nimbus", "nimbus"])


def test_of_several_fields_one_must_be_chosen():
    sdata = build_sdata([Field(n, IMAGE, LABELS, ("CD3", "CD8"), 0.5) for n in "ab"])
    with pytest.raises(ValueError, match="labels_key=, one of 'a_labels', 'b_labels'"):
        nimbus.pl.overlay(sdata, channel="CD3", layer=None)
    assert nimbus.pl.overlay(sdata, channel="CD3", layer=None, labels_key="b_labels", show=False)


def test_the_table_chooses_where_it_annotates_one_of_the_fields():
    axes = nimbus.pl.overlay(one_field(fields=("a", "b")), channel="CD3", show=False)
    assert len(axes) == 3


def test_limits_cut_the_field():
    axes = nimbus.pl.overlay(one_field(), channel="CD3", xlim=(10, 20), ylim=(0, 5), show=False)
    np.testing.assert_array_equal(drawn(axes[0]), IMAGE[0, :10, 20:40])


def test_vmax_is_white_and_otherwise_the_brightest_pixels_are():
    first, second = (
        nimbus.pl.overlay(one_field(), channel="CD3", vmax=vmax, show=False)[0]
        for vmax in (None, 30.0)
    )
    assert 57 < first.images[0].get_clim()[1] <= 59
    assert second.images[0].get_clim() == (0, 30)


def test_a_channel_of_zeros_is_drawn():
    sdata = build_sdata([Field("a", np.zeros((1, 9, 9)), np.ones((9, 9), int), ("CD3",), 0.5)])
    axes = nimbus.pl.overlay(sdata, channel="CD3", layer=None, show=False)
    assert axes[0].images[0].get_clim() == (0, 1)


def test_mean_intensities_up_to_their_99th_percentile_have_a_colour():
    [ax] = nimbus.pl.overlay(one_field(), channel="CD3", layer="integrated", show=False)[2:]
    assert 80 < ax.images[-1].get_clim()[1] <= 90


@pytest.mark.parametrize("shift", [-0.5, -100.0])
def test_values_below_0_have_colours_of_their_own(shift):
    sdata = one_field(scores={3: (0.1, 0.1), 8: (0.2, 0.2), 5: (0.3, 0.3)})
    sdata["table"].layers["zscore"] = sdata["table"].layers["nimbus"] + shift
    panel = nimbus.pl.overlay(sdata, channel="CD3", layer="zscore", show=False)[2]
    low, high = panel.images[-1].get_clim()
    np.testing.assert_allclose((low, high), (0.1 + shift, 0.3 + shift), atol=0.01)


def test_pixels_that_are_nan_are_not_white():
    image = np.ones((1, 9, 9))
    image[0, :4] = np.nan
    sdata = build_sdata([Field("a", image, np.ones((9, 9), int), ("CD3",), 0.5)])
    ax = nimbus.pl.overlay(sdata, channel="CD3", layer=None, show=False)[0]
    assert to_hex(ax.get_facecolor()) == "#000000"


def test_given_axes_are_drawn_into_and_must_be_as_many():
    figure, row = plt.subplots(1, 3)
    axes = nimbus.pl.overlay(one_field(), channel="CD3", ax=row)
    assert [ax.figure for ax in axes] == [figure] * 3
    with pytest.raises(ValueError, match="1 axes, but this figure has 3 panels"):
        nimbus.pl.overlay(one_field(), channel="CD3", ax=row[0])


def test_a_figure_is_saved_where_it_is_told(tmp_path):
    path = tmp_path / "overlay.png"
    assert len(nimbus.pl.overlay(one_field(), channel="CD3", save=path)) == 3
    assert path.read_bytes().startswith(b"\x89PNG")


def test_only_what_is_drawn_of_a_large_field_is_kept():
    import dask.array as da

    field = Field(
        "a",
        da.zeros((1, 20_000, 20_000), chunks=(1, 2000, 2000), dtype=np.uint8),
        da.ones((20_000, 20_000), chunks=(2000, 2000), dtype=np.uint8),
        ("CD3",),
        0.5,
    )
    axes = nimbus.pl.overlay(
        build_sdata([field]), channel="CD3", layer=None, max_pixels=100, show=False
    )
    assert drawn(axes[0]).shape == (100, 100)
