"""``nimbus gui``: help and errors; the page itself is tested in a browser."""

import inspect

import numpy as np
import pytest
from anndata import AnnData

from nimbus.cli import gui as command

pytest.importorskip("panel")


def test_help_tells_how_it_is_reached_from_elsewhere(nimbus):
    text = " ".join(nimbus("gui", "--help").output.split())
    for word in ("ssh -L", "--token", "--host", "on disk before"):
        assert word in text


def test_a_store_that_is_not_there_is_one_line(nimbus, tmp_path):
    done = nimbus("gui", tmp_path / "none.zarr")
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
    assert "there is no store" in done.stderr


def test_a_table_without_clusters_says_what_to_do(nimbus, tmp_path):
    path = tmp_path / "cells.h5ad"
    AnnData(np.zeros((3, 1))).write_h5ad(path)
    done = nimbus("gui", path)
    assert done.exit_code == 1
    assert "run nimbus.tl.cluster first" in done.stderr


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--cells", "100"], "--cells is of the page to label cells; add --review"),
        (["--seed", "0"], "--seed is of the page to label cells; add --review"),
        (["--markers", "CD3"], "--markers is of the page to label cells; add --review"),
        (["--review", "--region-key", "fov"], "--region-key is of the page on metaclusters"),
    ],
)
def test_an_option_of_the_other_page_is_refused(nimbus, tmp_path, options, told):
    done = nimbus("gui", tmp_path / "none.zarr", *options)
    assert done.exit_code == 1
    assert told in done.stderr


def test_errors_name_options(nimbus, tmp_path):
    import nimbus as package

    sdata = package.datasets.tissue(shape=(64, 64), n_cells=9, markers=["CD3"], random_state=0)
    sdata.tables["table"].layers["gold"] = sdata.tables["table"].X
    sdata.write(tmp_path / "tissue.zarr")
    done = nimbus("gui", tmp_path / "tissue.zarr", "--review", "--order", "random")
    assert done.exit_code == 1
    assert "holds no labels; pass --key-added with another name" in done.stderr


def test_a_store_that_cannot_be_written_is_told_to_a_shell_as_to_python(
    nimbus, tmp_path, monkeypatch
):
    import nimbus as package

    sdata = package.datasets.tissue(shape=(64, 64), n_cells=9, markers=["CD3"], random_state=0)
    sdata.write(tmp_path / "tissue.zarr")
    refused = PermissionError(13, "Permission denied")
    monkeypatch.setattr("pathlib.Path.touch", lambda self: (_ for _ in ()).throw(refused))
    done = nimbus("gui", tmp_path / "tissue.zarr", "--review")
    assert "cannot be written (Permission denied); copy it, or in Python pass" in done.stderr


def test_without_the_extra_the_error_names_it(monkeypatch):
    import nimbus

    monkeypatch.setattr("nimbus._optional.optional_module", lambda name: None)
    scores = np.repeat([[0.9, 0.1], [0.1, 0.9]], 20, axis=0)
    table = AnnData(np.zeros((40, 2)), layers={"nimbus": scores})
    with pytest.raises(ImportError, match=r"nimbus-spatial\[gui\]"):
        nimbus.gui.remap(table)


@pytest.mark.parametrize(
    ("verb", "other"),
    [
        ("remap", {"adata", "write"}),
        ("review", {"sdata", "write", "n_cells", "random_state", "labels_key", "likely"}),
    ],
)
def test_options_are_called_as_the_arguments_of_the_pages(verb, other):
    """Except: `n_cells` is --cells, `random_state` is --seed, some are of notebooks alone."""
    import nimbus

    options = set(inspect.signature(command.gui).parameters)
    assert set(inspect.signature(getattr(nimbus.gui, verb)).parameters) - options == other
