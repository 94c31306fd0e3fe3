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
from nimbus.model import ModelCard, UNet, save_checkpoint
from nimbus.train import FitSettings, calibrate, centred, fit, folded
from nimbus.train.checkpoint import load_state
from nimbus.train.measure import CellScores, score_cells
from nimbus.train.samples import TileSampler, split

_TILES, _FIT = TileSettings(), FitSettings()

SCALE = ScaleRule(quantile=0.99, pixels="positive", pool="dataset")
"""How a model trained on simulated tissue wants its channels scaled."""

_HELD_OUT_SAMPLES = 600
"""About so many held-out tiles are used for calibration and the metrics of the card."""


def train(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(help="Folder for tiles, checkpoint, log and model.")],
    name: Annotated[str, typer.Option(help="Name of the model.")] = "nimbus-s",
    fields: Annotated[int, typer.Option(help="Fields of simulated tissue.")] = _TILES.n_fields,
    channels: Annotated[int, typer.Option(help="Channels of each field.")] = _TILES.n_channels,
    platform: Annotated[
        list[str] | None, typer.Option(help="Platforms of the fields; none: all.")
    ] = None,
    also: Annotated[
        list[Path] | None, typer.Option(help="More folders of tiles to learn from.")
    ] = None,
    repeat: Annotated[int, typer.Option(help="How often OUT's own tiles count beside them.")] = 1,
    start: Annotated[
        Path | None, typer.Option(help="checkpoint.pt of a training to begin with.")
    ] = None,
    steps: Annotated[int, typer.Option(help="Training steps.")] = _FIT.n_steps,
    batch_size: Annotated[int, typer.Option(help="Tiles in a step.")] = _FIT.batch_size,
    learning_rate: Annotated[float, typer.Option(help="Largest rate.")] = _FIT.learning_rate,
    warmup_steps: Annotated[int, typer.Option(help="Steps of rising rate.")] = _FIT.warmup_steps,
    average_decay: Annotated[
        float, typer.Option(help="Of the moving average of the weights.")
    ] = _FIT.average_decay,
    depth: Annotated[int, typer.Option(help="Resolutions of the network.")] = _FIT.depth,
    root_filters: Annotated[
        int, typer.Option(help="Features at full resolution.")
    ] = _FIT.root_filters,
    seed: Annotated[int, typer.Option(help="Seed of tissue and training.")] = _FIT.seed,
    jobs: Annotated[int, typer.Option(help="Processes that simulate tissue.")] = 1,
    threads: Annotated[int, typer.Option(help="CPU threads; 0: as PyTorch chooses.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda or mps.")] = "cpu",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")] = False,
    licence: Annotated[str, typer.Option(help="Licence of the weights.")] = "BSD-3-Clause",
    progress: Annotated[bool, typer.Option(help="Show progress bars.")] = True,
) -> None:
    """Train a network on simulated tissue; writes OUT/NAME.safetensors and its card."""
    if threads > 0:
        torch.set_num_threads(threads)
    own = out / "tiles"
    platforms = tuple(platform) if platform else _TILES.platforms
    _write_tiles(own, fields, channels, platforms, seed=seed, jobs=jobs, progress=progress)
    settings = FitSettings(
        depth=depth,
        root_filters=root_filters,
        n_steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        warmup_steps=warmup_steps,
        average_decay=average_decay,
        seed=seed,
    )
    folders = [*(also or []), *[own] * repeat]
    net = fit(
        folders,
        out,
        settings=settings,
        start=None if start is None else _averaged_network(start, settings),
        resume=resume,
        device=device,
        show_progress_bar=progress,
    )
    every_folder = [open_shards(folder) for folder in dict.fromkeys(folders)]
    _, held_out = split(every_folder, held_out=settings.held_out)
    net, cells = _calibrated(net, held_out, device)
    save_checkpoint(
        out / f"{name}.safetensors", net, _card(name, settings, licence, cells, _command(context))
    )
    typer.echo(f"{out / name}.safetensors: held-out AUROC {auroc(cells.score, cells.truth):.4f}")


def _write_tiles(
    folder: Path,
    fields: int,
    channels: int,
    platforms: tuple[str, ...],
    *,
    seed: int,
    jobs: int,
    progress: bool,
) -> None:
    """Write the tiles, unless they are there."""
    if (folder / INDEX).is_file():
        return
    # At least two shards: the last one is held out.
    per_shard = max(1, min(_TILES.fields_per_shard, fields // 3))
    tiles = TileSettings(
        n_fields=fields, n_channels=channels, fields_per_shard=per_shard, platforms=platforms
    )
    write_training_tiles(
        folder, settings=tiles, random_state=seed, n_jobs=jobs, show_progress_bar=progress
    )


def _averaged_network(checkpoint: Path, settings: FitSettings) -> UNet:
    """The averaged weights of a training, before calibration."""
    net = UNet(depth=settings.depth, root_filters=settings.root_filters)
    net.load_state_dict(load_state(checkpoint).average)
    return net


def _calibrated(net: UNet, held_out: TileSampler, device: str) -> tuple[UNet, CellScores]:
    """The network with calibrated logits, and its scores of held-out cells."""
    every = max(1, len(held_out) // _HELD_OUT_SAMPLES)
    net = folded(net, calibrate(net, held_out, every=every, device=device)).cpu()
    cells = score_cells(net, held_out, every=every)
    net = folded(net, centred(best_f1(cells.score, cells.truth).threshold))
    return net, score_cells(net, held_out, every=every)


def _card(
    name: str, settings: FitSettings, licence: str, cells: CellScores, command: str
) -> ModelCard:
    return ModelCard(
        name=name,
        depth=settings.depth,
        root_filters=settings.root_filters,
        pixel_size_um=_TILES.pixel_size_um,
        scale=SCALE,
        aggregate="interior",
        training_data=(
            "Simulated tissue alone (nimbus.datasets.write_training_tiles). Made by: " + command
        ),
        metrics={"held-out simulated tissue": _metrics(cells)},
        licence=licence,
    )


def _command(context: typer.Context) -> str:
    """The command with every option that is not left at its default."""
    words = ["nimbus train"]
    for parameter in context.command.params:
        value = context.params.get(parameter.name or "")
        if parameter.name == "out":
            words.append(str(value))
        elif parameter.name not in ("resume", "progress") and value != parameter.default:
            values = value if isinstance(value, list | tuple) else [value]
            words += [f"{parameter.opts[0]} {one}" for one in values]
    return " ".join(words)


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
