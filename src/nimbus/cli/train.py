"""``nimbus train``: a model from a configuration."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import torch
import typer

from ._options import show_progress
from ._trainconfig import read_config
from ._training import Machine, make_model


def train(
    config: Annotated[Path, typer.Argument(help="TOML file: what to learn from, and how.")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for tiles, checkpoint, log and model, instead of the configuration's."
        ),
    ] = None,
    jobs: Annotated[int, typer.Option(help="Processes that simulate tissue.")] = 1,
    threads: Annotated[int, typer.Option(help="CPU threads; 0: as PyTorch chooses.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda or mps.")] = "cpu",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")] = False,
    stop_after: Annotated[
        int | None, typer.Option(help="Stop with a checkpoint after this step, without a model.")
    ] = None,
    progress: Annotated[
        bool | None,
        typer.Option(help="Show progress bars; by default on a terminal.", show_default=False),
    ] = None,
) -> None:
    """Train a network; writes OUT/NAME.safetensors and its card.

    Examples
    --------
        nimbus train configs/nimbus-s.toml --jobs 2

        nimbus train configs/nimbus-s.toml --jobs 2 --resume

        nimbus train configs/nimbus-s.toml --jobs 16 --stop-after 0

        torchrun --nproc-per-node 4 -m nimbus train configs/nimbus-s.toml --device cuda

    The smallest configuration simulates tissue and learns from it:

        name = "mine"
        out = "runs/mine"

        [[tiles]]
        [tiles.simulate]
        n_fields = 100

    The tables [fit], [fit.robust], [fit.taught] and [augment] have the fields of
    nimbus.train.FitSettings, RobustSettings, TeacherSettings and AugmentSettings; [tiles.simulate]
    has those of nimbus.datasets.TileSettings. A second [[tiles]] with a folder of
    nimbus.datasets.write_training_set adds real cells. With [fit.taught] and a list of models as
    `teachers` the network learns from the mean of their scores as well.
    """
    if threads > 0:
        torch.set_num_threads(threads)
    wanted = read_config(config)
    if out is not None:
        wanted = dataclasses.replace(wanted, out=str(out))
    machine = Machine(
        jobs=jobs,
        device=device,
        resume=resume,
        stop_after=stop_after,
        progress=show_progress(progress),
    )
    path = make_model(wanted, machine, command=f"nimbus train {config}")
    if path is not None:
        typer.echo(path)
    elif stop_after is not None:
        typer.echo(f"stopped after step {stop_after}; go on with --resume")
