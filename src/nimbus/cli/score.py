"""``nimbus score``: scores of a store, or of folders of TIFFs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from . import _late
from ._flags import option
from ._options import names, numbers, show_progress
from ._outputs import Outputs, is_url

Aggregate = Literal["cell", "interior"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]
NanRule = Literal["raise", "zero"]

_INPUT, _FIELDS, _MODEL, _RUN = "Input and output", "Fields and channels", "Model", "Running"


def score(
    store: Annotated[
        str | None,
        typer.Argument(
            help="SpatialData store; the scores are written into it. Or a URL, such as "
            "s3://bucket/cohort.zarr, which is only read: with --table.",
            show_default=False,
        ),
    ] = None,
    images: Annotated[
        Path | None, option(_INPUT, "Folder of images, instead of a store: see Examples.")
    ] = None,
    labels: Annotated[
        Path | None, option(_INPUT, "Folder of cell masks: label TIFFs, PNGs or .npy.")
    ] = None,
    out: Annotated[
        Path | None, option(_INPUT, "Store to write, with images, labels and table.")
    ] = None,
    pattern: Annotated[
        str | None,
        option(
            _INPUT,
            "How files of --labels are called, e.g. {fov}_cp_masks.png; {fov} is the field.",
            show_default="{fov}_whole_cell.tiff",
        ),
    ] = None,
    fovs: Annotated[
        list[str] | None, option(_INPUT, "Fields of --images; all by default. Several: a,b")
    ] = None,
    table: Annotated[
        Path | None,
        option(_INPUT, "Also write the scores to a .csv or .parquet, or the table to an .h5ad."),
    ] = None,
    overwrite: Annotated[
        bool, option(_INPUT, "Replace --out and --table if they exist.", "--overwrite")
    ] = False,
    pixel_size: Annotated[
        float | None,
        option(_FIELDS, "Micrometres per pixel of the images, instead of what the files say."),
    ] = None,
    channels: Annotated[
        list[str] | None,
        option(_FIELDS, "Channels to score, all by default; others get none. Several: CD3,CD8"),
    ] = None,
    image_key: Annotated[
        str | None, option(_FIELDS, "Image of the store; that of the same stem by default.")
    ] = None,
    labels_key: Annotated[
        list[str] | None, option(_FIELDS, "Labels of the store; all by default. Several: a,b")
    ] = None,
    table_key: Annotated[str, option(_FIELDS, "Table of the store.")] = "table",
    key_added: Annotated[str, option(_FIELDS, "Name of the layer of scores.")] = "nimbus",
    scale: Annotated[str | None, option(_FIELDS, "Level of multiscale images.")] = None,
    coordinate_system: Annotated[
        str | None, option(_FIELDS, "Where image and labels meet.")
    ] = None,
    scales: Annotated[
        str | None,
        option(_FIELDS, "Divisors, as CD3=120,CD8=80 or a JSON file; computed by default."),
    ] = None,
    nan: Annotated[NanRule, option(_FIELDS, "What NaN and infinite pixels do.")] = "raise",
    model: Annotated[
        str, option(_MODEL, "A name (see: nimbus models), a .safetensors or a published .pt file.")
    ] = "nimbus-s",
    tta: Annotated[
        bool, option(_MODEL, "Average over eight turns and mirrors: 8 times the work.")
    ] = True,
    uncertainty: Annotated[
        bool, option(_MODEL, "Also write the spread over the eight views.", "--uncertainty")
    ] = False,
    aggregate: Annotated[
        Aggregate | None,
        option(_MODEL, "Pixels a score averages; by default what the model was made for."),
    ] = None,
    save_maps: Annotated[
        bool, option(_MODEL, "Also write the probability images.", "--save-maps")
    ] = False,
    device: Annotated[
        str | None, option(_RUN, "cpu, cuda, cuda:1, mps; the best there is by default.")
    ] = None,
    precision: Annotated[
        Precision, option(_RUN, "auto is bfloat16 where that is faster; float32 is exact.")
    ] = "auto",
    tile_size: Annotated[
        int | None, option(_RUN, "Side of a tile in model pixels: memory and speed, not scores.")
    ] = None,
    batch_size: Annotated[
        int | None, option(_RUN, "Channels that go to the device at once.")
    ] = None,
    n_jobs: Annotated[int | None, option(_RUN, "Threads that read ahead.")] = None,
    resume: Annotated[
        Path | None,
        option(
            _RUN,
            "Folder that keeps finished tiles until the end, to go on after a stop; by default "
            "STORE.nimbus-resume, beside the store.",
            show_default=False,
        ),
    ] = None,
    no_resume: Annotated[
        bool, option(_RUN, "Keep no tiles, and drop those that are kept.", "--no-resume")
    ] = False,
    progress: Annotated[
        bool | None,
        option(_RUN, "Show progress bars; by default on a terminal.", show_default=False),
    ] = None,
) -> None:
    """Score every cell for every marker: from 0, surely negative, to 1, surely positive.

    Examples
    --------
        nimbus score --images image_data --labels segmentation --out cohort.zarr --pixel-size 0.5

        nimbus score cohort.zarr --channels CD3,CD8 --table scores.csv

        nimbus score s3://bucket/cohort.zarr --table scores.csv

    The folder of images holds **one folder per field with one TIFF per channel**
    (image_data/fov1/CD3.tiff), or **one OME-TIFF per field** (image_data/fov1.ome.tiff). The
    labels of fov1 are segmentation/fov1_whole_cell.tiff, or as --pattern says.

    The scores are the layer "nimbus" of the table, beside the mean intensities. A summary goes to
    standard output. A run that was stopped, even killed, goes on with the same command and gives
    the identical table.
    """
    if no_resume and resume is not None:
        raise ValueError("--resume and --no-resume were both given; give one of them")
    outputs = Outputs(
        store=None if store is None or is_url(store) else Path(store),
        url=store if store is not None and is_url(store) else None,
        images=images,
        labels=labels,
        out=out,
        table=table,
        overwrite=overwrite,
        resume=resume,
        pattern=pattern,
        fovs=names(fovs),
        save_maps=save_maps,
    ).checked()
    wanted = {
        "image_key": image_key,
        "labels_key": names(labels_key),
        "table_key": table_key,
        "channels": names(channels),
        "scale": scale,
        "coordinate_system": coordinate_system,
        "model": model,
        "pixel_size": pixel_size,
        "scales": numbers("--scales", scales),
        "key_added": key_added,
        "tta": tta,
        "uncertainty": uncertainty,
        "aggregate": aggregate,
        "save_maps": save_maps or None,
        "device": device,
        "precision": precision,
        "tile_size": tile_size,
        "batch_size": batch_size,
        "n_jobs": n_jobs,
        "nan": nan,
        "show_progress_bar": show_progress(progress),
    }
    run = _late.measure.Run(outputs, wanted, resume=not no_resume)
    typer.echo(_late.measure.score_all(run))
