"""The work of ``nimbus score``: read, score, write, sum up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from anndata import AnnData
from spatialdata import SpatialData

import nimbus
from nimbus._keys import Obs
from nimbus._progress import tell
from nimbus.data.checksums import add_checksums
from nimbus.data.tables import table_of
from nimbus.engine.resume import ResumeError
from nimbus.engine.spare import share_a_heap
from nimbus.io.stores import open_store

from ._outputs import Outputs
from ._resume import open_folder
from ._summary import scored_by_run, summary
from ._whole import written_whole


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """All that ``nimbus score`` was asked for.

    Parameters
    ----------
    outputs
        Where it reads and writes.
    wanted
        Arguments of :func:`nimbus.tl.score`.
    resume
        Keep finished tiles until the end.
    """

    outputs: Outputs
    wanted: Mapping[str, Any]
    resume: bool


def score_all(run: Run) -> str:
    """Score a store or folders, write the results, and sum them up in text."""
    share_a_heap()
    outputs = run.outputs
    tell("settings", **run.wanted)
    score = _scorer(outputs)
    try:
        with open_folder(outputs.journal, keep=run.resume) as journal:
            sdata = score(run, journal)
            written = _written(run, sdata)
    except ResumeError as error:
        told = str(error).rpartition("; pass ")[0] or str(error)
        raise ValueError(
            f"{told}; give the options of that run to go on with it, or --no-resume to drop it"
        ) from error
    table = table_of(sdata, run.wanted["table_key"])
    layer = run.wanted["key_added"]
    scored = scored_by_run(
        table, layer=layer, channels=run.wanted["channels"], labels=run.wanted["labels_key"]
    )
    n_cells, n_markers = (int(scored.any(axis=axis).sum()) for axis in (1, 0))
    tell("result", cells=n_cells, markers=n_markers, written=written)
    return "\n".join([summary(table, scored, layer=layer), "", *written])


def _scorer(outputs: Outputs) -> Callable[[Run, Path | None], SpatialData]:
    """What scores such an input."""
    if outputs.url is not None:
        return _score_url
    return _score_store if outputs.store is not None else _score_folders


def _score_url(run: Run, journal: Path | None) -> SpatialData:
    sdata = nimbus.io.read_store(str(run.outputs.url))
    nimbus.tl.score(sdata, **run.wanted, resume=journal)
    return sdata


def _score_store(run: Run, journal: Path | None) -> SpatialData:
    sdata = open_store(run.outputs.target)
    nimbus.tl.score(sdata, **run.wanted, write=True, resume=journal)
    return sdata


def _score_folders(run: Run, journal: Path | None) -> SpatialData:
    outputs = run.outputs
    images, labels = outputs.images, outputs.labels
    if images is None or labels is None:
        raise ValueError("--images and --labels are needed")
    called = {} if outputs.pattern is None else {"pattern": outputs.pattern}
    sdata = nimbus.io.read_fovs(
        images,
        labels,
        **called,
        pixel_size=run.wanted["pixel_size"],
        fovs=outputs.fovs,
        channels=run.wanted["channels"],
    )
    nimbus.tl.score(sdata, **run.wanted, resume=journal)
    with written_whole(outputs.target) as part:
        sdata.write(part)
        add_checksums(part)
    return sdata


def _written(run: Run, sdata: SpatialData) -> list[str]:
    """What was written, after ``--table`` was, too."""
    outputs = run.outputs
    if outputs.table is None:
        return [f"wrote {outputs.target}"]
    with written_whole(outputs.table) as part:
        export(table_of(sdata, run.wanted["table_key"]), part, layer=run.wanted["key_added"])
    table = f"wrote {outputs.table}"
    return [table] if outputs.url is not None else [f"wrote {outputs.target}", table]


def export(table: AnnData, path: Path, *, layer: str | None) -> None:
    """Write a table: all of it to ``.h5ad``, cells and a layer to ``.csv`` or ``.parquet``."""
    kind = path.suffix.lower()
    if kind == ".h5ad":
        table.write_h5ad(path)
        return
    cells = flat_table(table, layer=layer)
    if kind == ".csv":
        cells.to_csv(path, index=False)
    else:
        cells.to_parquet(path, index=False)


def flat_table(table: AnnData, *, layer: str | None) -> pd.DataFrame:
    """One row for each cell: what ``obs`` says of it, its centre, and a layer (``None``: `X`)."""
    cells = table.obs.reset_index(drop=True)
    if Obs.SPATIAL in table.obsm:
        cells = cells.assign(x=table.obsm[Obs.SPATIAL][:, 0], y=table.obsm[Obs.SPATIAL][:, 1])
    scores = table.to_df(layer)
    scores = scores.set_axis([str(name) for name in table.var_names], axis=1).reset_index(drop=True)
    twice = {name: f"{name}_score" for name in scores.columns if name in cells.columns}
    flat: pd.DataFrame = pd.concat([cells, scores.rename(columns=twice)], axis=1)
    return flat
