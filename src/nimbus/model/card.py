"""The card of a model: all that must be known besides its weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from nimbus._check import listed
from nimbus.core.scalerule import ScaleRule

FORMAT_VERSION = 1
"""Format of the card and of the weights beside it."""

MAX_DEPTH, MAX_ROOT_FILTERS, MAX_PATCH = 12, 4096, 16
"""No network of this kind comes near; more is damage, and would only cost time and memory."""

ARCHITECTURE = ("depth", "root_filters", "patch", "exponent")
"""What a network is made of its :class:`nimbus.model.UNet` by: fields of a card, a network and the
settings of a training."""

Aggregate = Literal["cell", "interior"]


class CardError(ValueError):
    """A card that cannot be used, and why.

    Examples
    --------
    >>> ModelCard.from_json('{"format_version": 1, "name": "tiny", "dept": 3}')
    Traceback (most recent call last):
    nimbus.model.card.CardError: card: unknown fields 'dept'; known: 'aggregate', ...
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """Architecture, input and origin of a model.

    Parameters
    ----------
    name
        Name of the model.
    depth, root_filters, patch, exponent
        Architecture, as in :class:`nimbus.model.UNet`.
    pixel_size_um
        Side of a pixel of the network's grid, in micrometers.
    scale
        How the scale of a channel follows from its pixels.
    clip
        Channels are clipped to ``[0, clip]`` after division by their scale.
    aggregate
        Pixels that a cell's score averages: the whole ``"cell"``, or its ``"interior"``
        (the mask plane).
    training_data, licence
        Sentences for people.
    metrics
        What the model reached, and on what.
    sha256
        Hash of the weights file; empty for a card that is not beside one.
    format_version
        Version of this format.

    Raises
    ------
    CardError
        A value of the wrong type or outside its range.

    Examples
    --------
    >>> card = ModelCard(
    ...     name="tiny", depth=3, root_filters=4, pixel_size_um=1.0, scale=ScaleRule(0.999)
    ... )
    >>> card.multiple, card.halo
    (4, 24)
    >>> ModelCard.from_json(card.to_json()) == card
    True
    """

    name: str
    depth: int
    root_filters: int
    pixel_size_um: float
    scale: ScaleRule
    clip: float = 1.0
    aggregate: Aggregate = "cell"
    patch: int = 1
    exponent: float = 1.0
    training_data: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict, hash=False)
    licence: str = ""
    sha256: str = ""
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        _check_types(self)
        ranges = {
            "depth": (2, MAX_DEPTH),
            "root_filters": (1, MAX_ROOT_FILTERS),
            "patch": (1, MAX_PATCH),
        }
        for name, (least, most) in ranges.items():
            if not least <= getattr(self, name) <= most:
                raise CardError(
                    f"{name} must be from {least} to {most}, not {getattr(self, name)!r}"
                )
        for name in ("pixel_size_um", "clip", "exponent"):
            if not 0 < getattr(self, name) < float("inf"):
                raise CardError(f"{name} must be above 0, not {getattr(self, name)!r}")
        if self.aggregate not in get_args(Aggregate):
            known = listed(get_args(Aggregate))
            raise CardError(f"aggregate must be one of {known}, not {self.aggregate!r}")

    @property
    def multiple(self) -> int:
        """Height and width of the input, and tile origins, must be multiples of this."""
        return multiple_of(self)

    @property
    def halo(self) -> int:
        """Pixels around a tile that can change its scores, rounded up to `multiple`.

        What is further than ``6 * multiple - 2 * patch`` (94 at depth 5) from a box that begins
        and ends at multiples of `multiple` cannot reach it.
        """
        return 6 * self.multiple

    def to_json(self) -> str:
        """The card as text; numbers of NumPy among the metrics are plain ones there.

        Raises
        ------
        CardError
            Metrics that JSON does not know.
        """
        return json.dumps(asdict(self), indent=2, default=_plain) + "\n"

    @classmethod
    def from_json(cls, text: str, *, where: str = "card") -> ModelCard:
        """Read a card from text.

        Parameters
        ----------
        text
            What :meth:`to_json` gave.
        where
            Begins the message of an error.

        Raises
        ------
        CardError
            Not JSON, another format version, a field that is missing, unknown or out of range.
        """
        values = _parsed(text, where)
        try:
            scale = ScaleRule(**values.pop("scale"))
            return cls(scale=scale, **values)
        except (TypeError, ValueError) as error:
            raise CardError(f"{where}: {error}") from error


def read_card(path: Path) -> ModelCard:
    """Read the card file at `path`; raises :class:`CardError` where it is absent or wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise CardError(
            f"{path} does not exist; a .safetensors file needs its JSON card beside it"
        ) from error
    except UnicodeDecodeError as error:
        raise CardError(f"{path}: not a JSON card ({error.reason})") from error
    return ModelCard.from_json(text, where=str(path))


def architecture(of: object) -> dict[str, Any]:
    """The arguments that make the :class:`nimbus.model.UNet` of a card, a network or settings.

    Examples
    --------
    >>> architecture(
    ...     ModelCard(name="x", depth=3, root_filters=4, pixel_size_um=1, scale=ScaleRule(0.9))
    ... )
    {'depth': 3, 'root_filters': 4, 'patch': 1, 'exponent': 1.0}
    """
    return {name: getattr(of, name) for name in ARCHITECTURE}


def multiple_of(of: object) -> int:
    """Sides of the planes of a card, a network or settings of a training are multiples of this.

    Examples
    --------
    >>> multiple_of(
    ...     ModelCard(name="x", depth=3, root_filters=4, pixel_size_um=1, scale=ScaleRule(0.9))
    ... )
    4
    """
    made = architecture(of)
    return int(made["patch"] * 2 ** (made["depth"] - 1))


def with_hash(card: ModelCard, sha256: str) -> ModelCard:
    """`card` for the weights file of this hash."""
    return replace(card, sha256=sha256)


def _plain(value: object) -> object:
    """What JSON does not know, as a value that it does."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise CardError(f"metrics hold a {type(value).__name__}; numbers, text and lists are known")


def _check_types(card: ModelCard) -> None:
    """Refuse what JSON can hold and a card cannot."""
    kinds: dict[str, type | tuple[type, ...]] = dict.fromkeys(
        ("name", "training_data", "licence", "sha256"), str
    )
    kinds |= {"depth": int, "root_filters": int, "patch": int, "metrics": Mapping}
    kinds |= dict.fromkeys(("pixel_size_um", "clip", "exponent"), (int, float))
    for name, kind in kinds.items():
        value = getattr(card, name)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise CardError(f"{name} is {type(value).__name__} {str(value)[:50]!r}")


def _parsed(text: str, where: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:  # also a number of too many digits
        raise CardError(f"{where}: not a JSON card ({error})") from error
    if not isinstance(values, dict):
        raise CardError(f"{where}: not a JSON card (a {type(values).__name__}, not an object)")
    version = values.get("format_version")
    if version != FORMAT_VERSION:
        raise CardError(
            f"{where}: format_version is {version!r}; this release of nimbus reads "
            f"{FORMAT_VERSION}. Update nimbus, or convert the model again."
        )
    known = {f.name for f in fields(ModelCard)}
    needed = {
        f.name for f in fields(ModelCard) if f.default is MISSING and f.default_factory is MISSING
    }
    if unknown := sorted(set(values) - known):
        raise CardError(
            f"{where}: unknown fields {listed(unknown)}; known: {listed(sorted(known))}"
        )
    if missing := sorted(needed - set(values)):
        raise CardError(f"{where}: missing fields {listed(missing)}")
    return values
