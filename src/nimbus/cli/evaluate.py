"""``nimbus evaluate``: how good scores are, where the truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from . import _late
from ._flags import option
from ._options import names, numbers

_DATA, _MEASURES, _OUTPUT = "What is compared", "How", "Output"


def evaluate(
    store: Annotated[
        Path, typer.Argument(help="SpatialData store or .h5ad, with scores and truth as layers.")
    ],
    layer: Annotated[
        str, option(_DATA, 'Layer of scores, or of labels such as "silver".')
    ] = "nimbus",
    truth_layer: Annotated[
        str, option(_DATA, "Layer of the truth: 1 positive, 0 negative, others are left out.")
    ] = "gold",
    baseline: Annotated[
        str, option(_DATA, "Layer to compare with, at its own best threshold; none for none.")
    ] = "integrated",
    by: Annotated[
        list[str] | None,
        option(
            _DATA,
            "What is measured apart: marker, or columns of obs. Several: dataset,marker",
            show_default="marker",
        ),
    ] = None,
    markers: Annotated[
        list[str] | None, option(_DATA, "Markers; all by default. Several: CD3,CD8")
    ] = None,
    table_key: Annotated[str, option(_DATA, "Table of the store.")] = "table",
    threshold: Annotated[
        str, option(_MEASURES, "Score of a positive cell: 0.5, or CD3=0.4,CD8=0.6, or a .json.")
    ] = "0.5",
    macro_average: Annotated[
        bool, option(_MEASURES, "Also print means over the groups.", "--macro-average")
    ] = False,
    field_key: Annotated[
        str | None, option(_MEASURES, "Column of obs that names the field; by default the labels.")
    ] = None,
    n_boot: Annotated[
        int, option(_MEASURES, "Resamples of fields for the intervals; 0: none.", min=0)
    ] = 1000,
    confidence: Annotated[float, option(_MEASURES, "Of the intervals.")] = 0.95,
    seed: Annotated[int, option(_MEASURES, "Seed of the resamples.")] = 0,
    out: Annotated[
        Path | None, option(_OUTPUT, "Write the whole table to a .csv or .parquet.")
    ] = None,
    figure: Annotated[
        Path | None, option(_OUTPUT, "Write a figure, e.g. metrics.png or metrics.pdf.")
    ] = None,
    overwrite: Annotated[
        bool, option(_OUTPUT, "Replace --out and --figure if they exist.", "--overwrite")
    ] = False,
) -> None:
    """Measure how good scores are where the truth is known; the store is not changed.

    Examples
    --------
        nimbus evaluate cohort.zarr --truth-layer gold --out metrics.csv --figure metrics.png

        nimbus evaluate cohort.zarr --by dataset,marker --macro-average

        nimbus evaluate cohort.zarr --layer silver --baseline none

    Prints **F1, precision and recall** of calling cells from the threshold upwards, **AUROC** and
    **average precision** of the scores as they are, and the same of the baseline, whose F1 is that
    at its best threshold. Brackets hold 95% intervals: fields are resampled, not cells, because
    cells of one field resemble each other. The columns of --out are told by nimbus.tl.evaluate.
    """
    wanted = {
        "layer": layer,
        "truth_layer": truth_layer,
        "by": names(by) or ["marker"],
        "baseline_layer": None if baseline == "none" else baseline,
        "markers": names(markers),
        "threshold": _threshold(threshold),
        "macro_average": macro_average,
        "field_key": field_key,
        "n_boot": n_boot,
        "confidence": confidence,
        "random_state": seed,
        "table_key": table_key,
    }
    run = _late.judge.Evaluation(store, wanted, out=out, figure=figure, overwrite=overwrite)
    typer.echo(_late.judge.evaluate_all(run))


def _threshold(given: str) -> float | dict[str, Any] | None:
    try:
        return float(given)
    except ValueError:
        return numbers("--threshold", given)
