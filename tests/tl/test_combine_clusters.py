"""Clusters of a chosen group, put back among those of all cells."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc

import nimbus
from support.typed import MARKERS, MATRIX, make_table

pytestmark = pytest.mark.filterwarnings("ignore:markers without a positive cell")
T_CELLS = ["CD8 T", "CD4 T"]


@pytest.fixture
def table():
    table = make_table(300)
    nimbus.tl.cluster(
        table, restrict_to=("kind", T_CELLS), key_added="t", grid=(2, 2), n_metaclusters=2,
        weights={"Ki/67": 0.0},
    )  # fmt: skip
    return table


def scanpy_names(table, groups):
    """The column that scanpy makes of a part that was clustered again."""
    from scanpy.tools._utils_clustering import rename_groups, restrict_adjacency

    flat = table.copy()
    flat.obs["kind"] = flat.obs["kind"].astype("category")
    empty = np.zeros((table.n_obs, table.n_obs), dtype=bool)
    _, chosen = restrict_adjacency(flat, "kind", restrict_categories=groups, adjacency=empty)
    own = flat.obs["t_metacluster"][chosen].astype(str).to_numpy()
    return rename_groups(
        flat, restrict_key="kind", restrict_categories=groups, restrict_indices=chosen,
        groups=own, key_added=None,
    )  # fmt: skip


def test_names_are_those_of_restrict_to_in_scanpy(table):
    nimbus.tl.combine_clusters(table, key="t")
    combined = table.obs["t_combined"]
    assert combined.astype(str).tolist() == scanpy_names(table, T_CELLS).astype(str).tolist()
    assert list(combined.cat.categories) == [
        "B", "Tumour", "nothing", "CD8 T-CD4 T,0", "CD8 T-CD4 T,1",
    ]  # fmt: skip
    pairs = pd.crosstab(combined, table.obs["kind"])
    assert pairs.max(axis=1).sum() > 0.97 * table.n_obs


def test_named_metaclusters_keep_their_names_and_equal_names_are_one(table):
    biggest = table.obs["t_metacluster"].value_counts().index[0]
    other = "1" if biggest == "0" else "0"
    nimbus.tl.remap(table, {biggest: "T helper", other: "B"}, key_added="t")
    nimbus.tl.combine_clusters(table, key="t", key_added="all")
    sizes = table.obs["all"].value_counts()
    n_sub = table.obs["t_metacluster"].value_counts()
    assert set(sizes.index) == {"T helper", "B", "Tumour", "nothing"}
    assert sizes["B"] == (table.obs["kind"] == "B").sum() + n_sub["B"]


def test_colours_stay_and_differ(table):
    table.uns["kind_colors"] = np.array(["#111111", "#222222", "#333333", "#444444", "#555555"])
    names = list(table.obs["kind"].cat.categories)
    nimbus.tl.combine_clusters(table, key="t")
    colors = dict(
        zip(table.obs["t_combined"].cat.categories, table.uns["t_combined_colors"], strict=True)
    )
    assert colors["Tumour"] == table.uns["kind_colors"][names.index("Tumour")]
    assert len(set(colors.values())) == 5
    sc.tl.rank_genes_groups(table, "t_combined", layer="nimbus", method="t-test")


def test_all_are_named_together_afterwards(table):
    nimbus.tl.combine_clusters(table, key="t")
    nimbus.tl.annotate(table, MATRIX, groupby="t_combined")
    named = table.obs["nimbus_cell_type"].astype(object)
    truth = table.obs["kind"].astype(object).replace("nothing", "unassigned")
    assert (named == truth).mean() > 0.95


def test_metaclusters_of_metaclusters_and_the_disk(tmp_path):
    table = make_table(400)
    nimbus.tl.cluster(table, grid=(3, 3), n_metaclusters=3, markers=MARKERS[:6])
    nimbus.tl.cluster(
        table, restrict_to=("nimbus_metacluster", ["0"]), key_added="sub", grid=(2, 2),
        n_metaclusters=None,
    )  # fmt: skip
    table.write_h5ad(tmp_path / "t.h5ad")
    back = ad.read_h5ad(tmp_path / "t.h5ad")
    nimbus.tl.combine_clusters(back, key="sub")
    node = table.obs["sub_som"].astype(object)
    expected = np.where(node.notna(), "0," + node.astype(str), table.obs["nimbus_metacluster"])
    assert back.obs["sub_combined"].astype(object).tolist() == expected.tolist()


def test_what_cannot_be_combined_is_told(table):
    with pytest.raises(ValueError, match=r"holds no clustering.*there is 't'"):
        nimbus.tl.combine_clusters(table, key="u")
    whole = make_table(50)
    nimbus.tl.cluster(whole, grid=(2, 2), n_metaclusters=2)
    with pytest.raises(ValueError, match="clustering of all cells"):
        nimbus.tl.combine_clusters(whole, key="nimbus")
    table.obs["kind"] = table.obs["kind"].astype(object).replace("CD8 T", "B")
    with pytest.raises(ValueError, match="is not what 't' was restricted by"):
        nimbus.tl.combine_clusters(table, key="t")
    table.obs["kind"] = "B"
    with pytest.raises(ValueError, match="has no group 'CD8 T', 'CD4 T' any more; there is 'B'"):
        nimbus.tl.combine_clusters(table, key="t")
