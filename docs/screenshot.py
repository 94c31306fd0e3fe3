"""The pictures of the pages in README and manual: python docs/screenshot.py

Needs the extras gui and test, and a Chromium on the PATH. Tissue is simulated, scores are those of
nimbus-s, names of metaclusters the most frequent true type in each.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, ViewportSize, sync_playwright

import nimbus

STATIC = Path(__file__).parent / "_static"
OUT, LABELS = STATIC / "page.png", STATIC / "labels.png"
FRAME = """name => {
  for (const document of Bokeh.documents) {
    const figure = document.get_model_by_name(name)
    if (figure == null) continue
    const view = Bokeh.index.find_one_by_id(figure.id)
    const box = view.el.getBoundingClientRect()
    const {left, top, width, height} = view.frame.bbox
    return [box.left + left, box.top + top, width, height]
  }
}"""


def make_store(path: Path) -> None:
    sdata = nimbus.datasets.tissue(shape=(512, 512), n_fovs=2, random_state=0)
    nimbus.tl.score(sdata, tta=False, show_progress_bar=False)
    nimbus.tl.cluster(sdata, n_metaclusters=14)
    obs = sdata.tables["table"].obs
    types = obs.groupby("nimbus_metacluster", observed=True)["cell_type"]
    names = types.agg(lambda own: own.value_counts().idxmax())
    counts = names.groupby(names).cumcount()
    called = {
        m: f"{t} {k + 1}".replace("_", " ") if k else t.replace("_", " ")
        for m, t, k in zip(names.index, names, counts, strict=True)
    }
    nimbus.tl.remap(sdata, called)
    sdata.write(path)


def take_metaclusters(page: Page) -> None:
    shown = 'Bokeh.documents.some((d) => d.get_model_by_name("metaclusters-counts"))'
    page.wait_for_function(f"() => window.Bokeh && {shown}", timeout=120_000)
    page.wait_for_timeout(4000)
    labels = page.evaluate(
        """() => {
          const figure = Bokeh.documents.map((d) => d.get_model_by_name("metaclusters-counts"))
            .find((one) => one != null)
          return figure.renderers[0].data_source.data.label
        }"""
    )
    left, top, width, height = page.evaluate(FRAME, "metaclusters-heat")
    for name in PICKED:
        if name in labels:
            x = left + width * (labels.index(name) + 0.5) / len(labels)
            page.mouse.click(x, top + height * 0.55)
            page.wait_for_timeout(1000)
    page.evaluate("() => document.activeElement.blur()")
    left, top, width, height = page.evaluate(FRAME, "nodes-heat")
    page.mouse.move(left + 0.55 * width, top + 0.72 * height)
    page.wait_for_timeout(1500)
    page.screenshot(path=OUT)


PICKED = ("cytotoxic t", "smooth muscle")


def take_labels(page: Page) -> None:
    """Some cells judged, the next one on the screen."""
    page.wait_for_selector(".cell-text", timeout=120_000)
    page.wait_for_timeout(4000)
    for key in "pnnpPnunpn":
        page.keyboard.press(key)
        page.wait_for_timeout(900)
    page.wait_for_timeout(2500)
    page.screenshot(path=LABELS)


def shoot(
    store: Path, options: list[str], take: Callable[[Page], None], size: ViewportSize
) -> None:
    """Serve the page, look at it, take the picture."""
    command = [sys.executable, "-m", "nimbus", "gui", str(store), "--no-browser", *options]
    served = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        url = served.stdout.readline().split("open ")[1].strip()
        with sync_playwright() as started:
            path = shutil.which("chromium") or shutil.which("google-chrome")
            browser = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
            page = browser.new_page(viewport=size)
            page.goto(url)
            take(page)
    finally:
        served.terminate()
        served.wait()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "tissue.zarr"
        make_store(store)
        shoot(store, [], take_metaclusters, {"width": 1520, "height": 960})
        review = ["--review", "--annotator", "ada", "--second", "DAPI", "--cells", "40"]
        review += ["--markers", "CD8,CD4,CD20,CD68"]
        shoot(store, review, take_labels, {"width": 1080, "height": 890})


if __name__ == "__main__":
    main()
