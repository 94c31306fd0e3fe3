"""The models that have a name, and where their weights come from."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from nimbus._check import unknown_name

from .card import ModelCard, read_card
from .download import HubFile, cached_path

UNSET = ""
"""A revision or hash that nobody has filled in yet."""


@dataclass(frozen=True, slots=True)
class Packaged:
    """Weights inside the package; their hash stands in the card beside them."""

    file_name: str

    @property
    def path(self) -> Traversable:
        """Where the weights are."""
        return resources.files("nimbus.model") / "weights" / self.file_name


@dataclass(frozen=True, slots=True)
class Registered:
    """A model with a name.

    Parameters
    ----------
    name
        What users type.
    about
        One line for people.
    weights
        Where they come from.
    """

    name: str
    about: str
    weights: Packaged | HubFile


REGISTERED = (
    Registered(
        name="nimbus-s",
        about="small network, trained by this project on simulated tissue",
        weights=Packaged("nimbus-s.safetensors"),
    ),
    Registered(
        name="nimbus-v1",
        about="the published network (Rumberger, Greenwald et al. 2025), from its hub",
        # Revision and hash are unset: nobody has compared them with the hub yet. Fill in the
        # 40-digit commit and the sha256 that the hub shows for V1.pt. Until then loading needs
        # allow_unverified=True.
        weights=HubFile(
            repository="JLrumberger/Nimbus-Inference", file="V1.pt", revision=UNSET, sha256=UNSET
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One line of ``nimbus models``.

    Parameters
    ----------
    name, about
        What it is called, and what it is.
    available
        ``"in the package"``, ``"downloaded"``, ``"not downloaded"`` or ``"missing"``.
    pinned
        Whether revision and hash of the weights are known.
    card
        None for weights that are not on this machine.

    Examples
    --------
    >>> row = list_models()[0]
    >>> row.name, row.available, row.pinned, row.card.name
    ('nimbus-s', 'in the package', True, 'nimbus-s')
    """

    name: str
    about: str
    available: str
    pinned: bool
    card: ModelCard | None


def find(name: str) -> Registered:
    """The registered model `name`.

    Examples
    --------
    >>> find("nimbus-s").about
    'small network, trained by this project on simulated tissue'
    >>> find("nimbus-x")
    Traceback (most recent call last):
    ValueError: model 'nimbus-x' does not exist; did you mean 'nimbus-s'? There is: ...
    """
    for model in REGISTERED:
        if model.name == name:
            return model
    raise ValueError(unknown_name("model", name, [model.name for model in REGISTERED]))


def list_models() -> list[ModelRow]:
    """One row for each registered model; nothing is downloaded.

    Examples
    --------
    >>> [row.name for row in list_models()]
    ['nimbus-s', 'nimbus-v1']
    """
    return [_row(model) for model in REGISTERED]


def is_path(name_or_path: str | Path) -> bool:
    """Whether a file is meant, not a registered name.

    Examples
    --------
    >>> is_path("nimbus-s"), is_path("mine.safetensors"), is_path("./nimbus-s")
    (False, True, True)
    """
    text = str(name_or_path)
    suffixes = (".safetensors", ".pt", ".pth")
    return isinstance(name_or_path, Path) or text.endswith(suffixes) or "/" in text or "\\" in text


def card_beside(name_or_path: str | Path) -> tuple[ModelCard, Path] | None:
    """Card and path of weights whose card lies beside them, read without PyTorch.

    ``None`` for weights that must be opened or downloaded first.

    Raises
    ------
    ValueError
        An unknown name, or a card that is refused.
    """
    if is_path(name_or_path):
        path = Path(name_or_path).expanduser()
    else:
        weights = find(str(name_or_path)).weights
        if not isinstance(weights, Packaged):
            return None
        path = Path(str(weights.path))
    if path.suffix != ".safetensors" or not path.is_file():
        return None
    return read_card(path.with_suffix(".json")), path


def _row(model: Registered) -> ModelRow:
    if isinstance(model.weights, Packaged):
        there = model.weights.path.is_file()
        path, pinned = Path(str(model.weights.path)), True
        available = "in the package" if there else "missing"
    else:
        path, pinned = cached_path(model.weights), model.weights.pinned
        there = path.is_file()
        available = "downloaded" if there else "not downloaded"
    card = read_card(path.with_suffix(".json")) if there else None
    return ModelRow(model.name, model.about, available, pinned, card)
