"""``nimbus evaluate``: the measures as text, table and figure."""

from __future__ import annotations

import inspect

import numpy as np
import pandas as pd
import pytest
from spatialdata import SpatialData

import nimbus as package
from nimbus.cli import evaluate as command
from support.judged import MARKERS, judged_table

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """The same table as an .h5ad and in a store."""
    folder = tmp_path_factory.mktemp("judged")
    judged_table().write_h5ad(folder / "cells.h5ad")
    SpatialData(tables={"table": judged_table()}).write(folder / "cells.zarr")
    return folder / "cells.h5ad", folder / "cells.zarr"


def test_every_argument_of_the_verb_is_an_option_of_the_same_default():
    verb = inspect.signature(package.tl.evaluate).parameters
    options = inspect.signature(command.evaluate).parameters
    other = {"adata": "store", "baseline_layer": "baseline", "random_state": "seed"}
    for name, parameter in verb.items():
        own = other.get(name, name)
        assert own in options, f"nimbus evaluate has no --{own.replace('_', '-')}"
        if name not in ("adata", "by"):
            assert str(options[own].default) == str(parameter.default), name


@pytest.mark.parametrize("which", [0, 1])
def test_the_table_is_that_of_the_verb(nimbus, judged, which, tmp_path):
    out = tmp_path / "metrics.csv"
    result = nimbus("evaluate", judged[which], "--out", out, "--n-boot", 40, "--macro-average")
    assert result.exit_code == 0, result.output
    expected = package.tl.evaluate(judged_table(), n_boot=40, macro_average=True)
    pd.testing.assert_frame_equal(pd.read_csv(out), expected, check_dtype=False)
    assert f"wrote {out}" in result.output


def test_the_text_holds_f1_with_its_interval_and_the_baseline(nimbus, judged):
    result = nimbus("evaluate", judged[0], "--n-boot", 40)
    table = package.tl.evaluate(judged_table(), n_boot=40).set_index("marker")
    lines = result.output.splitlines()
    assert lines[0].split()[:4] == ["marker", "cells", "positive", "nimbus"]
    assert [line.split()[0] for line in lines[2:5]] == list(MARKERS)
    row = table.loc["CD8"]
    for text in (
        f"{row['f1']:.3f} [{row['f1_low']:.2f}, {row['f1_high']:.2f}]",
        f"{row['baseline_best_f1']:.3f}",
        f" {row['n_cells']:.0f} ",
    ):
        assert text in lines[3]


def test_options_reach_the_verb(nimbus, judged, tmp_path):
    out = tmp_path / "m.parquet"
    result = nimbus(
        "evaluate", judged[1], "--by", "dataset,marker", "--markers", "CD3,CD8", "--layer",
        "integrated", "--truth-layer", "truth", "--threshold", "CD3=3,CD8=20", "--n-boot", "0",
        "--baseline", "nimbus", "--field-key", "fov", "--out", out,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    table = pd.read_parquet(out)
    assert table["dataset"].tolist() == ["large"] * 2 + ["small"] * 2
    assert table["threshold"].tolist() == [3, 20] * 2
    assert (table["baseline_auroc"] > 0.5).all()
    assert not any(name.endswith("_low") for name in table)


def test_the_figure_is_written(nimbus, judged, tmp_path):
    figure = tmp_path / "metrics.png"
    result = nimbus("evaluate", judged[0], "--figure", figure, "--n-boot", 5)
    assert result.exit_code == 0, result.output
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert len(list(tmp_path.iterdir())) == 1


def test_baseline_none_compares_with_nothing(nimbus, judged):
    result = nimbus("evaluate", judged[0], "--baseline", "none", "--n-boot", 0)
    assert "baseline" not in result.output


def test_missing_scores_and_missing_intervals_are_remarked(nimbus, tmp_path):
    table = judged_table()
    table.layers["nimbus"][:5] = np.nan
    table.obs["fov"] = pd.Categorical(["one"] * table.n_obs)
    table.write_h5ad(tmp_path / "t.h5ad")
    result = nimbus("evaluate", tmp_path / "t.h5ad")
    assert "left out" in result.output
    assert "at least two fields" in result.output


def test_what_exists_is_not_replaced_unasked(nimbus, judged, tmp_path):
    out = tmp_path / "m.csv"
    out.write_text("mine")
    result = nimbus("evaluate", judged[0], "--out", out)
    assert result.exit_code == 1
    assert "--overwrite replaces it" in result.stderr
    assert out.read_text() == "mine"
    assert nimbus("evaluate", judged[0], "--out", out, "--overwrite").exit_code == 0
    assert out.read_text().startswith("marker,")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--truth-layer", "truht"], "did you mean 'truth'"),
        (["--by", "tissue"], "'tissue' does not exist"),
        (["--threshold", "high"], "--threshold"),
        (["--out", "m.txt"], "must end in one of"),
        (["--out", "nowhere/m.csv"], "nowhere does not exist"),
        (["--figure", "metrics"], "--figure metrics must end in one of"),
        (["--figure", "metrics.xyz"], ".png"),
        (["--table-key", "x", "--field-key", "y"], "column of obs 'y'"),
    ],
)
def test_errors_are_one_line(nimbus, judged, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = nimbus("evaluate", judged[0], *arguments)
    assert not list(tmp_path.iterdir()), "nothing is left behind"
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_path_that_is_no_table_is_told(nimbus, tmp_path):
    assert "does not exist" in nimbus("evaluate", tmp_path / "no.zarr").stderr
    (tmp_path / "x.csv").write_text("a")
    assert "neither a SpatialData store" in nimbus("evaluate", tmp_path / "x.csv").stderr
