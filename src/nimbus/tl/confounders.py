"""Verb: which covariates go with errors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from anndata import AnnData
from spatialdata import SpatialData

from nimbus._keys import ALL_MARKERS, Layers, Obs
from nimbus._types import IntArray
from nimbus.metrics.information import information, quantile_bins

from ._covariates import COLUMNS
from ._groups import MARKER
from ._surroundings import OF_FIELDS, OF_PAIRS, RADIUS_PX
from ._thresholds import DEFAULT, Threshold
from .covariates import covariates as covariates_of

N_QUARTERS = 4
"""Parts of the cells, by the value of a covariate, whose error rates are told."""


def confounders(  # noqa: PLR0913 - the public signature
    adata: AnnData | SpatialData,
    *,
    layer: str = Layers.SCORE,
    truth_layer: str = Layers.GOLD,
    covariates: str | Sequence[str] | None = None,
    markers: str | Sequence[str] | None = None,
    threshold: Threshold = DEFAULT,
    radius: float = RADIUS_PX,
    pixel_size: float | None = None,
    intensity_layer: str = Layers.INTEGRATED,
    area_key: str = Obs.AREA,
    field_key: str | None = None,
    n_bins: int = 10,
    n_permutations: int = 1000,
    random_state: int = 0,
    table_key: str = "table",
) -> pd.DataFrame:
    """Table of how much each covariate of cells tells of the errors that calls make.

    A call is wrong where the score reaches the threshold and the cell is negative, or the other
    way round. Each covariate is cut into bins, and its mutual information with being wrong is
    measured.

    Parameters
    ----------
    adata
        Table with scores and truth, or the SpatialData object that holds it. It is not changed.
    layer
        Scores ``(cells, markers)``.
    truth_layer
        1 for positive and 0 for negative cells; others are left out.
    covariates
        ``"cell_size"``, ``"heterogeneity"``, ``"rarity"``, ``"sparsity"``, ``"density"`` or numeric
        columns of ``obs``, as in :func:`covariates`; ``None`` takes those five, as far as the table
        allows.
    markers
        Markers to measure; ``None`` takes all whose truth is known for some cell.
    threshold
        Score from which a cell is called positive: one for all markers; ``{marker: threshold}``,
        where markers that are not named get 0.5; or the key of :func:`nimbus.tl.calibrate`.
    radius
        Of the circle for sparsity and density, in pixels of the labels.
    pixel_size
        Units of ``obsm["spatial"]`` per pixel of the labels (micrometres, where it is in
        micrometres); ``None`` reads it from the labels of a SpatialData object.
    intensity_layer
        Mean intensities.
    area_key
        Column of ``obs`` with the pixels of each cell.
    field_key
        Column of ``obs`` that names the field of a cell; ``None`` takes the labels it lies in. It
        may name more than one image, as a patient does: neighbours are of the same image.
    n_bins
        Bins, of equal size where ties allow.
    n_permutations
        Permutations that show what chance gives.
    random_state
        Seed of the permutations.
    table_key
        Table of a SpatialData object.

    Returns
    -------
    One row for each covariate, of ``"all markers"`` together and then of each marker, with

    - ``marker`` and ``covariate``; ``n_cells`` and ``n_errors``, pairs of cell and marker for which
      the covariate is defined; ``error_rate``;
    - ``mutual_information`` in nats, and ``null_mean``, ``null_high`` (95th percentile) and
      ``p_value`` of permutations. Few cells give information by chance: what counts is what lies
      above ``null_high``. Heterogeneity and rarity belong to whole fields, which are permuted
      whole. For the others cells are permuted with all their markers (for sparsity, which differs
      between markers, each alone), as if the cells of one field were independent;
    - ``explained``: information above ``null_mean`` as part of the entropy of the errors, from 0
      to 1. It can be compared between markers: no information exceeds that entropy;
    - ``error_rate_q1`` to ``error_rate_q4``: error rate in the quarter of the cells with the
      smallest values, up to that with the largest; NaN where ties leave a quarter empty.

    Raises
    ------
    ValueError
        Unknown layers, markers or covariates; a truth that is nowhere known; a covariate whose
        source the table lacks; numbers out of range.

    See Also
    --------
    covariates : the values of each cell.

    Examples
    --------
    >>> import nimbus
    >>> sdata = nimbus.datasets.tissue(shape=(128, 128), n_fovs=2, markers=["CD3"], random_state=1)
    >>> nimbus.pp.integrate(sdata, show_progress_bar=False)
    >>> table = nimbus.tl.confounders(
    ...     sdata, layer="integrated", truth_layer="truth", threshold=300.0, n_permutations=99
    ... )
    >>> table["covariate"].tolist()[:5]
    ['cell_size', 'heterogeneity', 'rarity', 'sparsity', 'density']
    """
    if n_bins < 2:
        raise ValueError(f"n_bins must be at least 2, not {n_bins}")
    if n_permutations < 1:
        raise ValueError(f"n_permutations must be at least 1, not {n_permutations}")
    cells = covariates_of(
        adata,
        layer=layer,
        truth_layer=truth_layer,
        covariates=covariates,
        markers=markers,
        threshold=threshold,
        radius=radius,
        pixel_size=pixel_size,
        intensity_layer=intensity_layer,
        area_key=area_key,
        field_key=field_key,
        table_key=table_key,
    )
    rng = np.random.default_rng(random_state)
    names = [name for name in cells.columns if name not in COLUMNS]
    parts = [(ALL_MARKERS, cells), *cells.groupby(MARKER, observed=True, sort=False)]
    return pd.DataFrame(
        [
            {"marker": str(marker), **_row(part, name, n_bins, n_permutations, rng)}
            for marker, part in parts
            for name in names
        ]
    )


def _row(
    cells: pd.DataFrame, name: str, n_bins: int, n_permutations: int, rng: np.random.Generator
) -> dict[str, object]:
    """One covariate of some cells."""
    known = cells[np.isfinite(cells[name].to_numpy())]
    values, wrong = known[name].to_numpy(), known["wrong"].to_numpy()
    found = information(
        quantile_bins(values, n_bins),
        wrong,
        group=_shared(known, name),
        n_permutations=n_permutations,
        rng=rng,
    )
    quarter = quantile_bins(values, N_QUARTERS)
    rates = [_mean(wrong[quarter == number]) for number in range(N_QUARTERS)]
    return {
        "covariate": name,
        "n_cells": wrong.size,
        "n_errors": int(wrong.sum()),
        "error_rate": _mean(wrong),
        "mutual_information": found.value,
        "null_mean": found.null_mean,
        "null_high": found.null_high,
        "p_value": found.p_value,
        "explained": found.explained,
        **{f"error_rate_q{k}": rate for k, rate in enumerate(rates, start=1)},
    }


def _shared(cells: pd.DataFrame, name: str) -> IntArray | None:
    """Number of the field, or of the cell, that owns the covariate of each row."""
    if name in OF_FIELDS:
        return cells.groupby([MARKER, "field"], observed=True).ngroup().to_numpy()
    if name in OF_PAIRS or cells[MARKER].nunique() < 2:
        return None
    return cells.index.to_numpy()  # not their names, which may come twice


def _mean(wrong: np.ndarray) -> float:
    return float(wrong.mean()) if wrong.size else float("nan")
