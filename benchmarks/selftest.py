"""Keep the scores that `nimbus doctor` compares with, beside the weights that they belong to.

    python benchmarks/selftest.py [--model nimbus-s]

Run it once whenever the weights change. The scores come from the plain network (batch norms as
they are, the whole field at once, other libraries for mask and means: tests/support/reference.py),
so that the self-test compares two ways and not one with itself.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from nimbus.cli._selftest import MARKERS, SCALES, field_arrays, scored, write_numbers
from nimbus.model import load_model
from support.reference import slow_scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="nimbus-s")
    args = parser.parse_args()
    loaded = load_model(args.model)
    image, labels = field_arrays()
    scores, _ = slow_scores(
        image,
        labels,
        [SCALES[marker] for marker in MARKERS],
        loaded.net,
        multiple=loaded.card.multiple,
        interior=loaded.card.aggregate == "interior",
    )
    command = f"python benchmarks/selftest.py --model {args.model}"
    path = write_numbers(
        Path(loaded.source),
        model=loaded.card.name,
        sha256=loaded.sha256,
        scores=scores,
        by=command,
    )
    ours = scored(
        args.model, pixel_size_um=loaded.card.pixel_size_um, device="cpu", precision="float32"
    )
    print(f"{path.name}: {scores.size} scores from {scores.min():.3f} to {scores.max():.3f}")
    print(
        f"largest difference from the fast way on this machine: {np.abs(ours - scores).max():.1e}"
    )


if __name__ == "__main__":
    main()
