"""Tables of cells: rows by region and id, in one pass however many there are."""

from __future__ import annotations

import gc
import warnings
import weakref

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from spatialdata.models import TableModel

from nimbus.data.cellvalues import RegionRows, aligned, new_table
from nimbus.data.tables import region_rows

MARKERS = ("CD3", "CD8", "CD20")


def regions(rng, **sizes):
    """Ids with gaps, and values of each region."""
    out = {}
    for name, n in sizes.items():
        ids = np.sort(rng.choice(np.arange(1, 3 * n + 1), n, replace=False))
        out[name] = RegionRows(ids, MARKERS, rng.random((n, 3), dtype=np.float32))
    return out


def table_of(found):
    ids = {name: one.ids for name, one in found.items()}
    areas = [one.ids * 2 for one in found.values()]
    spatial = (np.stack([one.ids, -one.ids], axis=1) * 0.5 for one in found.values())
    return new_table(ids, MARKERS, areas=areas, spatial=spatial)


def slow_values(table, found):
    """Row by row and column by column, by name."""
    out = np.full(table.shape, np.nan)
    for row in range(table.n_obs):
        region = found[table.obs["region"].iloc[row]]
        for place, number in enumerate(region.ids):
            if number == table.obs["instance_id"].iloc[row]:
                for column, marker in enumerate(table.var_names):
                    if marker in region.columns:
                        out[row, column] = region.values[place, region.columns.index(marker)]
    return out


class TestNewTable:
    def test_it_is_what_spatialdata_would_parse(self):
        found = regions(np.random.default_rng(0), b=5, a=0, c=4)
        table = table_of(found)
        assert TableModel.validate(table) is table
        assert table.uns["spatialdata_attrs"]["region"] == ["b", "c"]
        assert table.obs["region"].cat.categories.tolist() == ["b", "c"]
        names = [f"{name}_{k}" for name in ("b", "c") for k in found[name].ids]
        assert table.obs_names.tolist() == names
        assert table.obs["area"].tolist() == [2 * k for n in "bc" for k in found[n].ids]
        assert table.obsm["spatial"][:, 1].tolist() == [-k / 2 for n in "bc" for k in found[n].ids]
        plain = table.copy()
        del plain.uns["spatialdata_attrs"]
        parsed = TableModel.parse(
            plain, region=["b", "c"], region_key="region", instance_key="instance_id"
        )
        assert parsed.uns["spatialdata_attrs"] == table.uns["spatialdata_attrs"]

    def test_no_cell_at_all_gives_a_table_without_rows(self):
        table = table_of(regions(np.random.default_rng(0), a=0))
        assert table.shape == (0, 3)
        assert region_rows(table) == {}


class TestAligned:
    @pytest.mark.parametrize("order", ["as made", "shuffled", "interleaved"])
    @pytest.mark.parametrize("markers", [MARKERS, ("CD20", "CD4", "CD3", "CD8"), ("CD8",)])
    def test_values_are_found_by_region_id_and_marker(self, order, markers):
        rng = np.random.default_rng(1)
        found = regions(rng, b=7, a=6)
        table = table_of(found)
        if order == "shuffled":
            table = table[rng.permutation(13)[:9]].copy()
        if order == "interleaved":  # ids rise within each region, but regions alternate
            table = table[np.argsort(np.r_[np.arange(7), np.arange(6)], kind="stable")].copy()
        table = AnnData(obs=table.obs, var=pd.DataFrame(index=list(markers)), uns=table.uns)
        columns = tuple(name for name in MARKERS if name in markers)
        found = {
            name: RegionRows(own.ids, columns, own.values[:, [MARKERS.index(c) for c in columns]])
            for name, own in found.items()
        }
        np.testing.assert_array_equal(aligned(table, found.items()), slow_values(table, found))

    @pytest.mark.parametrize("order", ["as made", "shuffled", "interleaved"])
    @pytest.mark.parametrize("columns", [MARKERS, ("CD20", "CD3"), ()])
    def test_other_regions_and_columns_keep_what_was_before(self, order, columns):
        rng = np.random.default_rng(3)
        found = regions(rng, b=7, a=6, c=5)
        table = table_of(found)
        if order == "shuffled":
            table = table[rng.permutation(18)[:15]].copy()
        if order == "interleaved":
            every = np.r_[np.arange(7), np.arange(6), np.arange(5)]
            table = table[np.argsort(every, kind="stable")].copy()
        before = -rng.random(table.shape)
        before.flags.writeable = False
        own = found["a"]
        picked = own.values[:, [MARKERS.index(c) for c in columns]]
        lost = own.ids[0]  # the labels no longer hold it
        measured = {"a": RegionRows(own.ids[1:], columns, picked[1:])}

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the row of the cell that was lost
            got = aligned(table, measured.items(), before=before)

        of_a = (table.obs["region"] == "a").to_numpy()
        expected = np.where(
            np.isin(MARKERS, columns), slow_values(table, {**found, **measured}), before
        )
        expected[~of_a] = before[~of_a]
        expected[of_a & (table.obs["instance_id"] == lost).to_numpy()] = np.nan
        np.testing.assert_array_equal(got, expected.astype(np.float32))

    def test_a_category_without_a_row_and_a_row_without_a_region_are_no_regions(self):
        found = regions(np.random.default_rng(2), b=4, a=3)
        table = table_of(found)
        regions_of_rows = ["b"] * 4 + [None, "a", "a"]
        table.obs["region"] = pd.Categorical(regions_of_rows, categories=["c", "b", "a"])

        rows = region_rows(table)
        values = aligned(table, found.items())

        assert {name: own.tolist() for name, (own, _) in rows.items()} == {
            "b": [0, 1, 2, 3],
            "a": [5, 6],
        }
        assert np.isnan(values[4]).all()
        np.testing.assert_array_equal(values[5:], found["a"].values[1:])

    def test_a_region_is_let_go_of_before_the_one_after_the_next(self):
        class Values(np.ndarray):
            """An array that can be watched."""

        alive = []

        def one_by_one(found):
            for name, own in found:
                values = own.values.view(Values)
                alive.append(weakref.ref(values))
                gc.collect()
                assert sum(there() is not None for there in alive) <= 2
                yield name, RegionRows(own.ids, own.columns, values)
                del values

        found = regions(np.random.default_rng(0), a=3, b=3, c=3, d=3)
        table = table_of(found)
        assert np.isfinite(aligned(table, one_by_one(found.items()))).all()
        assert len(alive) == 4

    def test_a_region_that_is_the_whole_table_is_not_copied(self):
        found = regions(np.random.default_rng(0), a=5)
        table = table_of(found)
        values = found["a"].values.astype(np.float32)
        own = RegionRows(found["a"].ids, found["a"].columns, values)
        assert np.shares_memory(aligned(table, [("a", own)]), values)
        for other in (table[::-1], table[:, ::-1], table[:4]):
            assert not np.shares_memory(aligned(other.copy(), [("a", own)]), values)

    def test_ids_of_any_whole_type_are_matched(self):
        found = regions(np.random.default_rng(2), a=6)
        table = table_of(found)
        expected = aligned(table, found.items())
        for dtype in ("uint32", "float64", "Int64", "str"):
            table.obs["instance_id"] = table.obs["instance_id"].astype("int64").astype(dtype)
            np.testing.assert_array_equal(aligned(table, found.items()), expected)
            table.obs["instance_id"] = table.obs["instance_id"].astype("int64")
        table.obs["instance_id"] = table.obs["instance_id"] + 0.5
        with pytest.raises(TypeError, match="whole numbers; it holds"):
            region_rows(table)
