"""``nimbus demo``: from nothing to scores, figures and a comparison with the truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import _late
from ._options import show_progress


def demo(
    out: Annotated[
        Path, typer.Option(help="Folder for the store and the figures; made if needed.")
    ] = Path("nimbus-demo"),
    model: Annotated[str, typer.Option(help="Model, as for nimbus score.")] = "nimbus-s",
    fields: Annotated[int, typer.Option(help="Fields of tissue.", min=1)] = 3,
    side: Annotated[int, typer.Option(help="Side of a field in pixels.", min=32)] = 512,
    seed: Annotated[int, typer.Option(help="Seed of the tissue.")] = 0,
    tta: Annotated[bool, typer.Option(help="Average over eight turns and mirrors.")] = True,
    progress: Annotated[
        bool | None,
        typer.Option(help="Show progress bars; by default on a terminal.", show_default=False),
    ] = None,
) -> None:
    """Score simulated tissue and compare with the truth.

    Makes fields of tissue in which it is known which cell is positive for which marker, scores
    them, and prints for each marker how well the scores tell positive from negative cells, beside
    integrated expression (the mean intensity of each cell).

    Writes DIR/demo.zarr (a SpatialData store) and DIR/overlay.png, DIR/closeup.png,
    DIR/densities.png, in place of those of an earlier run. Takes a minute or two.

    Example:

        nimbus demo --out nimbus-demo
    """
    plan = _late.demonstrate.Plan(
        out=out,
        model=model,
        n_fields=fields,
        side=side,
        seed=seed,
        tta=tta,
        show_progress_bar=show_progress(progress),
    )
    typer.echo(_late.demonstrate.demonstrate(plan))
