"""Errors of the verbs in the words of a shell."""

from __future__ import annotations

import pytest

from nimbus.cli._group import COMMANDS
from nimbus.cli._shellwords import options_by_argument, with_options

OPTIONS = {"pixel_size": "--pixel-size", "labels": "--labels", "scale": "--scale"}


@pytest.mark.parametrize(
    "message",
    [
        "labels 'pixel_size' are of type float32",
        "data/scale=2/fov1.tif: damaged or cut off",
        "pixel_size/fov1.tif: damaged or cut off",
        "column 'pixel_size=0.5' is not there",
        "no room for pixel_size_um= in this",
    ],
)
def test_names_of_files_and_elements_are_not_taken_for_options(message):
    assert with_options(message, OPTIONS) == message


def test_each_alias_belongs_to_a_command_that_has_the_option():
    load = {entry.name: entry.load for entry in COMMANDS}
    found = {name: options_by_argument(load[name]()) for name in ("cluster", "evaluate", "gui")}

    assert found["cluster"]["random_state"] == "--seed"
    assert found["evaluate"]["baseline_layer"] == "--baseline"
    assert found["gui"]["n_cells"] == "--cells"
    assert "n_cells" not in found["cluster"], "proves nothing: every command has all"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--pixel-size", "-1"], "--pixel-size must be a number above 0"),
        (["--tile-size", "0"], "--tile-size must be at least 1 network pixel"),
        (["--batch-size", "0"], "--batch-size must be at least 1"),
        (["--n-jobs", "0"], "--n-jobs must be at least 1"),
    ],
)
def test_errors_that_begin_with_an_argument_name_its_option(nimbus, store, arguments, told):
    pytest.importorskip("torch")

    done = nimbus("score", store, *arguments)

    assert done.exit_code == 1
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
