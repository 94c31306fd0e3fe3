"""The command ``nimbus`` itself: its options and its list of commands."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from ._group import LazyGroup
from ._jsonlog import LOG_JSON
from ._report import DEBUG

app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nimbus {version('nimbus-spatial')}")
        raise typer.Exit


@app.callback()
def nimbus(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
    debug: Annotated[bool, typer.Option(DEBUG, help="Show the traceback of errors.")] = False,
    log_json: Annotated[
        str | None,
        typer.Option(
            LOG_JSON,
            metavar="FILE",
            help="Add what happens to FILE, one JSON object a line; - is standard error.",
        ),
    ] = None,
) -> None:
    """Marker positivity scores for every cell of multiplexed tissue images.

    First steps:

    - **nimbus demo** scores simulated tissue and compares with the truth.

    - **nimbus score --images DIR --labels DIR --out STORE.zarr** scores your TIFFs.

    - **nimbus score STORE.zarr** scores a SpatialData store, in place.

    Errors are one line on standard error and exit code 1. --debug and --log-json may stand
    anywhere: nimbus score STORE.zarr --log-json run.jsonl
    """


def main() -> None:
    """Run the command with the arguments of this process, and exit."""
    app(prog_name="nimbus")
