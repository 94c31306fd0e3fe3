"""``nimbus gui``: pages on metaclusters and labels in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import _late
from ._options import names


def gui(
    store: Annotated[
        Path, typer.Argument(help="A SpatialData store, or a table in .h5ad or zarr.")
    ],
    review: Annotated[
        bool, typer.Option("--review", help="Label cells by eye instead of editing metaclusters.")
    ] = False,
    annotator: Annotated[
        str | None,
        typer.Option(help="Who labels; the name of the account.", show_default=False),
    ] = None,
    markers: Annotated[
        list[str] | None,
        typer.Option(help="Label these markers alone. Several: CD3,CD8", show_default=False),
    ] = None,
    order: Annotated[
        str | None,
        typer.Option(
            help="Cells to label first: uncertain (by default, where there are scores), "
            "disagreement (score against mean), random.",
            show_default=False,
        ),
    ] = None,
    cells: Annotated[
        int | None,
        typer.Option(help="Cells to label of each marker.", min=1, show_default="100"),
    ] = None,
    second: Annotated[
        str | None,
        typer.Option(help="Channel in blue over the marker, e.g. DAPI.", show_default=False),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Of the order; the same one gives the same cells.", show_default="0"),
    ] = None,
    key_added: Annotated[
        str | None,
        typer.Option(
            help="That of nimbus cluster [nimbus]; with --review the layer of labels [gold].",
            show_default=False,
        ),
    ] = None,
    table_key: Annotated[str, typer.Option(help="Table of a SpatialData store.")] = "table",
    layer: Annotated[
        str | None,
        typer.Option(
            help="Layer of the histograms; what was clustered. With --review the scores [nimbus].",
            show_default=False,
        ),
    ] = None,
    image_key: Annotated[
        str | None,
        typer.Option(help="Image behind the labels; that of the same stem.", show_default=False),
    ] = None,
    region_key: Annotated[
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
    """Edit metaclusters with the mouse beside the tissue, or label cells by eye (--review).

    Serves a page until you press Ctrl-C, and prints its address. The address holds a secret:
    without it nobody gets in, and without --host nobody but this machine.

    Every edit is on disk before the page says so: in a file beside STORE at once, and in its table
    a moment later. If the program is stopped in between, the next start brings the edits in. The
    history stays in the table: nimbus.tl.remap undoes and replays it.

    The page on metaclusters needs those of nimbus cluster STORE.

    With --review each label is in the annotator's file beside STORE before the next cell is shown
    (STORE.table.gold/NAME.csv, as nimbus.io.read_gold reads it), and in the layer "gold" a moment
    later. Several people, each with a name of their own, may label the same store.

    Examples
    --------
        nimbus gui tissue.zarr

        nimbus gui tissue.zarr --no-browser --port 5006

        nimbus gui cells.h5ad --key-added nimbus --region-key fov

        nimbus gui tissue.zarr --review --annotator ada --markers CD8 --second DAPI

    On another machine: run there with --no-browser --port 5006, tunnel with
    ssh -L 5006:127.0.0.1:5006 MACHINE, and open the printed address here.
    """
    labelling = {
        "annotator": annotator,
        "markers": names(markers),
        "order": order,
        "cells": cells,
        "second": second,
        "seed": seed,
    }
    given = {name: value for name, value in labelling.items() if value is not None}
    if given and not review:
        raise ValueError(f"--{next(iter(given))} is of the page to label cells; add --review")
    if region_key is not None and review:
        raise ValueError("--region-key is of the page on metaclusters; leave out that or --review")
    plan = _late.serving.Plan(
        store=store,
        key=key_added,
        table=table_key,
        layer=layer,
        image=image_key,
        region=region_key,
        port=port,
        host=host,
        origins=tuple(origin or ()),
        token=token,
        browser=browser,
        review=_late.serving.review_request(given) if review else None,
    )
    _late.serving.serve(plan, tell=typer.echo)
