"""What a training says of itself: a CSV file and, where it is installed, TensorBoard."""

from __future__ import annotations

import csv
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from nimbus._optional import optional_module

CSV = "log.csv"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the log.

    Parameters
    ----------
    step
        Steps that are done.
    learning_rate
        Of the last step.
    loss
        Mean since the line before.
    kept
        Part of the decided cells that was learned from, since the line before; 1 without
        noise-robust selection.
    held_out_auroc
        Of the averaged weights on held-out tiles; None at steps that do not measure.
    seconds
        Since this run began.
    """

    step: int
    learning_rate: float
    loss: float
    kept: float
    held_out_auroc: float | None
    seconds: float


class Log:
    """Writes lines to ``log.csv`` and to TensorBoard.

    Parameters
    ----------
    folder
        Where the files are.
    writer
        TensorBoard's writer; None: CSV alone.
    """

    def __init__(self, folder: Path, writer: Any | None) -> None:  # an optional library's class
        self._path = folder / CSV
        self._writer = writer

    def add(self, line: Line) -> None:
        """Write one line."""
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(_shown(line))
        if self._writer is not None:
            for name, value in asdict(line).items():
                if value is not None and name != "step":
                    self._writer.add_scalar(name, value, line.step)
            self._writer.flush()


def open_log(folder: Path, *, first_step: int) -> Log:
    """The log of a training that begins after `first_step` steps.

    Lines of later steps, which a run wrote that was killed after its last checkpoint, are taken
    out: the resumed training writes them again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / CSV
    header = [field.name for field in fields(Line)]
    kept: list[list[str]] = []
    if first_step > 0 and path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if int(row["step"]) <= first_step:
                    kept.append([row.get(name) or "" for name in header])
    part = path.with_suffix(".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *kept])
    os.replace(part, path)
    return Log(folder, _tensorboard(folder, first_step))


def _shown(line: Line) -> list[str]:
    quality = "" if line.held_out_auroc is None else f"{line.held_out_auroc:.5f}"
    return [
        str(line.step), f"{line.learning_rate:.3e}", f"{line.loss:.5f}", f"{line.kept:.4f}",
        quality, f"{line.seconds:.1f}",
    ]  # fmt: skip


def _tensorboard(folder: Path, first_step: int) -> Any | None:
    """TensorBoard's writer, or None where it is not installed."""
    if optional_module("tensorboard") is None:
        return None
    module = optional_module("torch.utils.tensorboard")
    if module is None:
        return None
    return module.SummaryWriter(str(folder / "tensorboard"), purge_step=first_step + 1)
