"""Function: what each marker of single cells says of cell types."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from anndata import AnnData
from spatialdata import SpatialData

from nimbus._check import one_or_more, require_known, require_once
from nimbus._keys import Layers, Suffix
from nimbus._types import FloatArray
from nimbus.cluster.annotating import Look
from nimbus.cluster.rows import gather
from nimbus.cluster.typemodel import TypeModel
from nimbus.core.typerules import TypeRules
from nimbus.data.tables import table_of

from ._clusterinput import read_input
from ._typerecord import model_from

N_LIKELIEST = 2
"""Types that are shown of each cell: the best one, and the one to compare it with."""


def annotation_evidence(
    adata: AnnData | SpatialData,
    cells: str | Sequence[str],
    *,
    cell_types: str | Sequence[str] | None = None,
    table_key: str = "table",
    key_added: str = Layers.SCORE,
) -> pd.DataFrame:
    """What spoke for and against the types of single cells, after :func:`nimbus.tl.annotate`.

    Parameters
    ----------
    adata
        Table, or the SpatialData object that holds it.
    cells
        Names of cells (``obs_names``), or one.
    cell_types
        Types to show; ``None`` takes the two likeliest of each cell.
    table_key
        Table of a SpatialData object.
    key_added
        As in :func:`nimbus.tl.annotate`.

    Returns
    -------
    A row for each cell, type and rule: ``cell``, ``cell_type``, ``probability`` of that type for
    the cell by itself, ``rule`` (such as ``CD3+``), ``scores`` of its markers, and ``bits``: one
    more is twice as likely in such a cell as in any cell, one less half as likely. The types of a
    cell go from the likeliest, the rules of a type from those that say most.

    Raises
    ------
    ValueError
        Nothing was annotated, or an unknown cell or type.

    Examples
    --------
    >>> import nimbus
    >>> scores = np.array([[0.9, 0.1], [0.1, 0.9], [0.1, 0.1], [0.1, 0.1]])
    >>> table = AnnData(np.zeros((4, 2)), layers={"nimbus": scores})
    >>> table.var_names = ["CD3", "CD20"]
    >>> matrix = pd.DataFrame({"CD3": [0, 1], "CD20": [1, 0]}, index=["B cell", "T cell"])
    >>> nimbus.tl.annotate(table, matrix)
    >>> annotation_evidence(table, "0", cell_types=["T cell"])[["rule", "scores"]]
        rule    scores
    0   CD3+  CD3 0.90
    1  CD20-  CD20 0.10
    """
    table = table_of(adata, table_key)
    model, rules = model_from(table, key_added)
    wanted = [str(name) for name in one_or_more(cells)]
    require_known("cell", wanted, [str(name) for name in table.obs_names])
    require_once("names of cells", table.obs_names)
    shown = None if cell_types is None else one_or_more(cell_types)
    require_known("cell type", shown or [], model.names)
    scores = _scores(table, model, wanted, key_added)
    evidence = model.evidence(scores)
    posterior = model.posterior(evidence)
    of_types = model.of_types(posterior)
    rows = []
    for k, cell in enumerate(wanted):
        order = np.argsort(-of_types[k], kind="stable")
        ranked = [model.names[i] for i in order]
        for name in ranked[:N_LIKELIEST] if shown is None else sorted(shown, key=ranked.index):
            signature = _best(rules, name, posterior[k])
            about = {"cell": cell, "cell_type": name}
            about["probability"] = of_types[k, model.names.index(name)]
            rows += [about | one for one in _rules(model, signature, evidence[k], scores[k])]
    return pd.DataFrame(rows)


def _scores(table: AnnData, model: TypeModel, cells: Sequence[str], key_added: str) -> FloatArray:
    """Scores of the cells in their order, ``(cell, marker)``."""
    source = str(table.uns[key_added + Suffix.CELL_TYPE]["settings"]["source"])
    layer = None if source == "X" else source.removeprefix("layers/")
    given = read_input(
        table, layer=layer, obsm=None, markers=model.markers, restrict_to=None, n_jobs=1
    )
    rows = table.obs_names.get_indexer(list(cells))
    chosen = np.zeros(table.n_obs, dtype=bool)
    chosen[rows] = True
    values = gather(given.rows(), chosen).array[np.searchsorted(np.flatnonzero(chosen), rows)]
    whole = np.issubdtype(given.array.dtype, np.integer)
    return np.clip(Look(model.threshold, 0.0 if whole else None).scores(values), 0, 1)


def _best(rules: TypeRules, name: str, posterior: FloatArray) -> int:
    """The likeliest signature of a type."""
    own = [one.name == name for one in rules.signatures]
    return int(np.argmax(np.where(own, posterior[:-1], -1.0)))


def _rules(
    model: TypeModel, signature: int, evidence: FloatArray, scores: FloatArray
) -> list[dict[str, object]]:
    """Rules of a signature, those that say most first."""
    held = np.flatnonzero(model.holds[:, signature])
    score_of = dict(zip(model.markers, scores, strict=True))
    return [
        {
            "rule": str(model.rules[r]),
            "scores": ", ".join(f"{name} {score_of[name]:.2f}" for name in model.rules[r].markers),
            "bits": evidence[r] / np.log(2),
        }
        for r in held[np.argsort(-np.abs(evidence[held]), kind="stable")]
    ]
