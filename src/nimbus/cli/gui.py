"""``nimbus gui``: the page on metaclusters in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nimbus._keys import Layers

from . import _late


def gui(
    store: Annotated[
        Path, typer.Argument(help="A SpatialData store, or a table in .h5ad or zarr.")
    ],
    key: Annotated[str, typer.Option(help="Which clustering: key_added of tl.cluster.")] = (
        Layers.SCORE
    ),
    table: Annotated[str, typer.Option(help="Table of a SpatialData store.")] = "table",
    layer: Annotated[
        str | None,
        typer.Option(help="Layer of the histograms; what was clustered.", show_default=False),
    ] = None,
    image: Annotated[
        str | None,
        typer.Option(help="Image behind the labels; that of the same stem.", show_default=False),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(
            help="Column with the field of each cell, where there are no labels.",
            show_default=False,
        ),
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port; a free one.", min=1, max=65535, show_default=False)
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on. Others than this let in other machines.")
    ] = "127.0.0.1",
    origin: Annotated[
        list[str] | None,
        typer.Option(
            help="HOST:PORT as your browser shows it, behind a tunnel or proxy; repeatable.",
            show_default=False,
        ),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            help="Secret of the address; a random one.",
            envvar="NIMBUS_GUI_TOKEN",
            show_default=False,
        ),
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open a browser.")] = True,
) -> None:
    """Merge, split, name and colour metaclusters with the mouse, beside the tissue.

    Serves a page until you press Ctrl-C, and prints its address. The address holds a secret:
    without it nobody gets in, and without --host nobody but this machine.

    Every edit is on disk before the page says so: in a file beside STORE at once, and in its table
    a moment later. If the program is stopped in between, the next start brings the edits in. The
    history stays in the table: nimbus.tl.remap undoes and replays it.

    First cluster: nimbus.tl.cluster(sdata), then write the store.

    Examples
    --------
        nimbus gui tissue.zarr

        nimbus gui tissue.zarr --no-browser --port 5006

        nimbus gui cells.h5ad --key nimbus --region fov

    On another machine: run there with --no-browser --port 5006, tunnel with
    ssh -L 5006:127.0.0.1:5006 MACHINE, and open the printed address here.
    """
    plan = _late.serving.Plan(
        store=store,
        key=key,
        table=table,
        layer=layer,
        image=image,
        region=region,
        port=port,
        host=host,
        origins=tuple(origin or ()),
        token=token,
        browser=browser,
    )
    _late.serving.serve(plan, tell=typer.echo)
