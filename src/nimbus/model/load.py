"""A model by its name or its path."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from .card import ModelCard
from .checkpoint import convert, load_checkpoint
from .download import HubFile, cached_path, fetch
from .registry import Packaged, Registered, find, is_path
from .state import CheckpointError
from .unet import UNet


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A network that is ready, and where it came from.

    Parameters
    ----------
    net
        In evaluation mode, float32, on the CPU.
    card
        What must be known besides the weights.
    sha256
        Hash of the weights file that was read.
    source
        Its path.

    Examples
    --------
    >>> model = load_model("nimbus-s")
    >>> model.net.training, Path(model.source).name, model.sha256 == model.card.sha256
    (False, 'nimbus-s.safetensors', True)
    """

    net: UNet
    card: ModelCard
    sha256: str
    source: str


def load_model(name_or_path: str | Path, *, allow_unverified: bool = False) -> LoadedModel:
    """Load a registered model, or the weights at a path.

    Parameters
    ----------
    name_or_path
        A name that :func:`list_models` gives, or the path of a ``.safetensors`` (with its card
        beside it) or of a published ``.pt``.
    allow_unverified
        Load a registered model whose revision and hash are not known.

    Returns
    -------
    Network, card, hash and path. ``nimbus-v1`` is downloaded into the user's cache the first
    time, and converted once.

    Raises
    ------
    ValueError
        Unknown name.
    FileNotFoundError
        No such file.
    CheckpointError, CardError
        A file that was refused, and why.
    DownloadError
        No connection, or it was lost.

    Examples
    --------
    >>> import numpy as np
    >>> from nimbus.model import make_predictor
    >>> model = load_model("nimbus-s")
    >>> model.card.name
    'nimbus-s'
    >>> side = 2 * model.card.multiple  # pixels of ``model.card.pixel_size_um``
    >>> predictor = make_predictor(model.net, device="cpu")
    >>> predictor.predict(np.zeros((1, 2, side, side), np.float32)).shape == (1, 1, side, side)
    True
    """
    if is_path(name_or_path):
        return _loaded(Path(name_or_path).expanduser(), None)
    model = find(str(name_or_path))
    if isinstance(model.weights, Packaged):
        path = Path(str(model.weights.path))
        if not path.is_file():
            raise FileNotFoundError(
                f"this installation lacks the weights of {model.name!r} ({path}); reinstall "
                "nimbus-spatial"
            )
        return _loaded(path, model.name)
    return _loaded(_from_hub(model, model.weights, allow_unverified), model.name)


def _loaded(path: Path, name: str | None) -> LoadedModel:
    net, card = load_checkpoint(path)
    if name is not None and card.name != name:
        raise CheckpointError(f"{path}: the card is of {card.name!r}, not of {name!r}")
    return LoadedModel(net, card, card.sha256, str(path))


def _from_hub(model: Registered, file: HubFile, allow_unverified: bool) -> Path:
    if not file.pinned and not allow_unverified:
        raise CheckpointError(
            f"model {model.name!r} is not pinned: revision and sha256 of {file.url} are unset in "
            "this release, so what the hub sends cannot be checked. Give the path of a file that "
            "you trust; or fetch it all the same, by "
            f"`nimbus models {model.name} --download --allow-unverified` or "
            f"nimbus.model.load_model({model.name!r}, allow_unverified=True).source, and give "
            "the path that this prints or returns as model."
        )
    kept = cached_path(file)
    if kept.is_file() and kept.with_suffix(".json").is_file():
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".convert-") as folder:
        raw = Path(folder) / Path(file.file).name
        fetch(file, raw)
        converted = Path(folder) / kept.name
        convert(raw, converted, sha256=file.sha256 or None)
        converted.with_suffix(".json").replace(kept.with_suffix(".json"))
        converted.replace(kept)
    return kept
