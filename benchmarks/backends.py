"""Other runtimes beside ours on one plane: is a back end worth it?

    OMP_NUM_THREADS=1 python benchmarks/backends.py [--side 1024] [--threads 1] [--rounds 3]

Networks are exported by `nimbus export`'s code and run by ONNX Runtime and, where it is installed,
OpenVINO, in float32 on the CPU, beside what `tl.score` runs. The variants take turns; printed are
the median seconds and the median of the ratio to ours in the same round, which other work on the
machine disturbs less than the seconds. Seconds are CPU seconds: with one thread, those of an idle
machine.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from nimbus.core.scalerule import ScaleRule
from nimbus.model import ModelCard, UNet, export_onnx, load_model, make_predictor
from nimbus.model.card import architecture

Pass = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--networks", nargs="+", default=["nimbus-s", "published size"])
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    planes = np.random.default_rng(0).random((1, 2, args.side, args.side), dtype=np.float32)
    print("| network | pixels | runtime | seconds | times ours | largest difference |")
    print("|---|---|---|---|---|---|")
    every = networks()
    for name in args.networks:
        net = every[name]
        ours = make_predictor(net, device="cpu", precision="float32").predict
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "net.onnx"
            export_onnx(net, card_of(net), path)
            compare(name, {"nimbus": ours, **others(path, args.threads)}, planes, args.rounds)


def networks() -> dict[str, UNet]:
    torch.manual_seed(0)
    return {"nimbus-s": load_model("nimbus-s").net, "published size": UNet().eval()}


def card_of(net: UNet) -> ModelCard:
    return ModelCard(
        name="benchmark",
        **architecture(net),
        pixel_size_um=1.0,
        scale=ScaleRule(0.999),
    )


def others(path: Path, threads: int) -> dict[str, Pass]:
    """The other runtimes that are installed."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    found: dict[str, Pass] = {
        f"ONNX Runtime {onnxruntime.__version__}": lambda x: session.run(None, {"planes": x})[0]
    }
    try:
        import openvino
    except ImportError:
        return found
    core = openvino.Core()
    settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model(path), "CPU", settings)
    found[f"OpenVINO {openvino.__version__.split('-')[0]}"] = lambda x: compiled([x])[0]
    return found


def compare(name: str, variants: dict[str, Pass], planes: np.ndarray, rounds: int) -> None:
    pixels = f"{planes.shape[2]} x {planes.shape[3]}"
    answers = {variant: run(planes) for variant, run in variants.items()}  # not timed
    seconds: dict[str, list[float]] = {variant: [] for variant in variants}
    for _ in range(rounds):
        for variant, run in variants.items():
            begin = time.process_time()
            run(planes)
            seconds[variant].append(time.process_time() - begin)
    for variant, taken in seconds.items():
        ratios = [theirs / own for theirs, own in zip(taken, seconds["nimbus"], strict=True)]
        difference = float(np.abs(answers[variant] - answers["nimbus"]).max())
        print(
            f"| {name} | {pixels} | {variant} | {statistics.median(taken):.3f} | "
            f"{statistics.median(ratios):.2f} | {difference:.0e} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
