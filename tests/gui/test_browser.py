"""The page in a real browser, as a person uses it."""

import pytest
import spatialdata

import nimbus
from nimbus.cluster.mapcsv import map_from_csv
from nimbus.cluster.mapjson import map_from_json

pytest.importorskip("panel")
pytest.importorskip("playwright.sync_api")

# Where the frame of a figure is on the screen.
FRAME = """name => {
  for (const document of Bokeh.documents) {
    const figure = document.get_model_by_name(name)
    if (figure != null) {
      const view = Bokeh.index.find_one_by_id(figure.id)
      const box = view.el.getBoundingClientRect()
      const {left, top, width, height} = view.frame.bbox
      return [box.left + left, box.top + top, width, height]
    }
  }
}"""

TEXT = """pane => [...pane.shadowRoot.children]
  .filter((part) => part.tagName == "DIV").map((part) => part.innerText).join(" ")"""


@pytest.fixture
def served(store, serve):
    return serve(store)


class Person:
    """Uses the page."""

    def __init__(self, browser, url):
        self.complaints = []
        self.page = browser.new_page(viewport={"width": 1500, "height": 1000})
        self.page.set_default_timeout(30_000)
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._see)
        self.page.goto(url)
        self.page.wait_for_selector(".bk-panel-models-markup-HTML.title-bar")
        self.wait(lambda: self.frame("metaclusters-heat") is not None)

    def _hear(self, message):
        if "view was already destroyed" in message.text:
            return  # Bokeh 3.10 says so of its own texts when figures are laid out anew
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _see(self, request):
        if not request.url.startswith(("http://127.0.0.1", "data:", "blob:")):
            self.complaints.append(f"asked {request.url}")

    def wait(self, condition):
        """Until it holds; what the page shows follows a click by some milliseconds."""
        for _ in range(450):
            if condition():
                return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"it did not happen; the page says {self.text('message')!r}")

    def frame(self, name):
        return self.page.evaluate(FRAME, name)

    def source(self, name, key):
        """A column behind the figure of that name."""
        code = """([name, key]) => {
          for (const document of Bokeh.documents) {
            const figure = document.get_model_by_name(name)
            if (figure != null) {
              const has = (renderer) => renderer.data_source.data[key] != null
              return [...figure.renderers.find(has).data_source.data[key]]
            }
          }
        }"""
        return self.page.evaluate(code, [name, key])

    def names(self):
        return self.source("metaclusters-counts", "label")

    def text(self, name):
        return self.page.locator(f".{name}").first.evaluate(TEXT).strip()

    def click_column(self, block, label, **more):
        left, top, width, height = self.frame(f"{block}-heat")
        labels = self.source(f"{block}-counts", "label")
        x = left + width * (labels.index(label) + 0.5) / len(labels)
        self.page.mouse.click(x, top + height / 2, **more)

    def press(self, name):
        self.page.locator(f".{name} button").first.click()

    def choose(self, name, label):
        self.page.locator(f".{name} select").select_option(label=label)

    def write(self, name, text):
        field = self.page.locator(f".{name} input")
        field.fill("")
        field.type(text)

    def call(self, old, new):
        self.choose("who", old)
        self.wait(lambda: self.page.locator(".name input").input_value() == old)
        self.write("name", new)

    def rename(self, old, new):
        self.call(old, new)
        self.wait(lambda: self.page.locator(".rename button").is_enabled())
        self.press("rename")
        self.wait(lambda: new in self.names())

    def wait_for_the_table(self):
        self.wait(
            lambda: "saved at" in self.text("status") and "follows" not in self.text("status")
        )


def table_of(store):
    return spatialdata.read_zarr(store).tables["table"]


def test_a_person_edits_reloads_and_finds_everything_again(chromium, served, store):
    before = table_of(store).obs["nimbus_metacluster"].value_counts().to_dict()
    person = Person(chromium, served.url)
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
    person.call("2", "lonely")
    person.wait(lambda: "'lonely' is taken" in person.text("problem"))
    assert person.page.locator(".rename button").is_disabled()
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
    again = Person(chromium, served.url)
    assert sorted(again.names()) == edited
    assert person.complaints + again.complaints == []
    rest = served.stop()
    assert "saved" in rest
    stored = table_of(store)
    assert sorted(stored.obs["nimbus_metacluster"].cat.categories) == edited
    assert sorted(nimbus.tl.remap(stored).names.values()) == edited
    assert not list(store.parent.glob("*.edits.json"))


def test_the_view_search_tissue_and_export(chromium, served, tmp_path):
    person = Person(chromium, served.url)

    # a cell in the tissue tells its node
    left, top, width, height = person.frame("tissue-plot")
    for k in range(1, 40):  # some place has a cell
        person.page.mouse.click(left + width * (0.2 + 0.015 * k), top + height / 2)
        person.page.wait_for_timeout(150)
        if "1 node" in person.text("chosen"):
            break
    assert "1 node" in person.text("chosen")
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
    for _ in range(10):  # a figure that is being laid out anew does not see the mouse
        person.page.keyboard.press("Escape")
        left, top, width, height = person.frame("nodes-heat")
        person.page.mouse.move(left + 5, top + 20)
        person.page.mouse.down()
        person.page.mouse.move(left + width - 5, top + 60, steps=5)
        person.page.mouse.up()
        person.page.wait_for_timeout(1500)
        if "100.0%" in person.text("chosen"):
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
