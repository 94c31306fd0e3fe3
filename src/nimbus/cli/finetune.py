"""``nimbus finetune``: a model trained further on labelled cells of the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import _late
from ._flags import option
from ._options import names, show_progress

_DATA, _HOW = "What is learned from", "How"


def finetune(
    store: Annotated[Path, typer.Argument(help="SpatialData store with images and a table.")],
    out: Annotated[Path, option(_DATA, "Folder for the new model.")],
    truth_layer: Annotated[
        str, option(_DATA, "Layer of labels: 1 positive, 0 negative, -1 unlabelled.")
    ] = "gold",
    labels: Annotated[
        list[Path] | None,
        option(
            _DATA,
            "Labels from a .csv (fov, instance_id, marker, label) or a folder of QuPath's "
            ".geojson, instead of a layer; one for each annotator.",
        ),
    ] = None,
    model: Annotated[str, option(_DATA, "Name or path of the model to begin with.")] = "nimbus-s",
    channels: Annotated[
        list[str] | None, option(_DATA, "Channels; all by default. Several: CD3,CD8")
    ] = None,
    image_key: Annotated[str | None, option(_DATA, "Image of the store.")] = None,
    labels_key: Annotated[
        list[str] | None, option(_DATA, "Labels of the store; all by default.")
    ] = None,
    table_key: Annotated[str, option(_DATA, "Table of the store.")] = "table",
    pixel_size: Annotated[
        float | None, option(_DATA, "Micrometres per pixel, where the store does not say.")
    ] = None,
    name: Annotated[str | None, option(_HOW, "Of the new model.")] = None,
    overwrite: Annotated[
        bool, option(_HOW, "Replace a model of that name.", "--overwrite")
    ] = False,
    steps: Annotated[int, option(_HOW, "At most so many steps.", min=1)] = 400,
    learning_rate: Annotated[float, option(_HOW, "Small: what it knows is to be kept.")] = 2e-4,
    seed: Annotated[int, option(_HOW, "Of held-out cells, batches and augmentation.")] = 0,
    device: Annotated[str, option(_HOW, "cpu, cuda or mps.")] = "cpu",
    progress: Annotated[
        bool | None,
        option(_HOW, "Show a progress bar; by default on a terminal.", show_default=False),
    ] = None,
) -> None:
    """Train a model further on a few labelled cells; the store is not changed.

    Examples
    --------
        nimbus finetune cohort.zarr --labels corrected.csv --out mine

        nimbus score cohort.zarr --model mine/nimbus-s-finetuned.safetensors

    Some labelled fields are held out. Training stops when their cells do not get better, and the
    best weights are kept: those of the start, with a warning, if none were better. Printed are the
    measures of the held-out cells before and after. Unlabelled cells are not learned from.
    """
    wanted = {
        "truth_layer": truth_layer,
        "model": model,
        "name": name,
        "device": device,
        "show_progress_bar": show_progress(progress),
        "channels": names(channels),
        "image_key": image_key,
        "labels_key": names(labels_key),
        "table_key": table_key,
        "pixel_size": pixel_size,
    }
    settings = {"n_steps": steps, "learning_rate": learning_rate, "seed": seed}
    made = _late.tuning.finetuned(store, out, labels or [], wanted, settings, overwrite=overwrite)
    typer.echo(made)
