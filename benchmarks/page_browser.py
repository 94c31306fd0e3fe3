"""From the click to the drawn answer, in a browser: 256 nodes, a million cells.

    python benchmarks/page_browser.py [--cells 1000000] [--side 8192] [--times 15]

The store of benchmarks/page.py is served by `nimbus gui`, and clicked on in a headless Chromium. A
listener in the page notes the time of each press of the mouse, of the changes that Bokeh applies
after it, and of the next frame after each. All of them have come when nothing has changed for
`QUIET_MS`. The tissue and the histogram are changed last, so "all there" is the server's work and
the way to the browser, and what "all drawn" has beyond it is the browser's.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from page import make_store  # beside this file
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.person import Person  # who clicks in the tests

TOKEN = "a-token-for-benchmarks"
QUIET_MS = 400

LISTEN = """() => {
  window.seen = {press: null, changes: []}
  const press = () => { window.seen = {press: performance.now(), changes: []} }
  document.addEventListener("pointerdown", press, true)
  for (const one of Bokeh.documents)
    one.on_change(() => {
      const own = {there: performance.now(), drawn: null}
      window.seen.changes.push(own)
      requestAnimationFrame(() => setTimeout(() => { own.drawn = performance.now() }))
    })
}"""

ANSWER = """async (quiet) => {
  const {seen} = window
  for (;;) {
    const last = seen.changes.at(-1)?.drawn
    if (last != null && performance.now() - last > quiet)
      return [seen.changes[0].drawn, seen.changes.at(-1).there, last].map((t) => t - seen.press)
    await new Promise((next) => setTimeout(next, 20))
  }
}"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", type=int, default=1_000_000)
    parser.add_argument("--side", type=int, default=8192)
    parser.add_argument("--times", type=int, default=15)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "slide.zarr"
        make_store(store, given.cells, given.side)
        command = [sys.executable, "-m", "nimbus", "gui", str(store), "--no-browser"]
        served = subprocess.Popen([*command, "--token", TOKEN], stdout=subprocess.PIPE, text=True)
        try:
            measure(served.stdout.readline().split("open ")[1].strip(), given)
        finally:
            served.terminate()
            served.wait()


def measure(url: str, given: argparse.Namespace) -> None:
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    browser_path = next(found for name in names if (found := shutil.which(name)))
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        begin = time.perf_counter()
        person = Person(browser).open(url)
        opened = time.perf_counter() - begin
        person.page.wait_for_timeout(3000)
        person.page.evaluate(LISTEN)
        print(f"{given.cells:,} cells; load {os.getloadavg()[0]:.1f}; opened in {opened:.1f} s\n")
        print("| click | first change drawn, ms | all there, ms | all drawn, ms | worst |")
        print("|---|---|---|---|---|")
        for name, step in steps(person).items():
            select_alone(person)
            took = np.array([timed(person, step) for _ in range(given.times)])
            middle = " | ".join(f"{ms:.0f}" for ms in np.median(took, axis=0))
            print(f"| {name} | {middle} | {took[:, -1].max():.0f} |", flush=True)
        browser.close()


def steps(person: Person) -> dict[str, Callable[[], None]]:
    """What is clicked, the same in turns; one node goes to and fro between two metaclusters."""
    nodes = person.source("nodes-counts", "label")
    groups = person.source("metaclusters-counts", "label")
    turns: Counter[str] = Counter()

    def turn(of: str) -> int:
        turns[of] += 1
        return turns[of] - 1

    def move() -> None:
        select_alone(person)  # a selection goes away with the edit that used it
        person.click_column("metaclusters", groups[turn("move") % 2], button="right")

    return {
        "select a node, or not": lambda: person.click_column("nodes", nodes[turn("node") // 2]),
        "select a metacluster, or not": lambda: person.click_column(
            "metaclusters", groups[2 + turn("group") // 2 % (len(groups) - 2)]
        ),
        "move it by right click (safe on disk)": move,
        "undo, redo in turns (safe on disk)": lambda: person.press(
            ("undo", "redo")[turn("undo") % 2]
        ),
    }


def select_alone(person: Person) -> None:
    """One node, that the others are measured with."""
    person.page.keyboard.press("Escape")
    person.page.wait_for_timeout(1000)
    nodes = person.source("nodes-counts", "label")
    person.click_column("nodes", nodes[len(nodes) // 2])
    person.page.wait_for_timeout(1000)


def timed(person: Person, step: Callable[[], None]) -> list[float]:
    """Milliseconds from the press until the first change is drawn, all are there, and drawn."""
    step()
    return list(person.page.evaluate(ANSWER, QUIET_MS))


if __name__ == "__main__":
    main()
