"""Seconds of one pass of the network: as published, and as nimbus runs it.

    python benchmarks/network.py
    python benchmarks/network.py --profile        (where the time goes)

Planes of 1024 x 1024 pixels, random weights. The variants take turns, so that other work on the
machine falls on all of them; printed are medians over the rounds, of wall seconds and of the ratio
to the first variant in the same round.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from nimbus.model import UNet
from nimbus.model.fastnet import fast_unet
from nimbus.model.fold import FoldedUNet

Pass = Callable[[torch.Tensor], torch.Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    planes = torch.rand(1, 2, given.side, given.side)
    with torch.inference_mode():
        if given.profile:
            profile(fast_unet(UNet().eval()), planes)
        else:
            print(compared(variants(), planes, given.rounds))


def variants() -> dict[str, Pass]:
    torch.manual_seed(0)
    net, small = UNet().eval(), UNet(depth=4, root_filters=16, patch=2).eval()
    half = FoldedUNet(net).bfloat16()
    return {
        "published: float32, NCHW, batch norms": net,
        "folded, channels last, float32": FoldedUNet(net),
        "folded, channels last, bfloat16": lambda x: half(x.bfloat16()).float(),
        "nimbus: Winograd on strips, float32": fast_unet(net),
        "nimbus-s: folded, float32": FoldedUNet(small),
        "nimbus-s: Winograd on strips, float32": fast_unet(small),
    }


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


def profile(run: Pass, planes: torch.Tensor) -> None:
    run(planes)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as seen:
        run(planes)
    print(seen.key_averages().table(sort_by="self_cpu_time_total", row_limit=12))


if __name__ == "__main__":
    main()
