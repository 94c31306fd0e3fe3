"""How options are declared, and those that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

OUTPUT = "Output"


def option(panel: str, text: str, *flags: str, **more: Any) -> Any:
    """An option with its help, in a panel of ``--help``."""
    return typer.Option(*flags, help=text, rich_help_panel=panel, **more)


CellStore = Annotated[
    Path, typer.Argument(help="SpatialData store or .h5ad; the result is written into it.")
]
CellTable = Annotated[
    Path | None,
    option(OUTPUT, "Also write the cells to a .csv or .parquet, or the table to an .h5ad."),
]
ReplaceTable = Annotated[bool, option(OUTPUT, "Replace --table if it exists.", "--overwrite")]
