import warnings

import anndata as ad
import dask.array as da
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from spatialdata import SpatialData

import nimbus
from nimbus.cluster.rows import SPAN
from nimbus.cluster.typemodel import NOISE
from support.typed import KIND, MARKERS, MATRIX, make_table


def named(table, key="nimbus"):
    return table.obs[f"{key}_cell_type"].astype(object)


def right(table):
    truth = table.obs["kind"].astype(object).replace("nothing", "unassigned")
    return float((named(table) == truth).mean())


class TestCells:
    def test_cells_get_their_types_and_those_of_no_type_none(self):
        table = make_table()
        nimbus.tl.annotate(table, MATRIX)
        assert right(table) > 0.97
        assert (named(table)[table.obs["kind"] == "nothing"] == "unassigned").mean() > 0.9
        sure = table.obs["nimbus_cell_type_confidence"]
        assert sure.dtype == np.float32
        assert (sure[named(table) != "unassigned"] >= 0.5).all()
        assert (sure[named(table) == "unassigned"] < 0.5).all()

    def test_more_wanted_confidence_names_fewer_cells_and_fewer_wrongly(self):
        wrong, given = [], []
        for confidence in (0.5, 0.95):
            table = make_table(2000, flip=0.08)
            nimbus.tl.annotate(table, MATRIX, confidence=confidence)
            sure = named(table) != "unassigned"
            given.append(sure.mean())
            wrong.append((named(table)[sure] != table.obs["kind"].astype(object)[sure]).mean())
        assert given[1] < given[0] - 0.1
        assert wrong[1] < wrong[0] / 2

    def test_what_speaks_for_and_against_is_told_in_bits(self):
        table = make_table(400)
        scores = table.layers["nimbus"]
        b_cells = (table.obs["kind"] == "B").to_numpy()
        scores[b_cells, 1] = 0.8  # CD3 of every B cell, as by spillover
        nimbus.tl.annotate(table, MATRIX, noise=NOISE)
        record = table.uns["nimbus_cell_type"]
        row = record["summary"].set_index("group").loc["B"]
        assert row["for"].startswith("CD20+ (+")
        assert row["against"].startswith("CD3- (-")
        found = record["evidence"].query("group == 'B' and rule == 'CD20+'").iloc[0]
        own = scores[(named(table) == "B").to_numpy(), 4].astype(float)
        base = (scores[:, 4] >= 0.5).mean()
        after = base * own / (base * own + (1 - base) * (1 - own))
        bits = np.log2((1 - NOISE) * after / base + NOISE).mean()
        assert found["bits"] == pytest.approx(bits, rel=1e-5)
        assert found["mean_score"] == pytest.approx(own.mean(), rel=1e-5)

    def test_the_probability_of_every_type_is_kept_if_wanted(self):
        table = make_table(60)
        nimbus.tl.annotate(table, MATRIX)
        assert "nimbus_cell_type" not in table.obsm
        nimbus.tl.annotate(table, MATRIX, posterior=True)
        every = table.obsm["nimbus_cell_type"]
        names = np.append(table.uns["nimbus_cell_type"]["types"], "unassigned")
        assert every.shape == (60, 4)
        best = np.where(every.max(axis=1) >= 0.5, every.argmax(axis=1), 4)
        assert names[best].tolist() == named(table).tolist()
        assert (every.sum(axis=1) <= 1 + 1e-6).all()
        nimbus.tl.annotate(table, MATRIX)
        assert "nimbus_cell_type" not in table.obsm, "what an earlier run left"

    def test_shares_shift_what_is_undecided(self):
        table = make_table(300)
        table.layers["nimbus"][0] = [0.9, 0.9, 0.5, 0.5, 0.1, 0.1, 0.5]  # a T cell of either kind
        shares = dict.fromkeys(MATRIX.index, 1.0)
        for name in ("CD8 T", "CD4 T"):
            nimbus.tl.annotate(table, MATRIX, priors=shares | {name: 9.0})
            assert named(table)["c0"] == name
            before = table.obs["nimbus_cell_type_confidence"].copy()
            nimbus.tl.annotate(table, MATRIX, priors=pd.Series(shares | {name: 9.0}))
            assert (table.obs["nimbus_cell_type_confidence"] == before).all()
        nimbus.tl.annotate(table, MATRIX)
        assert named(table)["c0"] == "unassigned"
        nimbus.tl.annotate(table, MATRIX, priors="estimated")
        assert named(table)["c0"] == "CD4 T", "the kind that is more common"

    def test_a_threshold_is_where_a_score_says_nothing(self):
        table = make_table(300)
        table.layers["nimbus"] = table.layers["nimbus"] ** 8  # all scores too low
        nimbus.tl.annotate(table, MATRIX)
        before = right(table)
        nimbus.tl.annotate(table, MATRIX, threshold=0.5**8)
        assert right(table) > before + 0.05
        nimbus.tl.annotate(table, MATRIX, threshold=dict.fromkeys(MARKERS, 0.5**8))
        assert right(table) > before + 0.05


class TestSingleCells:
    def test_the_bits_of_a_cell_add_up_to_its_probability(self):
        table = make_table(80)
        nimbus.tl.annotate(table, MATRIX, posterior=True)
        found = nimbus.tl.annotation_evidence(table, ["c9", "c2"], cell_types=list(MATRIX.index))
        assert found["cell"].unique().tolist() == ["c9", "c2"]
        weight = 2.0 ** found.groupby(["cell", "cell_type"])["bits"].sum()
        names = list(table.uns["nimbus_cell_type"]["types"])
        for cell in ("c9", "c2"):
            own = table.obsm["nimbus_cell_type"][table.obs_names.get_loc(cell)]
            expected = np.array([weight[cell, name] for name in names])
            np.testing.assert_allclose(own, expected / (expected.sum() + 1), rtol=1e-5)

    def test_the_two_likeliest_types_are_shown_with_their_scores(self):
        table = make_table(80)
        nimbus.tl.annotate(table, MATRIX, layer="nimbus", posterior=True)
        found = nimbus.tl.annotation_evidence(table, "c4")
        best = table.uns["nimbus_cell_type"]["types"][table.obsm["nimbus_cell_type"][4].argmax()]
        assert found["cell_type"].iloc[0] == best
        assert found["cell_type"].nunique() == 2
        row = found[found["rule"].isin(["CD20+", "CD20-"])].iloc[0]
        assert row["scores"] == f"CD20 {table.layers['nimbus'][4, 4]:.2f}"

    def test_without_an_annotation_and_for_an_unknown_cell_it_says_so(self):
        table = make_table(30)
        with pytest.raises(ValueError, match="holds no annotation; run nimbus.tl.annotate first"):
            nimbus.tl.annotation_evidence(table, "c1")
        nimbus.tl.annotate(table, MATRIX)
        with pytest.raises(ValueError, match="cell 'c30' does not exist"):
            nimbus.tl.annotation_evidence(table, "c30")
        with pytest.raises(ValueError, match="cell type 'Mac' does not exist"):
            nimbus.tl.annotation_evidence(table, "c1", cell_types=["Mac"])
        table.obs_names = ["c1", *table.obs_names[:-1]]
        with pytest.raises(ValueError, match="names of cells must differ; .* twice: 'c1'"):
            nimbus.tl.annotation_evidence(table, "c1")


class TestGroups:
    def table(self):
        table = make_table(400, flip=0.02)
        table.obs["group"] = table.obs["kind"].cat.rename_categories(
            {name: f"g{k}" for k, name in enumerate(KIND)}
        )
        table.obs.loc["c7", "group"] = np.nan
        return table

    def test_groups_are_named_and_their_cells_with_them(self):
        table = self.table()
        nimbus.tl.annotate(table, MATRIX, groupby="group")
        pairs = set(zip(table.obs["group"].dropna(), named(table).dropna(), strict=True))
        assert pairs == {(f"g{k}", name) for k, name in enumerate((*KIND[:4], "unassigned"))}
        assert np.flatnonzero(named(table).isna()).tolist() == [7]
        assert np.isnan(table.obs["nimbus_cell_type_confidence"].iloc[7])

    def test_the_summary_has_a_row_for_each_group(self):
        table = self.table()
        nimbus.tl.annotate(table, MATRIX, groupby="group")
        summary = table.uns["nimbus_cell_type"]["summary"].set_index("group")
        assert list(summary.index) == list(table.obs["group"].cat.categories)
        assert summary["n_cells"].sum() == 399
        alone = self.table()
        nimbus.tl.annotate(alone, MATRIX)
        own = (table.obs["group"] == "g2").to_numpy()
        assert summary.loc["g2", "agreement"] == pytest.approx((named(alone)[own] == "B").mean())
        assert 0.8 < summary.loc["g2", "agreement"] < 1

    def test_cells_without_any_score_are_nan_whatever_their_group_is_called(self):
        table, whole = self.table(), self.table()
        gone = (table.obs["group"] == "g4").to_numpy()  # all of this group, and a B cell
        gone = gone | (np.arange(400) == np.flatnonzero(table.obs["group"] == "g2")[0])
        table.layers["nimbus"][gone] = np.nan
        nimbus.tl.annotate(whole, MATRIX, groupby="group")
        assert named(whole)[gone].notna().all(), "proves nothing: they have no group"
        nimbus.tl.annotate(table, MATRIX, groupby="group")
        gone[7] = True  # has no group
        np.testing.assert_array_equal(named(table).isna(), gone)
        np.testing.assert_array_equal(table.obs["nimbus_cell_type_confidence"].isna(), gone)
        summary = table.uns["nimbus_cell_type"]["summary"].set_index("group")
        assert summary.loc["g2", "n_cells"] == (named(table) == "B").sum()
        assert summary.loc["g4", ["n_cells", "cell_type"]].tolist() == [0, "unassigned"]

    def test_priors_alone_name_no_group(self):
        table = self.table()
        table.layers["nimbus"][table.obs["group"] == "g2"] = np.nan
        common = dict.fromkeys(MATRIX.index, 1.0) | {"B": 99.0, "unassigned": 1.0}
        nimbus.tl.annotate(table, MATRIX, groupby="group", priors=common)
        summary = table.uns["nimbus_cell_type"]["summary"].set_index("group")
        assert summary.loc["g2", ["n_cells", "cell_type"]].tolist() == [0, "unassigned"]
        assert summary.loc["g2", ["confidence", "next_confidence"]].isna().all()
        assert (summary["cell_type"] != "unassigned").any()

    def test_a_group_of_two_types_is_unassigned(self):
        table = self.table()
        few = (
            table.obs["group"]
            .astype(object)
            .where(table.obs.groupby("group", observed=True).cumcount() < 30)
        )
        table.obs["mixed"] = pd.Categorical(few.replace({"g2": "x", "g3": "x"}))
        nimbus.tl.annotate(table, MATRIX, groupby="mixed")
        row = table.uns["nimbus_cell_type"]["summary"].set_index("group").loc["x"]
        assert row["cell_type"] == "unassigned"

    def test_many_cells_do_not_make_a_group_certain(self):
        undecided = [0.9, 0.9, 0.55, 0.45, 0.1, 0.1, 0.5]  # a little more CD8 than CD4
        table = make_table(5000)
        table.layers["nimbus"][1000:4000] = undecided
        table.obs["group"] = pd.Categorical(["x" if 1000 <= k < 4000 else "y" for k in range(5000)])
        nimbus.tl.annotate(table, MATRIX, groupby="group")
        row = table.uns["nimbus_cell_type"]["summary"].set_index("group").loc["x"]
        assert row["cell_type"] == "CD8 T"
        assert row["confidence"] < 0.97
        assert row["next_type"] == "CD4 T"

    def test_metaclusters_are_named(self):
        table = make_table(600)
        nimbus.tl.cluster(table, grid=(4, 4), n_metaclusters=8, markers=MARKERS[:6])
        nimbus.tl.annotate(table, MATRIX, groupby="nimbus_metacluster")
        assert right(table) > 0.85
        nimbus.tl.annotate(table, MATRIX, groupby="nimbus_som", key_added="node")
        assert "node_cell_type" in table.obs


class TestGaps:
    def test_cells_without_any_score_are_nan_and_one_marker_is_enough_for_others(self):
        table = make_table(50)
        table.layers["nimbus"][3] = np.nan
        table.layers["nimbus"][4] = np.nan
        table.layers["nimbus"][4, 6] = 0.9  # a marker of no rule
        table.layers["nimbus"][5] = [np.nan, np.nan, np.nan, np.nan, 0.99, np.nan, np.nan]
        nimbus.tl.annotate(table, MATRIX)
        assert np.flatnonzero(named(table).isna()).tolist() == [3, 4]
        assert named(table)["c5"] == "B"

    def test_a_marker_without_scores_is_warned_of_and_says_nothing(self):
        table = make_table(200)
        table.layers["nimbus"][:, 5] = np.nan
        with pytest.warns(UserWarning, match="no cell has a score of 'PanCK' in layers/nimbus"):
            nimbus.tl.annotate(table, MATRIX)
        known = table.obs["kind"].isin(KIND[:3])
        assert (named(table)[known] == table.obs["kind"].astype(object)[known]).mean() > 0.95

    def test_calls_of_minus_one_are_no_scores(self):
        table = make_table(200)
        nimbus.tl.call(table)
        table.layers["nimbus_positive"][3] = -1
        nimbus.tl.annotate(table, MATRIX, layer="nimbus_positive")
        assert right(table) > 0.9
        assert np.flatnonzero(named(table).isna()).tolist() == [3]


class TestOverlaps:
    def overlapping(self):
        extra = pd.DataFrame(
            {"CD45": [1, 1], "CD3": [1, None], "Ki/67": [None, 1]}, index=["T", "CD45 Ki67"]
        )
        twin = MATRIX.loc[["B"]].set_axis(["Plasmablast"], axis=0)
        return pd.concat([MATRIX, twin, extra])

    def test_equal_types_go_under_both_names_with_a_warning(self):
        table = make_table(200)
        with pytest.warns(UserWarning, match="cannot tell apart.*'B', 'Plasmablast' have equal"):
            nimbus.tl.annotate(table, self.overlapping())
        assert (named(table)[table.obs["kind"] == "B"] == "B / Plasmablast").mean() > 0.9
        overlaps = table.uns["nimbus_cell_type"]["overlaps"]
        assert overlaps.query("kind == 'same'")["cell_types"].tolist() == ["B | Plasmablast"]

    def test_nested_types_are_recorded_with_what_parts_them(self):
        table = make_table(200)
        with pytest.warns(UserWarning, match="'CD8 T' is 'T' with CD8"):
            nimbus.tl.annotate(table, self.overlapping())
        nested = table.uns["nimbus_cell_type"]["overlaps"].query("kind == 'nested'")
        row = nested[nested["cell_types"] == "T | CD8 T"].iloc[0]
        assert row["rules"] == "CD8+, CD4-, CD20-, PanCK-"
        kinds = table.obs["kind"] == "CD8 T"
        assert (named(table)[kinds] == "CD8 T").mean() > 0.9

    def test_types_become_equal_when_the_marker_that_parts_them_is_not_there(self):
        table = make_table(200)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            nimbus.tl.annotate(table, MATRIX)
        with pytest.warns(UserWarning, match="'CD8 T', 'CD4 T' have equal signatures"):
            nimbus.tl.annotate(table, MATRIX, exclude_markers=["CD4", "CD8"])
        assert (named(table)[table.obs["kind"] == "CD8 T"] == "CD8 T / CD4 T").mean() > 0.9

    def test_a_type_without_any_rule_is_told_and_never_named(self):
        table = make_table(100)
        matrix = pd.concat([MATRIX, pd.DataFrame({"CD8": [None]}, index=["Other"])])
        with pytest.warns(UserWarning, match="no rule is left of 'Other'"):
            nimbus.tl.annotate(table, matrix)
        assert "Other" not in set(named(table))


WORKFLOW = pd.DataFrame(
    [
        ["all", "Immune", "pos", "", "", "", "", ""],
        ["all", "Tumour", "neg", "", "", "", "", "pos"],
        ["Immune", "T", "", "pos", "", "", "neg", ""],
        ["Immune", "B", "", "", "", "", "pos", ""],
        ["T", "CD8 T", "", "", "allpos", "allneg", "", ""],
        ["T", "CD4 T", "", "", "", "pos", "", ""],
    ],
    columns=["", " ", "CD45", "CD3", "CD8", "CD4", "CD20", "PanCK"],
)


class TestWorkflow:
    def test_cells_get_the_finest_name_that_is_likely_enough(self):
        table = make_table(400)
        scores = table.layers["nimbus"]
        scores[0] = [0.95, 0.95, 0.5, 0.5, 0.05, 0.05, 0.5]  # a T cell of either kind
        scores[1] = [0.95, 0.1, 0.1, 0.1, 0.1, 0.05, 0.5]  # an immune cell of no kind
        nimbus.tl.annotate(table, WORKFLOW, posterior=True)
        assert named(table).tolist()[:2] == ["T", "Immune"]
        known = (table.obs["kind"] != "nothing").to_numpy(copy=True)
        known[:2] = False
        assert (named(table)[known] == table.obs["kind"].astype(object)[known]).mean() > 0.95
        names = list(table.uns["nimbus_cell_type"]["types"])
        every = table.obsm["nimbus_cell_type"]
        below = every[:, names.index("CD8 T")] + every[:, names.index("CD4 T")]
        assert (every[:, names.index("T")] >= below - 1e-6).all()

    def test_a_file_of_scimap_is_read(self, tmp_path):
        path = tmp_path / "phenotype_workflow.csv"
        WORKFLOW.to_csv(path, index=False)
        one, two = make_table(100), make_table(100)
        nimbus.tl.annotate(one, path)
        nimbus.tl.annotate(two, WORKFLOW)
        assert named(one).tolist() == named(two).tolist()


class TestSources:
    @pytest.fixture(scope="class")
    def big(self):
        table = make_table(SPAN + 300)
        nimbus.tl.annotate(table, MATRIX, n_jobs=1)
        return table

    @pytest.mark.parametrize("chunks", [(7000, 3), (SPAN - 1, 7)])
    def test_a_dask_array_is_the_same(self, big, chunks):
        table = make_table(SPAN + 300)
        table.layers["nimbus"] = da.from_array(table.layers["nimbus"], chunks=chunks)
        nimbus.tl.annotate(table, MATRIX, n_jobs=2)
        assert isinstance(table.layers["nimbus"], da.Array)
        pd.testing.assert_frame_equal(table.obs, big.obs)

    def test_sparse_x_and_backed_are_the_same(self, tmp_path):
        expected = make_table(300)
        nimbus.tl.annotate(expected, MATRIX)
        table = make_table(300)
        table.layers["sparse"] = csr_matrix(table.layers["nimbus"])
        table.X = table.layers["nimbus"]
        for layer in ("sparse", None):
            nimbus.tl.annotate(table, MATRIX, layer=layer)
            pd.testing.assert_frame_equal(table.obs, expected.obs)
        table.write_h5ad(tmp_path / "t.h5ad")
        backed = ad.read_h5ad(tmp_path / "t.h5ad", backed="r")
        nimbus.tl.annotate(backed, MATRIX, layer=None, key_added="again")
        assert named(backed, "again").tolist() == named(expected).tolist()
        backed.file.close()

    def test_a_table_of_spatialdata(self):
        expected = make_table(60)
        nimbus.tl.annotate(expected, MATRIX)
        sdata = SpatialData(tables={"cells": make_table(60)})
        nimbus.tl.annotate(sdata, MATRIX, table_key="cells")
        assert named(sdata.tables["cells"]).tolist() == named(expected).tolist()

    @pytest.mark.parametrize("kind", ["h5ad", "zarr"])
    def test_it_survives_the_disk(self, tmp_path, kind):
        table = make_table(80)
        table.obs["group"] = table.obs["kind"]
        with pytest.warns(UserWarning, match="Nested"):
            nimbus.tl.annotate(
                table,
                pd.concat([MATRIX, pd.DataFrame({"CD45": [1]}, index=["a/b"])]),
                groupby="group",
                posterior=True,
                exclude_types=["Tumour"],
            )
        path = tmp_path / f"table.{kind}"
        getattr(table, f"write_{kind}")(path)
        back = getattr(ad, f"read_{kind}")(path)
        assert named(back).tolist() == named(table).tolist()
        one, two = (t.uns["nimbus_cell_type"] for t in (back, table))
        assert set(one) == set(two)
        for name in ("summary", "evidence", "overlaps"):
            pd.testing.assert_frame_equal(one[name], two[name], check_dtype=False)
        assert one["model"]["rules"] == two["model"]["rules"]
        np.testing.assert_array_equal(one["model"]["prior"], two["model"]["prior"])
        np.testing.assert_array_equal(back.obsm["nimbus_cell_type"], table.obsm["nimbus_cell_type"])

    def test_colours_follow_the_types_and_scanpy_takes_them(self):
        import scanpy as sc

        table = make_table(200)
        nimbus.tl.annotate(table, MATRIX)
        categories = list(table.obs["nimbus_cell_type"].cat.categories)
        assert categories == [*MATRIX.index, "unassigned"]
        colors = dict(zip(categories, table.uns["nimbus_cell_type_colors"], strict=True))
        assert len(set(colors.values())) == 5
        few = table[table.obs["kind"].isin(["B", "nothing"]).to_numpy()].copy()
        nimbus.tl.annotate(few, MATRIX)
        own = list(few.obs["nimbus_cell_type"].cat.categories)
        for name, color in zip(own, few.uns["nimbus_cell_type_colors"], strict=True):
            assert color == colors[name]
        sc.tl.rank_genes_groups(table, "nimbus_cell_type", layer="nimbus", method="wilcoxon")
        assert table.uns["rank_genes_groups"]["names"].dtype.names == tuple(categories)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"layer": "nimbsu"}, "layer 'nimbsu' does not exist; did you mean 'nimbus'"),
        ({"layer": "mean"}, "values from 0 to 530.5; scores are from 0 to 1"),
        ({"groupby": "kidn"}, "column of obs 'kidn' does not exist; did you mean 'kind'"),
        ({"confidence": 0}, "confidence is a probability above 0"),
        ({"noise": 0.5}, 'noise is "estimated", or above 0 and below 0.5'),
        ({"noise": "estimate"}, "noise 'estimate' does not exist; did you mean 'estimated'"),
        ({"priors": "even"}, "prior 'even' does not exist; there is: 'uniform', 'estimated'"),
        ({"priors": {"B": 1}}, "must hold every cell type; these are missing: 'CD8 T'"),
        ({"priors": {"b": 1}}, "cell type 'b' does not exist"),
        ({"priors": dict.fromkeys(MATRIX.index, 0.0)}, "shares above 0"),
        ({"threshold": 1.0}, "above 0 and below 1, not 'CD45: 1'"),
        ({"threshold": {"CD33": 0.4}}, "marker 'CD33' does not exist; did you mean 'CD3'"),
        ({"exclude_types": ["Tumor"]}, "cell type 'Tumor' does not exist; did you mean 'Tumour'"),
        ({"exclude_markers": ["CD21"]}, "marker 'CD21' does not exist"),
        ({"exclude_markers": MARKERS}, "no rule of any cell type is left"),
        ({"n_jobs": 0}, "n_jobs must be at least 1"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_the_table_alone(wrong, message):
    table = make_table(50)
    table.layers["mean"] = np.linspace(0, 532, 350).reshape(50, 7)
    with pytest.raises(ValueError, match=message):
        nimbus.tl.annotate(table, MATRIX, **wrong)
    assert list(table.obs) == ["kind"]
    assert not table.uns


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (MATRIX.rename(columns={"CD20": "CD 20"}), "marker 'CD 20' .* mean 'CD20'.*table does not"),
        (MATRIX.rename(index={"B": "CD4 T"}), "each cell type once; these come twice: 'CD4 T'"),
        (MATRIX.set_axis([*MATRIX.columns[:5], "CD3"], axis=1), "each marker once.*'CD3'"),
        (MATRIX.replace({1: 3}), "'3' is none of 1"),
        (MATRIX.rename(index={"B": "unassigned"}), "no cell type can be called 'unassigned'"),
    ],
)
def test_an_assignment_with_a_mistake_is_refused(matrix, message):
    with pytest.raises(ValueError, match=message):
        nimbus.tl.annotate(make_table(20), matrix)
