"""What a user should know of a fine-tuning: warnings, raised as if by its caller."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict

from nimbus._check import listed
from nimbus.core.shards import ShardFolder
from nimbus.model.card import ModelCard

from .holdout import Parts
from .tuning import Best


def warn_of_other_input(folders: Sequence[ShardFolder], card: ModelCard) -> None:
    """Warn of tiles that show the network what scoring will not: other pixels, other scales."""
    wanted = {"pixel_size_um": card.pixel_size_um, "scale": asdict(card.scale)}
    for folder in folders:
        there = {**folder.about.get("settings", {}), **folder.about}
        other = [k for k, value in wanted.items() if k in there and there[k] != value]
        if other:
            told = " and ".join(f"{k} {there[k]!r}, it scores with {wanted[k]!r}" for k in other)
            warnings.warn(
                f"{str(folder.path)!r} holds tiles that are not as {card.name!r} sees images in "
                f"scoring: they have {told}. Cut them with CutSettings(pixel_size_um="
                f"{card.pixel_size_um!r}, scale={card.scale!r}), or pass the SpatialData itself.",
                UserWarning,
                stacklevel=3,
            )


def warn_of_shared_cells(folders: Sequence[ShardFolder], parts: Parts) -> None:
    """Warn where tiles are divided whose cells are decided in several of them."""
    shared = [str(f.path) for f in folders if f.about.get("settings", {}).get("once") is False]
    if parts.unit == "tile" and shared:
        warnings.warn(
            f"tiles of {listed(shared)} are held out, but a cell may be labelled in several tiles: "
            "what judges was partly learned from. Cut them with CutSettings(once=True), divide "
            "fields into train and validation, or pass the SpatialData itself.",
            UserWarning,
            stacklevel=3,
        )


def warn_of_outcome(best: Best) -> None:
    """Warn where nothing was won, or where measures fell."""
    if best.step == 0:
        warnings.warn(
            f"fine-tuning made the scores of the {best.before['cells']:.0f} held-out cells no "
            "better; the weights of the start are kept. Label more cells, or more different ones.",
            UserWarning,
            stacklevel=3,
        )
    fallen = [
        f"{name} {best.before[name]:.3f} to {best.after[name]:.3f}"
        for name in ("auroc", "average_precision", "f1_at_0.5")
        if best.after[name] < best.before[name]
    ]
    if fallen:
        warnings.warn(
            "fine-tuning made the cross-entropy of the held-out cells better and "
            f"other measures worse: {', '.join(fallen)}",
            UserWarning,
            stacklevel=3,
        )
