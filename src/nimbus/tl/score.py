"""The main verb: a score for each cell and marker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

from spatialdata import SpatialData

from nimbus._keys import Layers
from nimbus.data.elements import require_sdata
from nimbus.data.names import require_key_names, require_table_names
from nimbus.data.scales import GivenScales
from nimbus.data.sources import Request
from nimbus.data.store import require_writable, store_claimed, write_image, write_table
from nimbus.data.targets import find_target
from nimbus.engine.predict import Aggregate
from nimbus.engine.predictors import Model
from nimbus.engine.run import default_jobs
from nimbus.engine.score import score_fields
from nimbus.engine.source import NanRule, require_nan_rule
from nimbus.engine.spare import give_back

from ._earlier import earlier_record
from ._maps import add_maps, map_names
from ._prepare import prepare
from ._record import Scored, make_table, score_keys, warn_of_labels, write_scores
from ._settings import Settings


def score(  # noqa: PLR0913 - the public signature
    sdata: SpatialData,
    *,
    image_key: str | Mapping[str, str] | None = None,
    labels_key: str | Sequence[str] | None = None,
    table_key: str = "table",
    channels: str | Sequence[str] | None = None,
    scale: str | None = None,
    coordinate_system: str | None = None,
    model: Model = "nimbus-s",
    pixel_size: float | Mapping[str, float] | None = None,
    scales: GivenScales | None = None,
    key_added: str = Layers.SCORE,
    tta: bool = True,
    uncertainty: bool = False,
    aggregate: Aggregate | None = None,
    save_maps: bool | str | None = None,
    device: str | None = None,
    precision: str = "auto",
    tile_size: int | None = None,
    batch_size: int | None = None,
    n_jobs: int | None = None,
    nan: NanRule = "raise",
    resume: str | Path | None = None,
    write: bool = False,
    show_progress_bar: bool = True,
) -> None:
    """Score every cell for every marker: how likely it is that the cell is positive.

    A network looks at each channel as an image together with the cell mask, so that signal that
    spills over from a neighbour, background and differences in brightness do not count.

    Parameters
    ----------
    sdata
        Images ``(c, y, x)`` and labels ``(y, x)``, in memory or lazy.
    image_key
        The image, or ``{labels_key: image_key}``; ``None`` takes the only image, or that of the
        same stem (``fov1_image`` for ``fov1_labels``).
    labels_key
        Labels elements; ``None`` takes all, or those that the table annotates.
    table_key
        Table to write to; made where it does not exist.
    channels
        Channels to score; ``None`` takes all, or those that the table has a column for.
    scale
        Level of a multiscale image; ``None`` takes the coarsest that is fine enough and, of an
        image that was cropped, begins where the finest does.
    coordinate_system
        Where image and labels meet; ``None`` takes one they share.
    model
        A registered name (``nimbus models`` lists them), the path of a ``.safetensors`` or a
        published ``.pt``, or a callable from planes, a NumPy array ``(n, 2, y, x)`` float32
        (scaled channel and mask, 1 um per pixel), to probabilities ``(n, 1, y, x)`` (NumPy, or a
        tensor on the CPU), for which `device` and `precision` mean nothing. A module of PyTorch
        takes tensors: ``lambda planes: module(torch.from_numpy(planes)).detach()``.
    pixel_size
        Micrometres per pixel of the image, or by image; ``None`` takes it from the element's
        transformation when the unit is known.
    scales
        ``{channel: divisor}`` or ``{image: {channel: divisor}}``; ``None`` takes those of
        :func:`nimbus.pp.normalize`, or computes them by the model's rule.
    key_added
        Name of the layer, and prefix of what else is stored.
    tta
        Average over the eight turns and mirrors; 8 times the work.
    uncertainty
        Also store the standard deviation of the score over the eight views.
    aggregate
        Average over all pixels of a ``"cell"``, or its ``"interior"`` alone; ``None`` takes what
        the model was made for.
    save_maps
        Also add the probability images as image elements: ``True`` names them
        ``f"{image_key}_{key_added}"``, or ``f"{image_key}_{labels_key}_{key_added}"`` where
        several labels have that image; a string replaces `key_added` there. Maps of an earlier
        run are replaced, other elements never. They are lazy: each chunk is computed when it is
        read or written.
    device
        ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``; ``None`` takes the best there is.
    precision
        ``"auto"`` (what is fast on the device), ``"float32"`` (exact), ``"bfloat16"`` or
        ``"float16"``. It says nothing to a callable.
    tile_size
        Largest side of a tile in pixels of the model. It changes memory and speed, not the scores.
    batch_size
        Channels that go to the device at once; halved when the device is out of memory.
    n_jobs
        Threads that read ahead; an active :class:`distributed.Client` is used instead.
    nan
        ``"raise"`` refuses NaN and infinite pixels, naming channel and place; ``"zero"`` reads
        them as 0.
    resume
        Folder that keeps finished tiles, so that a killed run goes on where it was.
    write
        Also write what was touched to the store of `sdata`; a table whose rows or columns are not
        those in the store (it was filtered or sorted) takes the place of that one, with a warning.
    show_progress_bar
        Show what is done.

    Returns
    -------
    None. Sets the following in ``sdata.tables[table_key]``:

    ``layers["nimbus"]``
        float32 in [0, 1], ``(cells, markers)``; NaN for rows whose cell is not in the labels and
        markers that were not scored. Of other labels and markers the layer keeps the scores that
        it has, if the same model made them with the same `tta`, `aggregate` and `precision`; else
        they are dropped, with a warning before the work.
    ``layers["nimbus_std"]``
        With ``uncertainty=True``. Without it a layer that exists becomes NaN for what is scored.
    ``var["nimbus_scale"]``, ``uns["nimbus"]``
        All that repeats the result.

    A new table also gets the mean intensities (``X`` and ``layers["integrated"]``), of a
    multiscale image those of the level that is read (:func:`nimbus.pp.integrate` reads the
    finest), ``obs["area"]`` in label pixels and ``obsm["spatial"]``, the centroids (x, y) in the
    units of the coordinate system.

    Raises
    ------
    ValueError
        Elements that do not exist, are ambiguous or do not lie on each other; an unknown pixel
        size; NaN and infinite pixels; weights that are refused; a `resume` folder of another run;
        a name that SpatialData does not take.
    TypeError
        No SpatialData object, or labels that are not integers.
    OSError
        A chunk that cannot be read, a store that cannot be written, or another process that
        works with the same store or `resume` folder.

    Examples
    --------
    >>> import nimbus
    >>> sdata = nimbus.datasets.tissue(shape=(64, 64), n_cells=9, markers=["CD3"], random_state=0)
    >>> nimbus.tl.score(sdata, tta=False, show_progress_bar=False)
    >>> scores = sdata.tables["table"].layers["nimbus"]
    >>> bool((scores >= 0).all() and (scores <= 1).all())
    True
    """
    require_sdata(sdata)
    settings = Settings(
        model, tta, uncertainty, aggregate, device, precision, tile_size, batch_size, resume
    ).checked()
    require_nan_rule(nan)
    if write:
        require_writable(sdata)
    target = find_target(
        sdata,
        table_key=table_key,
        image_key=image_key,
        labels_key=labels_key,
        channels=channels,
    )
    if write and target.table is not None:
        require_key_names(target.table, {"var": target.table.var})  # written whole, after the work
    keys = score_keys(key_added, uncertainty=uncertainty)
    require_table_names(sdata, table_key, keys, key_added=key_added, new=[Layers.INTEGRATED])
    maps = map_names(sdata, target.pairs, name=key_added if save_maps is True else save_maps)
    request = Request(target.pairs, target.channels, scale, coordinate_system, pixel_size, nan)
    jobs = default_jobs(n_jobs)
    run = prepare(
        sdata, request, settings, scales, n_jobs=jobs, show_progress_bar=show_progress_bar
    )
    earlier = earlier_record(target.table, run, key_added=key_added)
    with store_claimed(sdata) if write else nullcontext(), run.journal() as journal:
        scores = score_fields(
            run.task,
            aggregate=run.aggregate,
            journal=journal,
            n_jobs=jobs,
            show_progress_bar=show_progress_bar,
        )
    scored = Scored(run.fields, dict(zip(run.fields, scores, strict=True)))
    del scores  # so that what is in the table is held once
    give_back()
    warn_of_labels(scored, model_pixel_size_um=run.described.card.pixel_size_um)
    table = target.table if target.table is not None else make_table(scored)
    touched = write_scores(table, scored, run, earlier=earlier, key_added=key_added)
    if target.table is None:
        sdata.tables[table_key] = table
    added = add_maps(sdata, run, maps)
    if write:
        for name in added:
            write_image(sdata, name)
        write_table(sdata, table_key, keys=None if target.table is None else touched)
