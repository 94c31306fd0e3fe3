"""``nimbus models``: what there is to score with."""

from __future__ import annotations

from typing import Annotated

import typer

from nimbus import model as weights  # lazy: PyTorch is imported when weights are loaded
from nimbus._check import require_known
from nimbus.model.registry import ModelRow, list_models

from ._columns import columns


def models(
    name: Annotated[
        str | None, typer.Argument(help="Show the card of this model.", show_default=False)
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch the weights of NAME, and print their path.")
    ] = False,
    allow_unverified: Annotated[
        bool,
        typer.Option(
            "--allow-unverified", help="Fetch weights whose revision and hash nobody has pinned."
        ),
    ] = False,
) -> None:
    """List the models that have a name, show the card of one, or fetch its weights.

    Examples
    --------
        nimbus models

        nimbus models nimbus-s

        nimbus models nimbus-v1 --download --allow-unverified

    A name, or the path of a .safetensors or a published .pt file, goes to **nimbus score
    --model**.
    """
    rows = list_models()
    if name is None and download:
        raise ValueError("--download needs the name of a model: nimbus models NAME --download")
    if allow_unverified and not download:
        raise ValueError("--allow-unverified is of what is fetched; add --download")
    if name is None:
        header = ["name", "um/pixel", "weights", "pinned", "about"]
        text = columns(header, [_line(row) for row in rows], right=("um/pixel",))
        typer.echo(text)
        return
    require_known("model", [name], [row.name for row in rows])
    if download:
        typer.echo(weights.load_model(name, allow_unverified=allow_unverified).source)
        return
    [row] = [row for row in rows if row.name == name]
    if row.card is None:
        raise ValueError(f"the card of model {name!r} is not on this machine ({row.available})")
    typer.echo(row.card.to_json().rstrip())


def _line(row: ModelRow) -> list[str]:
    size = "-" if row.card is None else f"{row.card.pixel_size_um:g}"
    return [row.name, size, row.available, "yes" if row.pinned else "no", row.about]
