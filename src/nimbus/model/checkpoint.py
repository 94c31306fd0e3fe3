"""Weights on disk: a safetensors file with its card beside it, or a published ``.pt``."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

from nimbus._durable import write_together

from .card import ModelCard, architecture, read_card, with_hash
from .published import published_card, read_published
from .state import COUNTER, CheckpointError, State, require_hash, require_state, sha256_of
from .unet import UNet

EXPONENT = "exponent"
"""Metadata of a weights file: no shape of a weight tells it, and the hash of the file covers it."""


def save_checkpoint(path: str | Path, net: UNet, card: ModelCard) -> ModelCard:
    """Write weights to `path` (``.safetensors``) and their card to the JSON file beside it.

    Parameters
    ----------
    path
        Ends in ``.safetensors``. Existing files are replaced, once both new ones are on disk.
    net
        Its architecture must be that of `card`.
    card
        Its hash is ignored.

    Returns
    -------
    The card with the hash of the written file.

    Raises
    ------
    CheckpointError
        Another ending; a network of another architecture than the card says; weights that are not
        finite.
    CardError
        Metrics that JSON does not know.

    Examples
    --------
    >>> import tempfile
    >>> from nimbus.core.scalerule import ScaleRule
    >>> card = ModelCard(
    ...     name="tiny", depth=3, root_filters=4, pixel_size_um=1.0, scale=ScaleRule(0.999)
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/tiny.safetensors"
    ...     written = save_checkpoint(path, UNet(depth=3, root_filters=4), card)
    ...     net, read = load_checkpoint(path)
    >>> read == written
    True
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise CheckpointError(f"{path}: the file name must end in .safetensors")
    for name, value in architecture(net).items():
        if value != getattr(card, name):
            raise CheckpointError(
                f"{path}: the network has {name} {value}, its card says {getattr(card, name)}"
            )
    state = {name: t.contiguous() for name, t in net.state_dict().items() if COUNTER not in name}
    require_state(state, net, where=str(path))
    data = save(
        state, metadata={EXPONENT: repr(float(net.exponent))} if net.exponent != 1 else None
    )
    card = with_hash(card, hashlib.sha256(data).hexdigest())
    write_together({path: data, path.with_suffix(".json"): card.to_json().encode("utf-8")})
    return card


def load_checkpoint(path: str | Path, *, sha256: str | None = None) -> tuple[UNet, ModelCard]:
    """Network and card of a weights file.

    Parameters
    ----------
    path
        ``.safetensors`` with a card beside it, or the ``.pt`` state dict of the published tool,
        whose card follows from its shapes (`published_card`).
    sha256
        Hash that the file must have. The hash in a card is checked in any case.

    Returns
    -------
    Network in evaluation mode, float32, on the CPU; card with the hash of the file.

    Raises
    ------
    FileNotFoundError
        No such file.
    CardError
        No card, or one that cannot be used.
    CheckpointError
        Wrong hash; truncated, or no weights at all; pickled code; keys that are missing or too
        many; wrong shapes; values that are not finite; another exponent than the card says.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "V1.pt"
    >>> torch.save(UNet(depth=3, root_filters=4).state_dict(), path)
    >>> net, card = load_checkpoint(path)
    >>> card.depth, card.root_filters, card.scale.pixels  # the tool counts positive pixels alone
    (3, 4, 'positive')
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no weights file at {path}")
    found = sha256_of(path)
    if sha256 is not None:
        require_hash(found, sha256, where=str(path))
    if path.suffix == ".safetensors":
        card = read_card(path.with_suffix(".json"))
        if card.sha256:
            require_hash(found, card.sha256, where=str(path))
        state = _read_safetensors(path, card)
    else:
        state = read_published(path)
        card = published_card(state)
    return _network(state, card, where=str(path)), with_hash(card, found)


def convert(pt_path: str | Path, out_path: str | Path, *, sha256: str | None = None) -> ModelCard:
    """Rewrite a published ``.pt`` as safetensors with a card; returns the card.

    Parameters
    ----------
    pt_path
        The state dict of the published tool, or of a training with it.
    out_path
        Ends in ``.safetensors``; the card is written beside it.
    sha256
        Hash that the file must have.

    Raises
    ------
    FileNotFoundError
        No such file.
    CheckpointError
        Weights that :func:`load_checkpoint` refuses, or another ending of `out_path`.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> torch.save(UNet(depth=3, root_filters=4).state_dict(), folder / "V1.pt")
    >>> card = convert(folder / "V1.pt", folder / "V1.safetensors")
    >>> sorted(path.name for path in folder.iterdir())
    ['V1.json', 'V1.pt', 'V1.safetensors']
    >>> card.sha256 == sha256_of(folder / "V1.safetensors")
    True
    """
    net, card = load_checkpoint(pt_path, sha256=sha256)
    return save_checkpoint(out_path, net, card)


def _read_safetensors(path: Path, card: ModelCard) -> State:
    try:
        with safe_open(path, framework="pt") as file:
            exponent = (file.metadata() or {}).get(EXPONENT, "1.0")
        state = load_file(path)
    except SafetensorError as error:
        raise CheckpointError(f"{path}: truncated, or not a safetensors file ({error})") from error
    if exponent != repr(float(card.exponent)):
        raise CheckpointError(
            f"{path}: the weights are of a network with exponent {exponent}, its card says "
            f"{card.exponent}"
        )
    return state


def _network(state: State, card: ModelCard, *, where: str) -> UNet:
    with torch.device("meta"):  # no random weights that would be replaced
        net = UNet(**architecture(card))
    require_state(state, net, where=where)
    counters = {name: torch.tensor(0) for name in net.state_dict() if COUNTER in name}
    weights = {name: tensor.float() for name, tensor in state.items()}
    net.load_state_dict(weights | counters, assign=True)
    return net.eval().requires_grad_(False)
