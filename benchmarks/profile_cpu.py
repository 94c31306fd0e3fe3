"""Where the time of `tl.score` goes on a CPU: reading, planes, network, sums, table.

    OMP_NUM_THREADS=1 python benchmarks/profile_cpu.py [--side 2048] [--channels 1]

The network has one thread. CPU seconds of each stage without those of stages inside it, so that
other work on the machine changes little. The field is that of memory.py, read from its store, at
0.5 um; the model of the published size sees 1 um, nimbus-s patches of 2 x 2 pixels of 0.4 um.
Weights of the published size are random, which does not change the time. A first run on a small
field is not counted.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
import torch
from memory import make_store
from spatialdata import read_zarr

import nimbus
from nimbus.core.scalerule import ScaleRule
from nimbus.model import ModelCard, UNet, save_checkpoint

STAGES = {
    "scales": ["nimbus.engine.histograms._count"],
    "reading": [
        "nimbus.engine.source.FieldSource.read_image",
        "nimbus.engine.source.FieldSource.read_labels",
    ],
    "planes": [
        "nimbus.engine.predict.channel_planes",
        "nimbus.engine.predict.network_input",
        "nimbus.engine.predict.tile_mask",
    ],
    "sums": [
        "nimbus.engine.predict.find_cells",
        "nimbus.engine.predict.intensity_sums",
        "nimbus.engine.predict.score_weights",
        "nimbus.engine.predict.place_sums",
        "nimbus.engine.predict._per_cell",
        "nimbus.engine.score._finish",
    ],
    "table": ["nimbus.tl.score.make_table", "nimbus.tl.score.write_scores"],
}


class Watch:
    """CPU seconds of stages, each without the stages that it calls."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.own = threading.local()

    @property
    def inside(self) -> list[float]:
        """CPU seconds of the stages that each open one of this thread called."""
        if not hasattr(self.own, "inside"):
            self.own.inside = []
        return self.own.inside

    def watched(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            begin = time.thread_time()
            self.inside.append(0.0)
            try:
                return function(*args, **options)
            finally:
                self._add(stage, time.thread_time() - begin)

        return call

    def iterated(self, stage: str, function: Callable[..., Iterator[Any]]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Iterator[Any]:
            results = function(*args, **options)
            following = self.watched(stage, lambda: next(results, None))
            while (one := following()) is not None:
                yield one

        return call

    def _add(self, stage: str, seconds: float) -> None:
        self.seconds[stage] += seconds - self.inside.pop()
        if self.inside:
            self.inside[-1] += seconds


def profiled(store: Path, model: str, *, tta: bool) -> dict[str, float]:
    """CPU seconds of each stage of one run; "rest" is what no stage claims."""
    watch = Watch()
    sdata = read_zarr(store)
    with ExitStack() as patches:
        for stage, names in STAGES.items():
            for name in names:
                original = _found(name)
                patches.enter_context(patch(name, watch.watched(stage, original)))
        each = "nimbus.model.predictor.NetPredictor.each_view"
        patches.enter_context(patch(each, watch.iterated("network", _found(each))))
        begin = time.process_time()
        nimbus.tl.score(
            sdata, model=model, tta=tta, precision="float32", n_jobs=1, show_progress_bar=False
        )
        total = time.process_time() - begin
    stages = {name: watch.seconds[name] for name in (*STAGES, "network")}
    return {**stages, "rest": total - sum(stages.values()), "total": total}


def _found(name: str) -> Any:
    """What a dotted name stands for."""
    parts = name.split(".")
    for at in range(len(parts) - 1, 0, -1):
        try:
            found = __import__(".".join(parts[:at]), fromlist=["_"])
        except ModuleNotFoundError:
            continue
        for part in parts[at:]:
            found = getattr(found, part)
        return found
    raise ValueError(name)


def published_size(folder: Path) -> str:
    """Random weights of the published architecture."""
    torch.manual_seed(0)
    card = ModelCard(
        name="published size", depth=5, root_filters=64, pixel_size_um=1.0, scale=ScaleRule(0.999)
    )
    save_checkpoint(folder / "published.safetensors", UNet().eval(), card)
    return str(folder / "published.safetensors")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--models", nargs="+", default=["nimbus-s", "published size"])
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    with tempfile.TemporaryDirectory(prefix="nimbus-profile-") as name:
        folder = Path(name)
        make_store(folder / "warm.zarr", 256, args.channels)
        make_store(folder / "field.zarr", args.side, args.channels)
        weights = {"nimbus-s": "nimbus-s", "published size": published_size(folder)}
        for model in args.models:
            for tta in (False, True):
                profiled(folder / "warm.zarr", weights[model], tta=False)
                seconds = profiled(folder / "field.zarr", weights[model], tta=tta)
                shown = {stage: round(one, 2) for stage, one in seconds.items()}
                rows.append({"model": model, "views": 8 if tta else 1, **shown})
                print(rows[-1], flush=True)
    frame = pd.DataFrame(rows)
    lines = [list(frame.columns), ["---"] * frame.shape[1], *frame.to_numpy().tolist()]
    print("\n" + "\n".join("| " + " | ".join(str(c) for c in line) + " |" for line in lines))


if __name__ == "__main__":
    main()
