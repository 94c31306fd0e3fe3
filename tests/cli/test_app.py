"""The command as a shell sees it: help, exit codes, lines on standard error."""

from __future__ import annotations

import subprocess
import sys
import warnings

import pytest
import typer

from nimbus.cli import _group, _report, app

HEAVY = ("torch", "spatialdata", "anndata", "dask", "matplotlib", "scanpy", "squidpy", "numpy")


def shell(*arguments: str, program: str = "from nimbus.cli import main; main()"):
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
    )


def test_help_names_every_command_and_imports_nothing_heavy():
    program = (
        "import sys\nfrom nimbus.cli import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit as end:\n    assert not end.code\n"
        f"print('loaded:', [name for name in {HEAVY} if name in sys.modules])"
    )
    done = shell(program=program)
    assert done.returncode == 0, done.stderr
    assert "loaded: []" in done.stdout
    for entry in _group.COMMANDS:
        assert entry.name in done.stdout
        assert entry.about[:30] in done.stdout


def test_a_foreseen_error_is_one_line_and_exit_code_1():
    done = shell("score", "no-such-store.zarr")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == "nimbus: error: store no-such-store.zarr does not exist\n"


def test_debug_shows_the_traceback_wherever_it_stands():
    for arguments in (("--debug", "score", "x.zarr"), ("score", "x.zarr", "--debug")):
        done = shell(*arguments)
        assert done.returncode == 1
        assert "Traceback" in done.stderr
        assert "FileNotFoundError" in done.stderr


@pytest.mark.parametrize("name", [entry.name for entry in _group.COMMANDS])
def test_every_command_explains_itself(nimbus, name):
    if name == "train":
        pytest.importorskip("torch")
    result = nimbus(name, "--help")
    assert result.exit_code == 0, result.output
    assert f"nimbus {name}" in result.output or name in result.output


def test_version(nimbus):
    from importlib.metadata import version

    assert nimbus("--version").output == f"nimbus {version('nimbus-spatial')}\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "give a command"),
        (["scor"], "No such command 'scor'. Did you mean 'score'"),
        (["score", "--chanels", "CD3"], "--chanels"),
        (["score", "--tile-size", "wide"], "--tile-size"),
        (["score", "--precision", "half"], "half"),
    ],
)
def test_a_wrong_command_line_is_one_line_that_says_where_help_is(nimbus, arguments, told):
    result = nimbus(*arguments)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert told in result.stderr
    assert "--help)" in result.stderr


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("two\nlines  here"), "two lines here"),
        (KeyError("CD3"), "no entry 'CD3'"),
        (KeyError("channel 'CD3' does not exist"), "channel 'CD3' does not exist"),
        (FileNotFoundError(2, "No such file", "a.csv"), "error: a.csv does not exist"),
        (PermissionError(13, "Permission denied", "a.zarr"), "[Errno 13]"),
        (TypeError("labels are floats"), "labels are floats"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_errors_of_checks_are_told_in_one_line(capsys, error, line):
    def run():
        raise error

    assert _report.reported(run, debug=False) == 1
    told = capsys.readouterr().err
    assert told.startswith("nimbus: error: ")
    assert line in told
    assert told.count("\n") == 1
    with pytest.raises(type(error)):
        _report.reported(run, debug=True)


def test_a_mistake_in_nimbus_is_not_hidden():
    def run():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        _report.reported(run, debug=False)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, typer.Abort])
def test_an_interrupted_command_ends_with_130(capsys, stop):
    def run():
        raise stop

    assert _report.reported(run, debug=False) == 130
    assert capsys.readouterr().err == "nimbus: error: interrupted\n"


def test_warnings_of_nimbus_are_one_line_and_those_of_libraries_are_silent(capsys):
    def warn_from(module: str, category: type[Warning]) -> None:
        warnings.warn_explicit("no signal in\n 'CD3'", category, "x.py", 1, module=module)

    def run():
        warn_from("nimbus.data.scales", UserWarning)
        warn_from("zarr.core", UserWarning)
        warn_from("nimbus.data.scales", FutureWarning)

    assert _report.reported(run, debug=False) == 0
    assert capsys.readouterr().err == "nimbus: warning: no signal in 'CD3'\n"


def test_the_entry_point_of_the_package_is_main():
    from importlib.metadata import entry_points

    [entry] = entry_points(group="console_scripts", name="nimbus")
    from nimbus.cli import main

    assert entry.load() is main
    assert isinstance(app, typer.Typer)
