"""``nimbus export``: a model as ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import _late


def export(
    model: Annotated[
        str, typer.Argument(help="A name (see: nimbus models), a .safetensors or a published .pt.")
    ],
    out: Annotated[Path, typer.Option(help="File to write; ends in .onnx.")],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace --out if it exists.")
    ] = False,
) -> None:
    """Write a model as ONNX, for other programs and runtimes, and compare it with PyTorch.

    Input "planes" is float32 (n, 2, y, x): the channel divided by its scale and clipped, and the
    mask plane, both on the grid of the model. Output "probability" is (n, 1, y, x). Number, height
    and width are free; height and width are multiples of patch * 2 ** (depth - 1), at least twice
    that. The card of the model goes along as metadata.

    Needs the extra: pip install 'nimbus-spatial[onnx]'. A probability that differs by more than
    0.0001 from PyTorch's is an error.

    Example:

        nimbus export nimbus-s --out nimbus-s.onnx
    """
    typer.echo(_late.exporting.exported(model, out, overwrite=overwrite))
