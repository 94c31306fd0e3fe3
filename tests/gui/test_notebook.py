"""The page in a notebook, in JupyterLab, in a real browser."""

import asyncio
import json
import re
import threading
from types import SimpleNamespace

import pytest

from support.jupyter import TOKEN, Lab, write_notebook
from support.person import Person

pytest.importorskip("panel")
pytest.importorskip("playwright.sync_api")
pytest.importorskip("jupyterlab")

notebook = pytest.importorskip("nimbus.gui.notebook")

READ = "import nimbus, spatialdata\nsdata = spatialdata.read_zarr('tissue.zarr')"
SHOW = "nimbus.gui.remap(sdata)"
TELL = """import json
import re
table = sdata.tables['table']
made = nimbus.tl.remap(table)
json.dump({'names': sorted(made.names.values()), 'edits': len(made.done),
           'cells': table.obs['nimbus_metacluster'].value_counts().to_dict()}, open('told', 'w'))"""

IMPORTS_S = 400
"""The first cell imports everything, on a machine that may be at other work."""


@pytest.fixture
def lab(store):
    started = Lab(store.parent)
    yield started
    started.stop()


class Reader(Person):
    """Opens a notebook and runs its cells."""

    def __init__(self, browser):
        super().__init__(browser)
        self.echoes = []
        self.page.on("websocket", lambda socket: socket.on("framesent", self._listen))

    def _listen(self, frame):
        """Markers of heatmaps are set by the kernel alone."""
        said = frame if isinstance(frame, bytes) else frame.encode()
        if b"PATCH-DOC" in said and b'"marker",[' in said:
            self.echoes.append(said)

    def _hear(self, message):
        if not message.text.endswith("to activate."):  # JupyterLab tells how long a plugin took
            super()._hear(message)

    def open(self, url):
        self.page.set_viewport_size({"width": 1500, "height": 2200})  # all cells without scrolling
        self.page.goto(f"{url}/doc/tree/page.ipynb?token={TOKEN}")
        # JupyterLab says "idle" before there is a kernel, and may lose what is run then
        self.wait(lambda: self.kernels(url) == ["idle"], limit_s=IMPORTS_S)
        self.page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for()
        return self

    def kernels(self, url):
        """What the server says that its kernels do."""
        told = self.page.request.get(f"{url}/api/kernels?token={TOKEN}").json()
        return [kernel["execution_state"] for kernel in told]

    def run(self, cell):
        """Run a cell to its end."""
        prompt = self.page.locator(".jp-CodeCell .jp-InputPrompt").nth(cell)
        before = prompt.inner_text()
        for _ in range(20):  # keys that come while the notebook opens are lost
            self.page.locator(".jp-CodeCell .cm-content").nth(cell).click()
            self.page.keyboard.press("Control+Enter")
            if self.happens(lambda: prompt.inner_text() != before, limit_s=5):
                break
        self.wait(lambda: re.fullmatch(r"\[\d+\]:", prompt.inner_text()), limit_s=IMPORTS_S)

    def wait_for_the_page(self):
        """Until the figures are there, and the notebook has laid them out."""
        super().wait_for_the_page()
        self.settled("metaclusters-heat", looks=20)

    def select(self, group, answer):
        """Click on a metacluster, once: a kernel that is at work answers later."""
        self.click_column("metaclusters", group)
        self.wait(lambda: answer in self.text("chosen"))


def told(store, person):
    """What Python says of the table."""
    path = store.parent / "told"
    path.unlink(missing_ok=True)
    person.run(2)
    person.wait(lambda: path.exists() and path.read_text().endswith("}"))
    return json.loads(path.read_text())


def test_a_person_edits_in_a_notebook_and_python_has_it(chromium, lab, store):
    write_notebook(store.parent / "page.ipynb", [READ, SHOW, TELL])
    person = Reader(chromium).open(lab.wait())
    person.run(0)
    person.run(1)
    person.wait_for_the_page()
    before = told(store, person)
    assert sorted(person.names()) == before["names"]
    assert before["edits"] == 0
    person.echoes.clear()  # what came before the page was whole

    # figures show a selection, and it is moved
    person.select("3", f"{before['cells']['3']:,} cells")
    assert person.source("nodes-strip", "share") != []
    person.choose("target", "0")
    person.press("move")
    person.wait(lambda: "3" not in person.names())
    merged = told(store, person)
    assert merged["cells"]["0"] == before["cells"]["0"] + before["cells"]["3"]

    # names, undo and keys, as fast as a person can: no message may run into another
    person.rename("1", "T cell <b>")
    person.rename("2", "B cell")
    person.press("undo")
    person.wait(lambda: "2" in person.names())
    left, top, *_ = person.frame("tissue-plot")
    person.page.mouse.click(left - 6, top - 6)  # the focus leaves the field
    person.page.keyboard.press("Control+Shift+z")
    person.wait(lambda: "B cell" in person.names())
    for label in ("Dendrogram", "Grid", "By metacluster"):
        person.page.locator(".layout").get_by_text(label).click()
        figure = "nodes-plot" if label == "Grid" else "nodes-heat"
        person.wait(lambda figure=figure: (person.frame(figure) or [0, 0, 0, 0])[2] > 50)
    edited = told(store, person)
    assert edited["names"] == sorted(person.names())
    assert edited["edits"] == 3
    assert person.echoes == [], "the browser sent back what the kernel had sent"

    # the cell again: the page begins with what was edited
    person.run(1)
    person.wait(lambda: person.page.evaluate("Bokeh.documents.length") > 1)
    person.wait_for_the_page()
    person.wait(lambda: sorted(person.names()) == edited["names"])
    assert person.complaints == []


def test_what_comes_in_a_second_thread_is_read_in_the_first_in_its_order():
    read = []
    root = SimpleNamespace(_on_msg=lambda *said: read.append((said, threading.current_thread())))
    loop = asyncio.new_event_loop()
    first = threading.Thread(target=loop.run_forever)
    first.start()
    notebook.hear(root, notebook.Kernel(loop))

    for k in range(5):
        root._on_msg("page", k)
    notebook.Kernel(loop).soon(loop.stop)
    first.join(10)
    loop.close()

    assert read == [(("page", k), first) for k in range(5)]
