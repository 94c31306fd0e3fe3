"""The steps of ``nimbus train``: tiles, training, calibration, card."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from nimbus.core.shards import INDEX, ShardFolder, open_shards
from nimbus.datasets import TileSettings, write_training_tiles
from nimbus.metrics.positivity import auroc, average_precision, best_f1, f1_at
from nimbus.model import ModelCard, UNet, load_checkpoint, save_checkpoint
from nimbus.model.card import architecture
from nimbus.model.patches import in_patches
from nimbus.train import calibrate, fit, folded
from nimbus.train.begin import averaged_network, require_networks, require_tile_size
from nimbus.train.checkpoint import load_state
from nimbus.train.measure import CellScores, score_cells
from nimbus.train.samples import TileSampler, split
from nimbus.train.world import World, joined, left

from ._trainconfig import TileSource, TrainConfig

_HELD_OUT_SAMPLES = 1500
"""About so many held-out tiles are used for calibration and the metrics of the card."""


_ORDINARY = 0.8
"""Calibration leaves out samples of which a larger part of the cells is positive."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Where and how a training runs: what does not change its result.

    Parameters
    ----------
    jobs
        Processes that simulate tissue.
    device
        Where the network is trained.
    resume
        Go on from the checkpoint.
    stop_after
        Stop after this step of the whole, without writing a model.
    progress
        Show progress bars.
    """

    jobs: int = 1
    device: str = "cpu"
    resume: bool = False
    stop_after: int | None = None
    progress: bool = True


def make_model(config: TrainConfig, machine: Machine, *, command: str) -> Path | None:
    """Train the network of `config`; the path of its weights, or None where it was stopped.

    Under ``torchrun`` all processes train, and the first one writes.
    """
    out, world = Path(config.out), joined(machine.device)
    # Before tissue is simulated: a file may be missing, and what cannot be saved be asked for.
    start = _model(config.start, config)
    teachers = [load_checkpoint(Path(path))[0] for path in config.teachers]
    require_networks(config.fit, start=start, teachers=teachers)
    path, card = _planned(config, command)
    folders = [
        _ready(source, folder, machine, world)
        for source, folder in zip(config.tiles, _folders(config), strict=True)
    ]
    n_steps = config.fit.n_steps
    stop = n_steps if machine.stop_after is None else min(machine.stop_after, n_steps)
    net = fit(
        folders,
        out,
        settings=config.fit,
        augment=config.augment,
        shares=[source.share for source in config.tiles],
        start=start,
        teacher=teachers,
        resume=machine.resume,
        stop_after=stop,
        device=machine.device,
        show_progress_bar=machine.progress,
    )
    left()
    if stop != n_steps or world.rank > 0:
        return None
    net, cells = _calibrated(net, _judges(config, folders), config, machine.device)
    judged_by = "held-out tiles" if config.fit.held_out else "tiles learned from"
    save_checkpoint(path, net, dataclasses.replace(card, metrics={judged_by: _metrics(cells)}))
    return path


def _planned(config: TrainConfig, command: str) -> tuple[Path, ModelCard]:
    """Where the model is to go, and its card, but for the measures.

    Raises
    ------
    ValueError
        A name that is none of a file, values that no card holds, or tiles that are to be simulated
        and do not fit the network.
    """
    if not config.name or Path(config.name).name != config.name:
        raise ValueError(f"name {config.name!r} must be that of a file, without a folder")
    for source in config.tiles:
        if source.simulate is not None:
            require_tile_size((source.simulate.tile_size,) * 2, config.fit)
    card = ModelCard(
        name=config.name,
        **architecture(config.fit),
        pixel_size_um=config.pixel_size_um,
        scale=config.scale,
        aggregate=config.aggregate,
        training_data=f"{config.about} Made by: {command}",
        licence=config.licence,
    )
    return Path(config.out) / f"{config.name}.safetensors", card


def _folders(config: TrainConfig) -> list[Path]:
    """Where the tiles of each source are, or will be."""
    return [
        Path(source.folder or Path(config.out) / f"tiles-{number}")
        for number, source in enumerate(config.tiles)
    ]


def _ready(source: TileSource, folder: Path, machine: Machine, world: World) -> Path:
    """The folder of a source's tiles, simulated now if they are not there.

    Raises
    ------
    FileNotFoundError
        They are not there, and several processes train.
    ValueError
        Other tissue is there than the source describes.
    """
    if source.simulate is None:
        return folder
    # At least three shards: the last one is held out.
    per_shard = max(1, min(source.simulate.fields_per_shard, source.simulate.n_fields // 3))
    settings = dataclasses.replace(source.simulate, fields_per_shard=per_shard)
    if (folder / INDEX).is_file():
        _require_simulated(open_shards(folder), settings, source.seed)
        return folder
    if world.size > 1:
        raise FileNotFoundError(
            f"no tiles in {str(folder)!r}: several processes cannot simulate them; run the "
            "same command once without torchrun and with --stop-after 0"
        )
    write_training_tiles(
        folder,
        settings=settings,
        random_state=source.seed,
        n_jobs=machine.jobs,
        show_progress_bar=machine.progress,
    )
    return folder


def _require_simulated(folder: ShardFolder, settings: TileSettings, seed: int) -> None:
    """Raise ``ValueError`` where the folder's tissue was simulated otherwise.

    Settings that the nimbus which wrote it did not have are not compared.
    """
    now = json.loads(json.dumps({"seed": seed, **dataclasses.asdict(settings)}))
    about = folder.about
    there = {"seed": about.get("random_state"), **about.get("settings", {})}
    different = [name for name in now if name in there and now[name] != there[name]]
    if different:
        told = ", ".join(f"{name}: {there[name]!r} there, {now[name]!r} now" for name in different)
        raise ValueError(
            f"{str(folder.path)!r} holds tiles of other tissue than [tiles.simulate] describes "
            f"({told}); give those settings, name another folder, or remove this one"
        )


def _model(path: str, config: TrainConfig) -> UNet | None:
    """The weights at `path`, if there is one: averaged ones, or those of a finished model.

    A model without patches begins a network of patches.
    """
    if not path:
        return None
    is_model = Path(path).suffix == ".safetensors"
    net = load_checkpoint(Path(path))[0] if is_model else averaged_network(load_state(Path(path)))
    return net if net.patch == config.fit.patch else in_patches(net, config.fit.patch)


def _judges(config: TrainConfig, folders: list[Path]) -> TileSampler:
    """Held-out tiles with labels that are true: simulated ones, where there are any."""
    pairs = list(zip(config.tiles, folders, strict=True))
    chosen = [folder for source, folder in pairs if source.simulate is not None] or folders
    return split([open_shards(f) for f in chosen], held_out=max(config.fit.held_out, 1))[1]


def _calibrated(
    net: UNet, held_out: TileSampler, config: TrainConfig, device: str
) -> tuple[UNet, CellScores]:
    """The network with calibrated logits, on the CPU, and its scores of held-out cells."""
    every = _stride(held_out)
    line = calibrate(
        net,
        held_out,
        every=every,
        device=device,
        augment=config.augment,
        largest_share=_ORDINARY,
        aggregate=config.aggregate,
    )
    net = folded(net, line).cpu()
    return net, score_cells(net, held_out, every=every, aggregate=config.aggregate)


def _stride(held_out: TileSampler) -> int:
    return max(1, len(held_out) // _HELD_OUT_SAMPLES)


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
