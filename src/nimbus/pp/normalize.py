"""Verb: the scale of each channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from spatialdata import SpatialData

from nimbus._check import one_or_more, require_known
from nimbus.core.scalerule import ScaleRule
from nimbus.data.elements import channel_names, image_names, require_sdata
from nimbus.data.scales import By, compute_scales, warn_without_signal
from nimbus.data.storedscales import store_scales
from nimbus.engine.predictors import Model, describe_model
from nimbus.engine.run import default_jobs
from nimbus.engine.source import NanRule, require_nan_rule


def normalize(  # noqa: PLR0913 - the public signature
    sdata: SpatialData,
    *,
    image_key: str | Sequence[str] | None = None,
    model: Model = "nimbus-s",
    quantile: float | None = None,
    by: By = "dataset",
    channels: str | Sequence[str] | None = None,
    nan: NanRule = "raise",
    n_jobs: int | None = None,
    show_progress_bar: bool = True,
) -> dict[str, float] | dict[str, dict[str, float]]:
    """Give the scale of each channel, and keep it in ``sdata.attrs["nimbus_scales"]``.

    A channel is divided by its scale and clipped to [0, 1] before the network sees it. Which
    number that is belongs to the model and stands in its card. :func:`nimbus.tl.score` uses the
    stored scales, and computes those that are missing over the images that it scores. What was
    stored of other images and channels stays.

    Parameters
    ----------
    sdata
        Images ``(c, y, x)``; read chunk by chunk, once.
    image_key
        Images of the data set; ``None`` takes all.
    model
        Whose rule is followed: a name, a path, or a callable (the rule of the paper: the 99.99th
        percentile of all pixels).
    quantile
        In (0, 1]; replaces the quantile of the model's rule. The scales then serve every model.
    by
        ``"dataset"``: one scale per channel, over the pixels of all images. ``"image"``: each
        image has its own. A mapping from image to batch name, or a series of that: one for each
        batch.
    channels
        Channels to scale; ``None`` takes all. Images may have different panels.
    nan
        ``"raise"`` refuses NaN and infinite pixels, naming channel and place; ``"zero"`` reads
        them as 0.
    n_jobs
        Threads that read; an active :class:`distributed.Client` is used instead.
    show_progress_bar
        Show the chunks that are done.

    Returns
    -------
    ``{channel: scale}``, or ``{image: {channel: scale}}`` unless `by` is ``"dataset"``. Exact for
    integer images; for float images within a relative 1e-3. Neither chunks nor the order of
    images change it. A channel without signal has the scale 0, with a warning.

    Raises
    ------
    TypeError
        No SpatialData object.
    ValueError
        No image, an unknown name, a quantile outside (0, 1], or NaN and infinite pixels.

    Examples
    --------
    >>> import nimbus
    >>> sdata = nimbus.datasets.tissue(
    ...     shape=(64, 64), n_cells=9, markers=["CD3", "CD8"], random_state=0
    ... )
    >>> scales = nimbus.pp.normalize(sdata, quantile=0.999, show_progress_bar=False)
    >>> sorted(scales)
    ['CD3', 'CD8']
    """
    require_sdata(sdata)
    require_nan_rule(nan)
    rule = describe_model(model).card.scale
    if quantile is not None:
        rule = ScaleRule(quantile, pixels=rule.pixels, pool=rule.pool)
    scales = compute_scales(
        sdata,
        _wanted(sdata, image_key, channels),
        rule,
        by=by,
        nan=nan,
        n_jobs=default_jobs(n_jobs),
        show_progress_bar=show_progress_bar,
    )
    warn_without_signal(scales.table)
    store_scales(sdata, replace(scales, chosen=quantile is not None))
    if not scales.pooled:
        return scales.table
    return {channel: scale for own in scales.table.values() for channel, scale in own.items()}


def _wanted(
    sdata: SpatialData, image_key: str | Sequence[str] | None, channels: str | Sequence[str] | None
) -> dict[str, list[str]]:
    """Channels of each image."""
    there = image_names(sdata)
    if not there:
        raise ValueError("sdata has no image to normalise")
    keys = there if image_key is None else one_or_more(image_key)
    require_known("image", keys, there)
    panels = {key: channel_names(sdata.images[key], image_key=key) for key in keys}
    if channels is None:
        return {key: list(panel) for key, panel in panels.items()}
    chosen = one_or_more(channels)
    require_known("channel", chosen, list(dict.fromkeys(c for p in panels.values() for c in p)))
    return {key: [c for c in chosen if c in panel] for key, panel in panels.items()}
