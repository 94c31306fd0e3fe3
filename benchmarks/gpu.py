"""The network on a GPU: FLOP/s against a measured ceiling, seconds per channel-megapixel.

    python benchmarks/gpu.py                              (on the first CUDA device)
    python benchmarks/gpu.py --device cpu --side 64 --rounds 1 --depth 3 --ceiling 256 \\
        --formats float32 --batches 1 --channels 1       (a dry run, for the code alone)

Prints one Markdown table for each question, under the name of the device:

- `ceiling`: FLOP/s of the largest of three square matrix products, for each number format. It is
  what the network could reach if it were one matrix product.
- `network alone`: FLOP/s of the published network and of `nimbus-s`, as nimbus runs them, at the
  batch that is fastest; FLOPs are those of the published layers, counted by PyTorch, whatever
  nimbus does instead (a Winograd convolution does fewer).
- `compiled`: the same through `torch.compile`, and with CUDA graphs (`mode="reduce-overhead"`), on
  planes that are on the device, in float32 with PyTorch's default, which is TF32 in convolutions
  (nimbus switches it off). nimbus uses neither; this says whether it should.
- `as published`: the published layers as `nimbus-inference` 0.0.5 runs them (float32, batch norms
  apart, NCHW), and in half precision. It is its network alone: that tool reads, resizes and
  measures in ways of its own (`benchmarks/published.py` compares whole runs, on the CPU).
- `end to end`: `nimbus.tl.score` of a simulated field in a store, with 1 and 8 views.

Weights are random: speed does not depend on them. Differences of scores do; for those of the
shipped network see docs/design/network.md.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from nimbus.model import UNet, load_model, make_predictor
from nimbus.model.device import Precision, choose_device
from nimbus.model.fold import FoldedUNet
from nimbus.model.views import View, views

FORMATS: dict[Precision, torch.dtype] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--side", type=int, default=1024, help="of a tile, in network pixels")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--formats", nargs="+", choices=list(FORMATS), default=list(FORMATS))
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--channels", type=int, default=16, help="of the field, end to end")
    parser.add_argument("--ceiling", type=int, default=8192, help="side of the largest matrices")
    parser.add_argument("--depth", type=int, default=5, help="5 is the published network")
    parser.add_argument("--compiled", action="store_true", help="also torch.compile; takes minutes")
    given = parser.parse_args()
    try:
        device = choose_device(given.device)
    except ValueError as error:
        raise SystemExit(f"{error}; --device cpu makes a dry run") from error
    print(f"## {name_of(device)}, PyTorch {torch.__version__}\n")
    bench = Bench(device, given.side, given.rounds, tuple(given.batches))
    tops = {name: ceiling(bench, FORMATS[name], given.ceiling) for name in given.formats}
    print("\n".join(table("ceiling: matrix products", ["format", "TFLOP/s"], ceiling_rows(tops))))
    torch.manual_seed(0)
    nets = {"published": UNet(depth=given.depth).eval(), "nimbus-s": load_model("nimbus-s").net}
    heads = ["network", "format", "batch", "TFLOP/s", "of the ceiling", "s per Mpx, 1 view", "8"]
    print("\n".join(table("network alone", heads, network_rows(bench, nets, tops))))
    if given.compiled:
        heads = ["network", "format", "how", "batch", "TFLOP/s", "of the ceiling"]
        print("\n".join(table("compiled", heads, compiled_rows(bench, nets, tops))))
    heads = ["mode", "batch", "TFLOP/s", "of the ceiling", "s per Mpx, 1 view"]
    print("\n".join(table("as published", heads, published_rows(bench, nets["published"], tops))))
    heads = ["network", "format", "views", "s per Mpx and channel"]
    print("\n".join(table("end to end", heads, whole_rows(bench, given.channels))))


@dataclass(frozen=True)
class Bench:
    """Where, on which tiles, and how often."""

    device: torch.device
    side: int
    rounds: int
    batches: tuple[int, ...]

    @property
    def megapixels(self) -> float:
        return self.side**2 / 1e6

    def seconds(self, work: Callable[[], object]) -> float:
        """Shortest of the rounds, after one to warm up; other work only makes them longer."""
        times = []
        for _ in range(self.rounds + 1):
            self.wait()
            begin = time.perf_counter()
            work()
            self.wait()
            times.append(time.perf_counter() - begin)
        return min(times[1:])

    def network(self, net: UNet, precision: Precision, batch: int, seen: Sequence[View]) -> float:
        """Seconds of nimbus for one pair of planes, in batches of `batch`."""
        planes = np.random.default_rng(0).random((batch, 2, self.side, self.side), np.float32)
        predictor = make_predictor(
            net, device=str(self.device), precision=precision, batch_size=batch
        )
        return self.seconds(lambda: predictor.predict_views(planes, seen)) / batch

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()


def ceiling(bench: Bench, dtype: torch.dtype, side: int) -> float:
    """FLOP/s of the best of three sizes of square matrices."""
    best = 0.0
    for n in (side // 4, side // 2, side):
        a, b = (torch.randn(n, n, device=bench.device).to(dtype) for _ in range(2))
        out = torch.empty_like(a)
        best = max(
            best, 2 * n**3 / bench.seconds(lambda a=a, b=b, out=out: torch.mm(a, b, out=out))
        )
    return best


def ceiling_rows(tops: dict[str, float]) -> Iterator[list[str]]:
    for name, flops in tops.items():
        yield [name, f"{flops / 1e12:.2f}"]


def network_rows(
    bench: Bench, nets: dict[str, UNet], tops: dict[str, float]
) -> Iterator[list[str]]:
    """Both networks as nimbus runs them, from an array in memory to an array in memory."""
    one, eight = views(False), views(True)
    for net_name, net in nets.items():
        flops = flops_of(net, bench.side)
        for name in tops:
            timed = {batch: bench.network(net, name, batch, one) for batch in bench.batches}
            batch = min(timed, key=timed.__getitem__)
            all_views = bench.network(net, name, batch, eight)
            rate = flops / timed[batch]
            yield [
                net_name, name, str(batch), f"{rate / 1e12:.2f}", f"{rate / tops[name]:.0%}",
                f"{timed[batch] / bench.megapixels:.4f}",
                f"{all_views / bench.megapixels:.4f}",
            ]  # fmt: skip


def compiled_rows(
    bench: Bench, nets: dict[str, UNet], tops: dict[str, float]
) -> Iterator[list[str]]:
    """The folded networks as they are, compiled, and as CUDA graphs."""
    hows = {
        "as it is": lambda network: network,
        "torch.compile": torch.compile,
        "CUDA graphs": partial(torch.compile, mode="reduce-overhead"),
    }
    for net_name, net in nets.items():
        flops = flops_of(net, bench.side)
        for name in tops:
            for how, make in hows.items():
                torch.compiler.reset()
                network = make(FoldedUNet(net).to(bench.device, FORMATS[name]).eval())
                timed = {}
                for batch in bench.batches:
                    planes = torch.rand(batch, 2, bench.side, bench.side, device=bench.device)
                    with torch.inference_mode():
                        work = partial(network, planes.to(FORMATS[name]))
                        timed[batch] = bench.seconds(work) / batch
                batch = min(timed, key=timed.__getitem__)
                rate = flops / timed[batch]
                share = f"{rate / tops[name]:.0%}"
                yield [net_name, name, how, str(batch), f"{rate / 1e12:.2f}", share]


def published_rows(bench: Bench, net: UNet, tops: dict[str, float]) -> Iterator[list[str]]:
    """The published layers without anything of nimbus, on planes that are on the device."""
    flops = flops_of(net, bench.side)
    modes = {"float32": "default", "float16": "half precision"}
    for name, mode in modes.items():
        if name not in tops:
            continue
        ready = UNet(depth=net.depth, root_filters=net.root_filters).eval()
        ready = ready.to(bench.device, FORMATS[name])
        batch = 4  # its default
        planes = torch.rand(batch, 2, bench.side, bench.side, device=bench.device)
        with torch.inference_mode():
            seconds = bench.seconds(partial(ready, planes.to(FORMATS[name]))) / batch
        rate = flops / seconds
        yield [
            mode, str(batch), f"{rate / 1e12:.2f}", f"{rate / tops[name]:.0%}",
            f"{seconds / bench.megapixels:.4f}",
        ]  # fmt: skip


def whole_rows(bench: Bench, n_channels: int) -> Iterator[list[str]]:
    """`nimbus.tl.score` from a store to the table; scales are given: pixels are read once."""
    import spatialdata

    import nimbus

    side = 4 * bench.side  # 2 x 2 tiles at twice the network's resolution
    markers = [f"m{k}" for k in range(n_channels)]
    sdata = nimbus.datasets.tissue(
        shape=(side, side), n_cells=side * side // 400, markers=markers, random_state=0
    )
    del sdata.tables["table"]
    with tempfile.TemporaryDirectory() as folder:
        sdata.write(Path(folder) / "field.zarr")
        stored = spatialdata.read_zarr(Path(folder) / "field.zarr")
        for precision in ("float32", "auto"):
            for tta in (False, True):
                work = partial(
                    nimbus.tl.score,
                    stored,
                    scales=dict.fromkeys(markers, 1000.0),
                    tta=tta,
                    precision=precision,
                    device=str(bench.device),
                    tile_size=bench.side,
                    show_progress_bar=False,
                )
                seconds = bench.seconds(work)  # of the second call on: the network is loaded
                per = seconds / n_channels / (side**2 / 1e6)
                yield ["nimbus-s", precision, "8" if tta else "1", f"{per:.4f} of the image"]


def flops_of(net: UNet, side: int) -> float:
    """FLOPs of one pass over one pair of planes, counted layer by layer."""
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        net(torch.zeros(1, 2, side, side))
    return float(counter.get_total_flops())


def table(title: str, heads: list[str], rows: Iterator[list[str]]) -> Iterator[str]:
    yield f"### {title}\n"
    yield f"| {' | '.join(heads)} |"
    yield f"|{' --- |' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def name_of(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return f"Apple Metal on {platform.processor() or platform.machine()}"
    return f"{platform.processor() or platform.machine()} ({torch.get_num_threads()} threads)"


if __name__ == "__main__":
    main()
