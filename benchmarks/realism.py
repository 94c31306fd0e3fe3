"""Simulated tissue beside real: how far apart are their pixels, textures and cells?

    python benchmarks/realism.py --data ../shared/data --out /tmp/realism

Reads the real sets that lie in ``--data`` (those that are not there are left out), simulates fields
of the platform of each with the draws of training, and writes to ``--out``

- ``distances.csv`` and ``distances.md``: for each set and statistic the 10th, 50th and 90th
  percentile of both, their Kolmogorov-Smirnov distance, and `covered`: the share of real values
  that lie within the simulated 1st to 99th percentile. A teacher must cover more than what it is
  compared with, so `covered` near 1 matters and a small distance is not asked for;
- ``SET-curves.png``: histograms of pixels, power spectra, distributions over cells;
- ``SET-pictures.png``: channels side by side. It holds real pixels: not for the repository.

Every channel is divided by the 99th percentile of its positive pixels, as for nimbus-s.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from realism_data import SETS, Channel, Set, real_channels, simulated_channels
from realism_figures import draw_curves, draw_pictures
from realism_statistics import STATISTICS, measured

Measures = dict[str, NDArray[np.floating]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--fields", type=int, default=4, help="simulated fields of each platform")
    parser.add_argument("--channels", type=int, default=12, help="channels of a simulated field")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    for wanted in SETS:
        if not (given.data / wanted.name).is_dir():
            print(f"{wanted.name}: not in {given.data}, left out")
            continue
        real = real_channels(given.data, wanted)
        simulated = simulated_channels(wanted, given.fields, given.channels, given.seed)
        left, right = together(real), together(simulated)
        rows += compared(wanted, left, right)
        curves = given.out / f"{wanted.name}-curves.png"
        draw_curves(curves, wanted.name, (real, left), (simulated, right))
        draw_pictures(given.out / f"{wanted.name}-pictures.png", real, simulated)
    write_table(given.out, rows)
    print((given.out / "distances.md").read_text())


@dataclass(frozen=True, slots=True)
class Row:
    """One statistic of one set."""

    set: str
    statistic: str
    real: str
    simulated: str
    ks: float
    covered: float


def compared(wanted: Set, real: Measures, simulated: Measures) -> list[Row]:
    """All statistics of one set."""
    rows = []
    for name in STATISTICS:
        a, b = real[name], simulated[name]
        if len(a) and len(b):
            rows.append(
                Row(wanted.name, name, quantiles(a), quantiles(b), distance(a, b), covered(a, b))
            )
    return rows


def together(channels: Sequence[Channel]) -> Measures:
    """Each statistic over all channels, and over all cells of all channels."""
    each = [measured(channel) for channel in channels]
    return {name: np.concatenate([m[name] for m in each]) for name in STATISTICS}


def quantiles(values: NDArray[np.floating]) -> str:
    return "/".join(f"{q:.2f}" for q in np.quantile(values, (0.1, 0.5, 0.9)))


def distance(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Largest difference of the two cumulative distributions."""
    places = np.sort(np.concatenate([a, b]))
    both = (np.searchsorted(np.sort(v), places, side="right") / len(v) for v in (a, b))
    first, second = both
    return float(np.abs(first - second).max())


def covered(real: NDArray[np.floating], simulated: NDArray[np.floating]) -> float:
    low, high = np.quantile(simulated, (0.01, 0.99))
    return float(((real >= low) & (real <= high)).mean())


def write_table(out: Path, rows: Sequence[Row]) -> None:
    with (out / "distances.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(Row.__slots__)
        writer.writerows([[getattr(row, name) for name in Row.__slots__] for row in rows])
    lines = [
        "| set | statistic | real | simulated | distance | covered |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r.set} | {r.statistic} | {r.real} | {r.simulated} | {r.ks:.2f} | {r.covered:.2f} |"
        for r in rows
    ]
    (out / "distances.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
