"""Groups of cells in a column of ``obs``, and their colours."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from anndata import AnnData
from matplotlib.colors import is_color_like, to_hex

from nimbus._check import listed, require_known
from nimbus._keys import Layers, Suffix
from nimbus.cluster.palette import distinct_colors

from .tables import column_of

MOST_GROUPS = 200
"""A column with more different values is a measurement or a name, not a grouping."""


def group_key(table: AnnData, wanted: str | None) -> str:
    """The column of ``obs`` to colour by: the one asked for, else cell types, else metaclusters.

    Raises
    ------
    ValueError
        There is no such column, or none of these.
    """
    there = [str(name) for name in table.obs.columns]
    if wanted is not None:
        require_known("column of obs", [wanted], there)
        return wanted
    usual = [Layers.SCORE + suffix for suffix in (Suffix.CELL_TYPE, Suffix.METACLUSTER)]
    for key in usual:
        if key in there:
            return key
    raise ValueError(
        f"there is neither obs[{usual[0]!r}] nor obs[{usual[1]!r}]; run nimbus.tl.cluster or "
        f"nimbus.tl.annotate first, or name a column of obs: there is {listed(there)}"
    )


def groups_of(table: AnnData, key: str) -> pd.Series:
    """A column as categories, in their order; those of texts, numbers and truths are sorted.

    Raises
    ------
    ValueError
        It has too many different values to be a grouping.
    """
    column = column_of(table.obs, key)
    if isinstance(column.dtype, pd.CategoricalDtype):
        return _named(column)
    n = column.nunique()
    if n > MOST_GROUPS:
        raise ValueError(
            f"obs[{key!r}] has {n} different values, too many for groups; name a column of types "
            "or clusters"
        )
    return _named(column.astype("category"))


def _named(groups: pd.Series) -> pd.Series:
    """Categories as texts."""
    names = [str(name) for name in groups.cat.categories]
    out: pd.Series = groups.cat.rename_categories(names)
    return out


def group_colors(table: AnnData, key: str, categories: Sequence[str]) -> dict[str, str]:
    """Colour of each group: that of ``uns[f"{key}_colors"]``, where there is one for each."""
    stored = [str(color) for color in table.uns.get(key + Suffix.COLORS, ())]
    if len(stored) == len(categories) and all(is_color_like(color) for color in stored):
        return dict(zip(categories, (to_hex(color) for color in stored), strict=True))
    return dict(zip(categories, distinct_colors(len(categories)), strict=True))
