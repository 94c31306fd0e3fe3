"""The page in a real browser, as a person uses it."""

import pytest
import spatialdata

import nimbus
from nimbus.cluster.mapcsv import map_from_csv
from nimbus.cluster.mapjson import map_from_json
from support.person import Person

pytest.importorskip("panel")
pytest.importorskip("playwright.sync_api")


@pytest.fixture
def served(store, serve):
    return serve(store)


def table_of(store):
    return spatialdata.read_zarr(store).tables["table"]


def test_a_person_edits_reloads_and_finds_everything_again(chromium, served, store):
    before = table_of(store).obs["nimbus_metacluster"].value_counts().to_dict()
    person = Person(chromium).open(served.url)
    assert sorted(person.names()) == sorted(before)

    # select a metacluster, move it into another
    person.click_column("metaclusters", "3")
    person.wait(lambda: f"{before['3']:,} cells" in person.text("chosen"))
    person.choose("target", "0")
    person.press("move")
    person.wait(lambda: "3" not in person.names())
    person.wait_for_the_table()
    merged = table_of(store).obs["nimbus_metacluster"].value_counts().to_dict()
    assert merged["0"] == before["0"] + before["3"]

    # a node alone becomes a new metacluster with a name
    node = next(
        label
        for label, group in zip(
            person.source("nodes-counts", "label"),
            person.source("nodes-counts", "group"),
            strict=True,
        )
        if group == "in 0"
    )
    person.click_column("nodes", node)
    person.wait(lambda: "1 node" in person.text("chosen"))
    person.write("new-name", "lonely")
    person.press("new")
    person.wait(lambda: "lonely" in person.names())

    # rename; a name that is taken is refused while it is typed
    person.rename("1", "T cell <b>")
    person.page.mouse.move(*person.column("metaclusters", "T cell <b>"))
    told = person.page.locator(".bk-Tooltip b").first
    person.wait(lambda: told.inner_text().replace("\u200b", "") == "T cell <b>")
    person.call("2", "lonely")
    person.wait(lambda: "'lonely' is taken" in person.text("problem"))
    person.wait(lambda: person.page.locator(".rename button").is_disabled())
    assert person.names().count("lonely") == 1

    # undo takes the name back, redo brings it again, the keys do the same
    person.press("undo")
    person.wait(lambda: "1" in person.names())
    person.press("redo")
    person.wait(lambda: "T cell <b>" in person.names())
    left, top, *_ = person.frame("tissue-plot")
    person.page.mouse.click(left - 6, top - 6)  # the focus leaves the field
    person.page.keyboard.press("Control+z")
    person.wait(lambda: "1" in person.names())
    person.page.keyboard.press("Control+Shift+z")
    person.wait(lambda: "T cell <b>" in person.names())
    edited = sorted(person.names())

    # cut again, and back
    person.write("number", "3")
    person.page.keyboard.press("Tab")
    person.press("recut")
    person.wait(lambda: sorted(person.names()) == ["0", "1", "2"])
    person.press("undo")
    person.wait(lambda: sorted(person.names()) == edited)
    person.wait_for_the_table()

    # everything is there after a reload, and in the store after the program ended
    again = Person(chromium).open(served.url)
    assert sorted(again.names()) == edited
    assert person.complaints + again.complaints == []
    rest = served.stop()
    assert "saved" in rest
    stored = table_of(store)
    assert sorted(stored.obs["nimbus_metacluster"].cat.categories) == edited
    assert sorted(nimbus.tl.remap(stored).names.values()) == edited
    assert not list(store.parent.glob("*.edits.json"))


def test_a_right_click_moves_the_selection_into_what_is_under_the_pointer(chromium, served, store):
    before = table_of(store).obs["nimbus_metacluster"].value_counts().to_dict()
    person = Person(chromium).open(served.url)
    person.click_column("metaclusters", "3")
    person.wait(lambda: f"{before['3']:,} cells" in person.text("chosen"))
    person.click_column("metaclusters", "5", button="right")
    person.wait(lambda: "3" not in person.names())
    person.wait_for_the_table()
    merged = table_of(store).obs["nimbus_metacluster"].value_counts().to_dict()
    assert merged["5"] == before["5"] + before["3"]

    # without a selection it says why, and changes nothing
    person.click_column("metaclusters", "5", button="right")
    person.wait(lambda: "no node is selected" in person.text("message"))
    assert person.complaints == []


def test_the_view_search_tissue_and_export(chromium, served, tmp_path):
    person = Person(chromium).open(served.url)

    # a cell in the tissue tells its node
    left, top, width, height = person.settled("tissue-plot")
    for k in range(1, 40):  # some place has a cell
        person.page.mouse.click(left + width * (0.2 + 0.015 * k), top + height / 2)
        if person.happens(lambda: "1 node" in person.text("chosen"), limit_s=1):
            break
    person.wait(lambda: "1 node" in person.text("chosen"))
    person.page.keyboard.press("Escape")
    person.wait(lambda: "Nothing is selected" in person.text("chosen"))

    # search selects
    person.write("search", "node 7")
    person.wait(lambda: person.text("found").startswith("1 node"))
    person.press("select-found")
    person.wait(lambda: "1 node" in person.text("chosen"))

    # layouts, z-scores, hidden markers
    for label in ("Dendrogram", "Grid", "Tree", "By metacluster"):
        person.page.locator(".layout").get_by_text(label).click()
        figure = "nodes-plot" if label in ("Grid", "Tree") else "nodes-heat"
        person.wait(lambda figure=figure: (person.frame(figure) or [0, 0, 0, 0])[2] > 50)
    person.page.locator(".zscore").get_by_text("Z-score").click()
    person.page.get_by_text("Order of markers").click()
    person.page.locator(".order select").select_option(index=0)
    person.press("hide")
    person.wait(lambda: person.page.locator(".show button").is_enabled())

    # a box over the metaclusters selects their nodes
    for seconds in range(2, 12):  # a figure that is being laid out anew does not see the mouse
        person.page.keyboard.press("Escape")
        left, top, width, height = person.settled("nodes-heat")
        person.page.mouse.move(left + 5, top + 20)
        person.page.mouse.down()
        person.page.mouse.move(left + width - 5, top + 60, steps=5)
        person.page.mouse.up()
        if person.happens(lambda: "100.0%" in person.text("chosen"), limit_s=seconds):
            break
    assert "100.0%" in person.text("chosen")

    # the mapping as files
    for name, read in (
        ("export-json", lambda text: map_from_json(text)),
        ("export-pixie", lambda text: map_from_csv(text)),
    ):
        with person.page.expect_download() as download:
            person.page.locator(f".{name} a, .{name} button").first.click()
        path = tmp_path / name
        download.value.save_as(path)
        assert sorted(read(path.read_text()).names.values()) == sorted(person.names())
    assert person.complaints == []


def test_in_a_narrow_window_the_tissue_stands_below_and_the_nodes_keep_their_room(chromium, served):
    person = Person(chromium).open(served.url)
    frames = {}
    for width in (1500, 1000):
        person.page.set_viewport_size({"width": width, "height": 1000})
        person.page.wait_for_timeout(1000)
        frames[width] = {
            name: person.settled(name)
            for name in ("nodes-heat", "metaclusters-heat", "tissue-plot")
        }
    for width, own in frames.items():
        left, top, across, down = own["nodes-heat"]
        assert across > 100
        assert left + across < own["metaclusters-heat"][0]
        beside = own["tissue-plot"][0] > own["metaclusters-heat"][0]
        below = own["tissue-plot"][1] > top + down
        assert (beside, below) == ((True, False) if width == 1500 else (False, True))
    assert person.complaints == []
