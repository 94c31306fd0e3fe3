"""Seconds of one pass of the network: as published, and as nimbus runs it.

    python benchmarks/network.py
    python benchmarks/network.py --widths         (which way is quicker for how many features)
    python benchmarks/network.py --profile published      (where the time goes; or nimbus-s)

Planes of 1024 x 1024 pixels, random weights. The variants take turns, so that other work on the
machine falls on all of them; printed are medians over the rounds, of wall seconds and of the ratio
to the first variant in the same round. With --widths it is processor seconds of one thread, on
1024 x 1024 places, which other work changes little.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from nimbus.model import UNet
from nimbus.model.directnet import direct_unet
from nimbus.model.fastnet import fast_unet
from nimbus.model.fold import FoldedUNet

Pass = Callable[[torch.Tensor], torch.Tensor]

SIZES = ((4, 5, 2), (8, 5, 2), (12, 5, 1), (16, 4, 2), (16, 5, 1), (32, 5, 1), (64, 5, 1))
"""Root filters, depth and patch."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--widths", action="store_true")
    parser.add_argument("--profile", choices=["published", "nimbus-s"])
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    planes = torch.rand(1, 2, given.side, given.side)
    with torch.inference_mode():
        if given.widths:
            print(widths(given.side, given.rounds))
        elif given.profile == "published":
            profile(fast_unet(UNet().eval()), planes)
        elif given.profile == "nimbus-s":
            profile(direct_unet(small_net()), planes)
        else:
            print(compared(variants(), planes, given.rounds))


def variants() -> dict[str, Pass]:
    torch.manual_seed(0)
    net, small = UNet().eval(), small_net()
    half = FoldedUNet(net).bfloat16()
    return {
        "published: float32, NCHW, batch norms": net,
        "folded, channels last, float32": FoldedUNet(net),
        "folded, channels last, bfloat16": lambda x: half(x.bfloat16()).float(),
        "nimbus: Winograd on strips, float32": fast_unet(net),
        "nimbus-s: folded, float32": FoldedUNet(small),
        "nimbus-s: Winograd on strips, float32": fast_unet(small),
        "nimbus-s: blocks on strips, float32": direct_unet(small),
    }


def small_net() -> UNet:
    """Of the size of nimbus-s."""
    return UNet(depth=5, root_filters=8, patch=2).eval()


def compared(passes: dict[str, Pass], planes: torch.Tensor, rounds: int) -> str:
    seconds: dict[str, list[float]] = {name: [] for name in passes}
    for step in range(rounds + 1):
        for name, run in passes.items():
            start = time.perf_counter()
            run(planes)
            if step:  # the first round warms up
                seconds[name].append(time.perf_counter() - start)
    first = next(iter(seconds.values()))
    lines = ["| variant | seconds | times faster |", "| --- | --- | --- |"]
    for name, values in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(first, values, strict=True))
        lines.append(f"| {name} | {statistics.median(values):.2f} | {ratio:.1f} |")
    return "\n".join(lines)


def widths(side: int, rounds: int) -> str:
    torch.set_num_threads(1)
    lines = [
        "| root filters | depth | patch | Winograd on strips | blocks on strips |",
        "| --- | --- | --- | --- | --- |",
    ]
    for root_filters, depth, patch in SIZES:
        net = UNet(depth=depth, root_filters=root_filters, patch=patch).eval()
        planes = torch.rand(1, 2, side * patch, side * patch)
        seconds = [processor_seconds(way(net), planes, rounds) for way in (fast_unet, direct_unet)]
        row = [root_filters, depth, patch, *(f"{one:.3f}" for one in seconds)]
        lines.append("| " + " | ".join(map(str, row)) + " |")
    return "\n".join(lines)


def processor_seconds(run: Pass, planes: torch.Tensor, rounds: int) -> float:
    """Of this thread, the least of some rounds after a first one."""
    seconds = []
    for _ in range(rounds + 1):
        start = time.thread_time()
        run(planes)
        seconds.append(time.thread_time() - start)
    return min(seconds[1:])


def profile(run: Pass, planes: torch.Tensor) -> None:
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        run(planes)
        seconds.append(time.perf_counter() - start)
    print(f"{min(seconds[1:]):.3f} s, the best of {len(seconds) - 1} passes after a first one")
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as seen:
        run(planes)
    print(seen.key_averages().table(sort_by="self_cpu_time_total", row_limit=12))


if __name__ == "__main__":
    main()
