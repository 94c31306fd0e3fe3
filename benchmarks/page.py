"""How long a click on the page takes: 256 nodes, a million cells, an image of 8192 x 8192.

    python benchmarks/page.py [--cells 1000000] [--side 8192]

Measured is what the server does: the step of the state, keeping an edit, and drawing into the
models that Bokeh sends (their serialisation included); not the browser. Processor time is that of
the thread that answers; by the clock, whatever else the machine does counts too.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import dask.array as da
import numpy as np
import pandas as pd
from anndata import AnnData
from bokeh.core.serialization import Serializer
from bokeh.document import Document
from spatialdata import SpatialData
from spatialdata.models import Image2DModel, Labels2DModel, TableModel

import nimbus
from nimbus.gui.opening import Request, open_desk
from nimbus.gui.page import Page
from nimbus.gui.state import State

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.planted import plant_types  # the planted types of the tests

N_MARKERS = 25


def make_store(path: Path, n_cells: int, side: int) -> None:
    """Cells on a regular lattice; their labels are squares."""
    scores, _ = plant_types(n_cells, n_types=25, n_markers=N_MARKERS, seed=0)
    across = int(np.ceil(np.sqrt(n_cells)))
    pitch = side // across
    cell = np.arange(n_cells)
    labels = np.zeros((side, side), np.int32)
    row, column = cell // across, cell % across
    for y in range(pitch - 1):
        for x in range(pitch - 1):
            labels[row * pitch + y, column * pitch + x] = cell + 1
    image = np.random.default_rng(0).poisson(30, (2, side, side)).astype(np.uint16)
    obs = pd.DataFrame(
        {"region": pd.Categorical(np.repeat("slide_labels", n_cells)), "instance_id": cell + 1}
    )
    obs.index = obs.index.astype(str)
    table = AnnData(scores, obs=obs, layers={"nimbus": scores})
    table.obsm["spatial"] = np.stack([column, row], axis=1) * float(pitch)
    nimbus.tl.cluster(table, n_metaclusters=40)
    parsed = TableModel.parse(
        table, region="slide_labels", region_key="region", instance_key="instance_id"
    )
    SpatialData(
        images={
            "slide_image": Image2DModel.parse(
                da.from_array(image, chunks=(1, 1024, 1024)),
                dims=("c", "y", "x"),
                c_coords=["CD3", "CD20"],
                scale_factors=[2, 2, 2],
            )
        },
        labels={
            "slide_labels": Labels2DModel.parse(
                da.from_array(labels, chunks=(1024, 1024)), dims=("y", "x"), scale_factors=[2, 2, 2]
            )
        },
        tables={"table": parsed},
    ).write(path)


def timed(step: Callable[[], object], times: int = 15) -> list[float]:
    """Processor time of the step's thread, then time by the clock: medians and worst."""
    took = []
    for _ in range(times):
        start = time.thread_time(), time.perf_counter()
        step()
        took.append((time.thread_time() - start[0], time.perf_counter() - start[1]))
    both = 1000 * np.array(took)
    return [*np.median(both, axis=0), *both.max(axis=0)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cells", type=int, default=1_000_000)
    parser.add_argument("--side", type=int, default=8192)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "slide.zarr"
        make_store(store, given.cells, given.side)
        measure(store, given)


def measure(store: Path, given: argparse.Namespace) -> None:
    start = time.perf_counter()
    desk = open_desk(store, Request("nimbus"))
    opened = time.perf_counter() - start
    start = time.perf_counter()
    page = Page(desk)
    page.refresh()
    document = Document()
    for root in (page.charts.root.object, page.markers.plot.root, page.tissue.plot.root):
        document.add_root(root)
    first = time.perf_counter() - start
    nodes = page.charts.order
    serializer = Serializer()
    document.on_change(lambda event: event.to_serializable(serializer))

    turn = iter(range(10**6))

    def moved(state: State) -> State:
        """Its node goes to and fro between two metaclusters."""
        here = state.clusters.metacluster[nodes[0]]
        return state.select([nodes[0]]).move(1 if here == 0 else 0)

    rows = {
        "select a node": lambda: page.do(lambda s: s.toggle(nodes[next(turn) % len(nodes)])),
        "select a metacluster": lambda: page.do(lambda s: s.toggle_metacluster(1)),
        "select all nodes": lambda: page.do(lambda s: s.select(nodes)),
        "another marker (its histogram is counted)": lambda: page.do(
            lambda s: s.shown(s.view.with_marker(s.view.markers[next(turn) % N_MARKERS]))
        ),
        "search": lambda: page.do(
            lambda s: s.shown(s.view.with_search(f"node {next(turn) % 256}"))
        ),
        "z-scores, or back": lambda: page.do(
            lambda s: s.shown(s.view.with_zscore(not s.view.zscore))
        ),
        "dendrogram, or back": lambda: page.do(
            lambda s: s.shown(
                s.view.with_layout(
                    "dendrogram" if s.view.layout == "metaclusters" else "metaclusters"
                )
            )
        ),
        "move a node (edit, safe on disk)": lambda: page.do(moved),
        "rename (edit, safe on disk)": lambda: page.do(lambda s: s.rename(5, f"name {next(turn)}")),
        "undo (edit, safe on disk)": lambda: page.do(lambda s: s.undo()),
        "another part of the tissue (read)": lambda: page.tissue._read(),
        "click on a cell (read)": lambda: desk.facts.tissue.node_at(
            "slide_labels", 4000.0 + next(turn), 4000.0
        ),
    }
    print(
        f"{given.cells:,} cells, {len(nodes)} nodes, {N_MARKERS} markers, image {given.side} x "
        f"{given.side}; load {os.getloadavg()[0]:.1f}; opened in {opened:.1f} s, first page "
        f"{first:.1f} s\n"
    )
    print("| click | processor ms | by the clock | worst: processor | by the clock |")
    print("|---|---|---|---|---|")
    for name, step in rows.items():
        print(f"| {name} | {' | '.join(f'{ms:.0f}' for ms in timed(step))} |")
    start = time.perf_counter()
    desk.saving.finish()
    print(
        f"\nThe table follows: {1000 * (time.perf_counter() - start):.0f} ms after the last edit."
    )


if __name__ == "__main__":
    main()
