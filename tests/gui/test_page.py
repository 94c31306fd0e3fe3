"""Both pages as Bokeh has them, without a browser."""

import numpy as np
import pytest

pytest.importorskip("panel")
pytest.importorskip("bokeh")

from bokeh.core.validation import check_integrity

import nimbus
from nimbus.gui.controls import html
from nimbus.gui.labelling.look import Look
from nimbus.gui.labelling.opening import Request as ReviewRequest
from nimbus.gui.labelling.opening import review_desk
from nimbus.gui.labelling.page import Page as Labelling
from nimbus.gui.opening import Request, desk_of
from nimbus.gui.page import Page, build


@pytest.fixture
def sdata():
    made = nimbus.datasets.tissue(shape=(64, 64), markers=["CD3", "CD20"], random_state=0)
    table = made.tables["table"]
    table.layers["nimbus"] = np.clip(table.X / table.X.max(axis=0), 0, 1)
    nimbus.tl.cluster(made, grid=(3, 3), n_metaclusters=3)
    return made


def complaints(layout):
    return [issue.text for issue in check_integrity(layout.get_root().references()).warning]


def test_bokeh_has_nothing_to_complain_of(sdata):
    assert complaints(html("x", width=9, sizing_mode="fixed")), "proves nothing: it never complains"
    assert complaints(build(desk_of(sdata, Request("nimbus")))) == []
    assert complaints(nimbus.gui.review(sdata, annotator="ada", n_cells=2)) == []


def test_points_are_coloured_by_the_marker_as_the_bar_of_colours_says(sdata):
    page = Page(desk_of(sdata, Request("nimbus")))
    charts, nodes = page.charts, page.desk.facts.nodes
    page.do(lambda s: s.shown(s.view.with_layout("grid").with_marker("CD20")))
    by_group = list(charts.points.circles.data["color"])
    assert set(by_group) == set(page.state.clusters.colors.values())
    assert page.markers.color_by.visible

    page.markers.color_by.value = True
    palette = charts.mapper.palette
    place = [palette.index(color) for color in charts.points.circles.data["color"]]
    means = nodes.means[charts.points.nodes, nodes.markers.index("CD20")]
    np.testing.assert_array_equal(place, (means * 255).astype(int))

    page.do(lambda s: s.shown(s.view.with_zscore(True).with_limits(-1, 1)))
    palette = charts.mapper.palette
    place = [palette.index(color) for color in charts.points.circles.data["color"]]
    scores = np.clip((means - means.mean()) / means.std(), -1, 1)
    np.testing.assert_array_equal(place, ((scores + 1) / 2 * 254).astype(int))
    page.do(lambda s: s.shown(s.view.with_layout("metaclusters")))
    assert not page.markers.color_by.visible


@pytest.mark.parametrize("shift", [0, 300, -300])
def test_clusters_of_other_values_than_scores_are_coloured_over_all_of_their_range(sdata, shift):
    table = sdata.tables["table"]
    table.layers["nimbus"] = table.X + np.float32(shift)
    nimbus.tl.cluster(sdata, grid=(3, 3), n_metaclusters=3)
    page = Page(desk_of(sdata, Request("nimbus")))
    page.refresh()
    nodes = page.desk.facts.nodes
    means = nodes.means[nodes.counts > 0]
    assert np.abs(means).max() > 1, "proves nothing: these could be scores"
    slider, mapper = page.showing.limits, page.charts.mapper
    ends = (means.min(), means.max())
    np.testing.assert_allclose([slider.value, (mapper.low, mapper.high)], [ends, ends])
    assert (slider.start, slider.end) == slider.value
    page.do(lambda s: s.shown(s.view.with_zscore(True)))
    assert slider.value == (-3, 3)


def test_long_names_are_shortened_and_short_ones_stand_across(sdata):
    page = Page(desk_of(sdata, Request("nimbus")))
    heat = page.charts.groups.figures.heat
    page.refresh()
    assert heat.xaxis[0].major_label_orientation == "horizontal"
    page.do(lambda s: s.rename(0, "exhausted CD8+ T cells, PD-1+ TIM-3+, at the tumour border"))
    assert heat.xaxis[0].major_label_orientation == "vertical"
    drawn = set(heat.xaxis[0].major_label_overrides.values())
    assert drawn == {"exhausted CD8…our border", "1", "2"}


def test_an_edit_lays_no_figure_out_anew(sdata):
    page = Page(desk_of(sdata, Request("nimbus")))
    page.refresh()
    tree, told = page.charts.nodes.figures.tree, []
    assert tree.visible, "proves nothing: it is hidden beside that of the metaclusters"
    tree.on_change("visible", lambda attr, old, new: told.append(new))
    page.do(lambda s: s.rename(0, "T cell"))
    assert told == []


def test_an_empty_field_for_a_number_is_told(sdata):
    page = Page(desk_of(sdata, Request("nimbus")))
    page.editing.number.value = None
    page.editing.recut.clicks += 1
    assert "n_metaclusters" in page.notice.root.object
    labelling = Labelling(review_desk(sdata, ReviewRequest(annotator="ada")), Look())
    labelling.refresh()
    labelling.settings.goal.value = None
    assert "at least 1, not 0" in labelling.notice.root.object


def test_the_slider_of_intensities_has_steps_forward_where_all_are_negative(sdata):
    name = next(iter(sdata.images))
    sdata.images[name] = sdata.images[name].astype("float32") - 70_000
    page = Labelling(review_desk(sdata, ReviewRequest(annotator="ada")), Look())
    page.refresh()
    slider = page.settings.range
    assert slider.end < 0, "proves nothing: some are positive"
    assert slider.step == pytest.approx((slider.end - slider.start) / 500)


class TestTwoWindows:
    """One of them does something before it shows what the other one did."""

    def test_an_edit_of_the_other_window_stays(self, sdata):
        desk = desk_of(sdata, Request("nimbus"))
        first, second = Page(desk), Page(desk)
        first.do(lambda s: s.rename(0, "T cell"))
        assert second.state.clusters.names[0] == "0", "proves nothing: it knows already"
        second.do(lambda s: s.toggle(s.clusters.nodes_of(1)[0]))
        second.do(lambda s: s.rename(1, "B cell"))
        assert [desk.state.clusters.names[k] for k in (0, 1)] == ["T cell", "B cell"]
        first.do(lambda s: s.rename(2, "NK cell"))
        assert len(desk.state.clusters.done) == 3

    def test_a_name_that_is_being_typed_stays(self, sdata):
        desk = desk_of(sdata, Request("nimbus"))
        first, second = Page(desk), Page(desk)
        for page in (first, second):
            page.refresh()
        field = second.editing.name
        second.editing.who.value = 1
        field.value_input = "B cel"
        first.do(lambda s: s.rename(0, "T cell"))
        second.take_over()
        assert second.state.clusters.names[0] == "T cell", "proves nothing: it has not followed"
        assert field.value_input == "B cel"
        first.do(lambda s: s.rename(2, "B cel"))
        second.take_over()
        assert "is taken" in second.editing.problem.root.object
        first.do(lambda s: s.rename(1, "NK cell"))
        second.take_over()
        assert field.value_input == "NK cell"

    def test_a_metacluster_that_is_gone_by_now_is_told(self, sdata):
        desk = desk_of(sdata, Request("nimbus"))
        first, second = Page(desk), Page(desk)
        first.do(lambda s: s.toggle_metacluster(0).move(1))
        assert not second.do(lambda s: s.toggle_metacluster(2).move(0))
        assert "metacluster" in second.notice.root.object
        assert len(desk.state.clusters.done) == 1

    def test_a_label_of_the_other_window_stays_and_its_cell_is_not_judged_twice(self, sdata):
        desk = review_desk(sdata, ReviewRequest(annotator="ada", n_cells=9))
        first, second = Labelling(desk, Look()), Labelling(desk, Look())
        for page in (first, second):
            page.refresh()
        shown = second.bar.shown
        first.on_action("positive", first.bar.shown)
        second.on_action("negative", shown)  # the cell that the first window has judged
        assert list(desk.state.labels.values()) == ["positive"]
        second.do(lambda s: s.look_at(desk.state.queues.of(s.marker)[5]))
        second.refresh()
        second.on_action("negative", second.bar.shown)
        assert list(desk.state.labels.values()) == ["positive", "negative"]
