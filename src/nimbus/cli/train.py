"""``nimbus train``: simulate tissue, train a network on it, calibrate and save it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer

from nimbus.core.scalerule import ScaleRule
from nimbus.core.shards import INDEX, open_shards
from nimbus.datasets import TileSettings, write_training_tiles
from nimbus.metrics.positivity import auroc, average_precision, best_f1, f1_at
from nimbus.model import ModelCard, save_checkpoint
from nimbus.train import FitSettings, calibrate, centred, fit, folded
from nimbus.train.measure import CellScores, score_cells
from nimbus.train.samples import split

_TILES, _FIT = TileSettings(), FitSettings()

SCALE = ScaleRule(quantile=0.999, pixels="all", pool="dataset")
"""How a model trained on simulated tissue wants its channels scaled."""


def train(
    out: Annotated[Path, typer.Argument(help="Folder for tiles, checkpoint, log and model.")],
    name: Annotated[str, typer.Option(help="Name of the model.")] = "nimbus-s",
    fields: Annotated[int, typer.Option(help="Fields of simulated tissue.")] = _TILES.n_fields,
    channels: Annotated[int, typer.Option(help="Channels of each field.")] = _TILES.n_channels,
    steps: Annotated[int, typer.Option(help="Training steps.")] = _FIT.n_steps,
    batch_size: Annotated[int, typer.Option(help="Tiles in a step.")] = _FIT.batch_size,
    depth: Annotated[int, typer.Option(help="Resolutions of the network.")] = _FIT.depth,
    root_filters: Annotated[
        int, typer.Option(help="Features at full resolution.")
    ] = _FIT.root_filters,
    seed: Annotated[int, typer.Option(help="Seed of tissue and training.")] = _FIT.seed,
    threads: Annotated[int, typer.Option(help="CPU threads; 0: as PyTorch chooses.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda or mps.")] = "cpu",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")] = False,
    licence: Annotated[str, typer.Option(help="Licence of the weights.")] = "BSD-3-Clause",
    progress: Annotated[bool, typer.Option(help="Show progress bars.")] = True,
) -> None:
    """Train a network on simulated tissue; writes OUT/NAME.safetensors and its card."""
    if threads > 0:
        torch.set_num_threads(threads)
    shards = out / "tiles"
    if not (shards / INDEX).is_file():
        # At least two shards: the last one is held out.
        per_shard = max(1, min(_TILES.fields_per_shard, fields // 2))
        tiles = TileSettings(n_fields=fields, n_channels=channels, fields_per_shard=per_shard)
        write_training_tiles(shards, settings=tiles, random_state=seed, show_progress_bar=progress)
    settings = FitSettings(
        depth=depth, root_filters=root_filters, n_steps=steps, batch_size=batch_size, seed=seed
    )
    net = fit(
        shards, out, settings=settings, resume=resume, device=device, show_progress_bar=progress
    )
    _, held_out = split(open_shards(shards), held_out=settings.held_out)
    every = max(1, len(held_out) // 1000)
    net = folded(net, calibrate(net, held_out, every=every, device=device)).cpu()
    cells = score_cells(net, held_out, every=every)
    net = folded(net, centred(best_f1(cells.score, cells.truth).threshold))
    cells = score_cells(net, held_out, every=every)
    command = f"nimbus train --fields {fields} --channels {channels} --steps {steps} --seed {seed}"
    card = ModelCard(
        name=name,
        depth=depth,
        root_filters=root_filters,
        pixel_size_um=_TILES.pixel_size_um,
        scale=SCALE,
        aggregate="interior",
        training_data=(
            f"Simulated tissue alone: {fields} fields of nimbus.datasets.write_training_tiles, "
            f"random_state {seed}. Made by: {command}"
        ),
        metrics={"held-out simulated tissue": _metrics(cells)},
        licence=licence,
    )
    save_checkpoint(out / f"{name}.safetensors", net, card)
    typer.echo(f"{out / name}.safetensors: held-out AUROC {auroc(cells.score, cells.truth):.4f}")


def _metrics(cells: CellScores) -> dict[str, float]:
    """Measures of a card, rounded."""
    best = best_f1(cells.score, cells.truth)
    values = {
        "auroc": auroc(cells.score, cells.truth),
        "average_precision": average_precision(cells.score, cells.truth),
        "f1_at_0.5": f1_at(cells.score, cells.truth),
        "best_f1": best.f1,
        "best_threshold": best.threshold,
        "cells": float(len(cells.truth)),
    }
    return {key: round(value, 4) for key, value in values.items()}
