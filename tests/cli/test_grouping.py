"""``nimbus cluster`` and ``nimbus annotate``: the store, the text and the table."""

from __future__ import annotations

import inspect
import os
import shutil

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from spatialdata import SpatialData, read_zarr

import nimbus as package
from nimbus._claim import LOCK_NAME
from nimbus.cli import annotate as annotate_command
from nimbus.cli import cluster as cluster_command
from support.kills import counted, killed_at
from support.processes import held_by_another
from support.typed import MARKERS, MATRIX, make_table

pytestmark = pytest.mark.filterwarnings("ignore")

SMALL = ("--grid", 4, 4, "--n-metaclusters", 6)


@pytest.fixture(params=["h5ad", "zarr"])
def stored(request, tmp_path):
    """The same cells in an .h5ad and in a store, and a function that reads them."""
    path = tmp_path / f"cells.{request.param}"
    table = make_table(200)
    table.uns["mine"] = "kept"
    if request.param == "h5ad":
        table.write_h5ad(path)
        return path, lambda: ad.read_h5ad(path)
    SpatialData(tables={"table": table}).write(path)
    return path, lambda: read_zarr(path).tables["table"]


@pytest.fixture
def assignment(tmp_path):
    MATRIX.to_csv(tmp_path / "assignment.csv", index_label="cell_type")
    return tmp_path / "assignment.csv"


@pytest.mark.parametrize(
    ("verb", "command", "other", "differ"),
    [
        (
            package.tl.cluster,
            cluster_command.cluster,
            {"adata": "store", "random_state": "seed"},
            {"adata"},
        ),
        (
            package.tl.annotate,
            annotate_command.annotate,
            {"adata": "store"},
            {"adata", "assignment", "exclude_markers", "exclude_types"},
        ),
    ],
)
def test_every_argument_of_the_verb_is_an_option_of_the_same_default(verb, command, other, differ):
    options = inspect.signature(command).parameters
    for name, parameter in inspect.signature(verb).parameters.items():
        own = other.get(name, name)
        assert own in options, f"there is no --{own.replace('_', '-')}"
        if name not in differ:
            assert str(options[own].default) == str(parameter.default), name


class TestCluster:
    def test_the_store_gets_what_the_verb_gives_and_keeps_the_rest(self, nimbus, stored):
        path, read = stored
        result = nimbus("cluster", path, *SMALL, "--markers", ",".join(MARKERS[:6]))
        assert result.exit_code == 0, result.output
        expected = make_table(200)
        package.tl.cluster(expected, grid=(4, 4), n_metaclusters=6, markers=MARKERS[:6])
        got = read()
        for name in ("nimbus_som", "nimbus_metacluster"):
            assert got.obs[name].tolist() == expected.obs[name].tolist()
        np.testing.assert_array_equal(
            got.obs["nimbus_som_distance"], expected.obs["nimbus_som_distance"]
        )
        assert got.uns["mine"] == "kept"
        assert list(got.uns["nimbus_metacluster_colors"]) == list(
            expected.uns["nimbus_metacluster_colors"]
        )
        package.tl.metacluster(got, n_metaclusters=3)
        assert got.obs["nimbus_metacluster"].nunique() == 3

    def test_the_text_has_a_row_for_each_metacluster_with_its_markers(self, nimbus, stored):
        path, read = stored
        lines = nimbus("cluster", path, *SMALL).output.splitlines()
        assert lines[0].startswith("200 cells, 7 markers, ")
        assert lines[2].split() == ["metacluster", "cells", "share", "markers"]
        got = read()
        sizes = got.obs["nimbus_metacluster"].value_counts(sort=False)
        assert [line.split()[:2] for line in lines[3:9]] == [
            [name, str(n)] for name, n in sizes.items()
        ]
        own = got.layers["nimbus"][(got.obs["nimbus_metacluster"] == "0").to_numpy()].mean(axis=0)
        best = int(own.argmax())
        assert f"{MARKERS[best]} {own[best]:.2f}" in lines[3]

    def test_a_warning_tells_the_option_that_mends_it(self, nimbus, tmp_path):
        table = make_table(100)
        table.layers["nimbus"][:, 2] *= 0.3
        table.write_h5ad(tmp_path / "cells.h5ad")
        result = nimbus("cluster", tmp_path / "cells.h5ad", *SMALL)
        assert "without a positive cell in layers/nimbus: 'CD8'" in result.stderr
        assert "with markers= (--markers)" in result.stderr
        again = nimbus("cluster", tmp_path / "cells.h5ad", *SMALL, "--markers", "CD45,CD3")
        assert "without a positive cell" not in again.stderr

    def test_a_second_run_without_metaclusters_removes_the_first(self, nimbus, stored):
        path, read = stored
        nimbus("cluster", path, *SMALL)
        assert "dendrogram_nimbus_metacluster" in read().uns
        result = nimbus("cluster", path, "--grid", 2, 2, "--n-metaclusters", 0)
        assert result.exit_code == 0, result.output
        assert "nimbus_metacluster" not in read().obs
        assert "nimbus_metacluster_colors" not in read().uns

    def test_a_chosen_group_goes_under_a_name_of_its_own(self, nimbus, stored, tmp_path):
        path, read = stored
        result = nimbus(
            "cluster", path, "--restrict-to", "kind=CD8 T,CD4 T", "--key-added", "t", "--grid",
            2, 2, "--n-metaclusters", 2, "--weights", "CD4=2", "--solver-options", "n_epochs=4",
            "--table", tmp_path / "cells.csv",
        )  # fmt: skip
        assert result.exit_code == 0, result.output
        got = read()
        own = got.obs["kind"].isin(["CD8 T", "CD4 T"])
        assert (got.obs["t_metacluster"].notna() == own).all()
        assert got.uns["t_cluster"]["settings"]["solver_options"]["n_epochs"] == 4
        cells = pd.read_csv(tmp_path / "cells.csv")
        assert cells["t_metacluster"].notna().sum() == own.sum()
        np.testing.assert_allclose(cells["CD3"], got.layers["nimbus"][:, 1], rtol=1e-5)


class TestAnnotate:
    def test_the_store_gets_what_the_verb_gives(self, nimbus, stored, assignment, tmp_path):
        path, read = stored
        result = nimbus(
            "annotate", path, assignment, "--posterior", "--table", tmp_path / "c.csv",
            "--priors", "CD8 T=1,CD4 T=2,B=1,Tumour=1", "--threshold", "CD3=0.4", "--noise", 0.1,
        )  # fmt: skip
        assert result.exit_code == 0, result.output
        expected = make_table(200)
        package.tl.annotate(
            expected, MATRIX, posterior=True, threshold={"CD3": 0.4}, noise=0.1,
            priors={"CD8 T": 1, "CD4 T": 2, "B": 1, "Tumour": 1},
        )  # fmt: skip
        got = read()
        assert got.obs["nimbus_cell_type"].tolist() == expected.obs["nimbus_cell_type"].tolist()
        np.testing.assert_array_equal(
            got.obsm["nimbus_cell_type"], expected.obsm["nimbus_cell_type"]
        )
        assert got.uns["mine"] == "kept"
        assert package.tl.annotation_evidence(got, "c3").shape[1] == 6
        cells = pd.read_csv(tmp_path / "c.csv")
        assert cells["nimbus_cell_type"].tolist() == got.obs["nimbus_cell_type"].tolist()
        nimbus("annotate", path, assignment)
        assert "nimbus_cell_type" not in read().obsm

    def test_the_text_tells_cells_confidence_and_what_spoke(self, nimbus, stored, assignment):
        path, read = stored
        lines = nimbus("annotate", path, assignment).output.splitlines()
        assert lines[0] == "200 cells, 4 cell types"
        assert lines[2].split()[:3] == ["cell", "type", "cells"]
        sizes = read().obs["nimbus_cell_type"].value_counts()
        rows = [line for line in lines if line.startswith("B ")]
        assert rows[0].split()[1] == str(sizes["B"])
        assert "CD20+ (+" in rows[0]

    def test_metaclusters_are_named(self, nimbus, stored, assignment):
        path, read = stored
        nimbus("cluster", path, *SMALL)
        result = nimbus("annotate", path, assignment, "--groupby", "nimbus_metacluster")
        assert result.exit_code == 0, result.output
        assert result.output.splitlines()[2].split()[0] == "group"
        pairs = read().obs[["nimbus_metacluster", "nimbus_cell_type"]].drop_duplicates()
        assert len(pairs) == 6


@pytest.fixture
def clustered(tmp_path):
    """A store whose cells were clustered once."""
    path = tmp_path / "cells.zarr"
    table = make_table(60)
    package.tl.cluster(table, grid=(2, 2), n_metaclusters=2)
    SpatialData(tables={"table": table}).write(path)
    return path


ANEW = ("--grid", 2, 2, "--n-metaclusters", 3)


class TestSafety:
    @pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process")
    def test_a_run_killed_at_any_change_leaves_the_old_clusters_or_the_new(
        self, nimbus, clustered, monkeypatch
    ):
        def run():
            assert nimbus("cluster", clustered, *ANEW).exit_code == 0

        def clusters():
            table = read_zarr(clustered).tables["table"]
            assert set(table.uns["nimbus_cluster"]["metacluster"]) == set(
                table.obs["nimbus_metacluster"].astype(int)
            ), "half of them are new"
            return table.obs["nimbus_metacluster"].tolist()

        old, changes = clusters(), []
        shutil.copytree(clustered, kept := clustered.with_name("kept"))
        with monkeypatch.context() as patch:
            counted(patch, lambda: changes.append(1))
            run()
        new = clusters()
        assert new != old, "proves nothing: both are alike"
        shutil.rmtree(clustered)
        shutil.copytree(kept, clustered)
        seen, last = [], len(changes)
        for n in (last // 2, *range(last - 5, last)):
            assert killed_at(n, run, monkeypatch), "proves nothing: it was not killed"
            seen.append(clusters() == new)
            assert clusters() == (new if any(seen) else old)
        assert set(seen) == {False, True}
        run()
        assert {path.name for path in clustered.iterdir()} == {path.name for path in kept.iterdir()}

    def test_what_is_not_touched_is_not_copied(self, nimbus, clustered):
        chunks = [
            path for path in clustered.glob("tables/table/layers/**/c/**/*") if path.is_file()
        ]
        assert chunks, "proves nothing: the layer has no chunks"
        before = [path.stat().st_ino for path in chunks]
        assert nimbus("cluster", clustered, *ANEW).exit_code == 0
        assert [path.stat().st_ino for path in chunks] == before

    def test_a_store_that_another_run_writes_is_refused(self, nimbus, clustered):
        with held_by_another(clustered):
            result = nimbus("cluster", clustered, *ANEW)
        assert result.exit_code == 1
        assert "in use by another run" in result.stderr
        assert read_zarr(clustered).tables["table"].obs["nimbus_metacluster"].nunique() == 2

    def test_nobody_changes_the_rows_between_reading_and_writing(
        self, nimbus, clustered, monkeypatch
    ):
        claims, real = [], package.tl.cluster

        def watched(data, **wanted):
            claims.append((clustered / LOCK_NAME).is_file())
            real(data, **wanted)

        monkeypatch.setattr(package.tl, "cluster", watched)
        assert nimbus("cluster", clustered, *ANEW).exit_code == 0
        assert claims == [True]

    def test_a_store_of_the_old_format_keeps_it(self, nimbus, tmp_path):
        from spatialdata._io.format import SpatialDataContainerFormatV01

        old = SpatialData(tables={"table": make_table(60)})
        old.write(tmp_path / "s.zarr", sdata_formats=[SpatialDataContainerFormatV01()])
        assert nimbus("cluster", tmp_path / "s.zarr", *ANEW).exit_code == 0
        again = read_zarr(tmp_path / "s.zarr").tables["table"]
        assert again.obs["nimbus_metacluster"].nunique() == 3
        assert not list(tmp_path.rglob("zarr.json"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cluster", "--layer", "nimbsu"], "did you mean 'nimbus'"),
        (["cluster", "--restrict-to", "kind"], "write nimbus_metacluster=3,7"),
        (["cluster", "--restrict-to", "kind=Mac"], "'Mac' does not exist"),
        (["cluster", "--n-metaclusters", "999"], "--n-metaclusters 999 must be from 1 to"),
        (["cluster", "--table", "m.txt"], "must end in one of"),
        (["cluster", "--table-key", "tabel"], "table 'tabel' does not exist"),
        (["annotate", "--confidence", "2"], "confidence is a probability"),
        (["annotate", "--groupby", "kidn"], "did you mean 'kind'"),
        (["annotate", "--exclude-types", "Mac"], "cell type 'Mac' does not exist"),
        (["annotate", "--priors", "high"], "--priors 'high' is not understood"),
        (["annotate", "--table", "nowhere/m.csv"], "nowhere does not exist"),
    ],
)
def test_errors_are_one_line_and_change_nothing(nimbus, tmp_path, assignment, arguments, message):
    store = tmp_path / "cells.zarr"
    SpatialData(tables={"table": make_table(50)}).write(store)
    name, *options = arguments
    extra = [assignment] if name == "annotate" else []
    result = nimbus(name, store, *extra, *options)
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert list(read_zarr(store).tables["table"].obs) == ["kind"]


@pytest.mark.parametrize("key", ["T cells", "a/b"])
def test_a_name_with_which_the_store_could_not_be_read_is_refused_before_the_work(
    nimbus, stored, assignment, key
):
    path, read = stored
    before = list(read().obs)
    for arguments in (("cluster", path, *SMALL), ("annotate", path, assignment)):
        run = nimbus(*arguments, "--key-added", key)
        if path.suffix == ".h5ad" and "/" not in key:
            assert run.exit_code == 0, "a file takes it"
            continue
        assert run.exit_code == 1
        assert f"--key-added '{key}'" in run.output
        assert list(read().obs) == before


def test_a_marker_that_is_not_there_is_told_with_the_option_that_helps(nimbus, tmp_path):
    make_table(30).write_h5ad(tmp_path / "cells.h5ad")
    MATRIX.rename(columns={"CD20": "CD21"}).to_csv(tmp_path / "a.csv", index_label="cell_type")
    result = nimbus("annotate", tmp_path / "cells.h5ad", tmp_path / "a.csv")
    assert result.exit_code == 1
    assert "did you mean 'CD20'" in result.stderr
    assert "--exclude-markers" in result.stderr
    assert "does not exist" in nimbus("annotate", tmp_path / "no.zarr", tmp_path / "a.csv").stderr
    told = nimbus("cluster", "s3://bucket/cohort.zarr").stderr
    assert "URLs are read by nimbus score and" in told
    assert told.count("\n") == 1
