"""``--log-json``: what a command does, one JSON object a line."""

from __future__ import annotations

import json
import logging
import warnings
from datetime import datetime

import pytest

from nimbus.cli import _group, _jsonlog, _report
from nimbus.cli._jsonlog import JsonLines, without_option
from support.typed import make_table


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def kinds(path):
    return [line["event"] for line in lines(path)]


def test_a_run_tells_start_settings_progress_result_and_end(nimbus, weights, store, tmp_path):
    log = tmp_path / "run.jsonl"
    arguments = ("score", store, "--model", weights, "--no-tta", "--tile-size", 32)
    result = nimbus(*arguments, "--log-json", log)
    assert result.exit_code == 0, result.stderr
    told = lines(log)
    assert kinds(log)[0] == "start"
    assert kinds(log)[-1] == "end"
    assert told[0]["arguments"] == [str(one) for one in arguments]
    [settings] = [line for line in told if line["event"] == "settings"]
    assert settings["tile_size"] == 32
    assert settings["tta"] is False
    tiles = [line for line in told if line.get("unit") == "tiles"]
    assert tiles[-1]["done"] == tiles[-1]["total"] == 4
    assert tiles[-1]["cells"] > 0
    [result] = [line for line in told if line["event"] == "result"]
    assert result["cells"] <= tiles[-1]["cells"]  # those that tiles cut count in each
    assert result["written"] == [f"wrote {store}"]
    assert told[-1]["outcome"] == "done"
    times = [datetime.fromisoformat(line["time"]) for line in told]
    assert times == sorted(times)


@pytest.mark.filterwarnings("ignore")
def test_clustering_tells_its_passes_and_the_cells_that_have_a_node(nimbus, tmp_path):
    table = make_table(200)
    table.write_h5ad(tmp_path / "cells.h5ad")
    log = tmp_path / "run.jsonl"
    small = ("--grid", 4, 4, "--n-metaclusters", 6)
    result = nimbus("cluster", tmp_path / "cells.h5ad", *small, "--log-json", log)
    assert result.exit_code == 0, result.stderr
    told = lines(log)
    last = {line["work"]: line for line in told if line["event"] == "progress"}
    assert list(last) == ["sample", "map", "last passes", "nodes of cells"]
    for line in last.values():
        assert line["done"] == line["total"] > 0
        assert line["seconds_left"] == 0
    assert last["map"]["unit"] == "passes"
    assert last["nodes of cells"]["cells"] == table.n_obs
    assert kinds(log)[:2] == ["start", "settings"]
    assert kinds(log)[-2:] == ["result", "end"]
    assert told[-2]["cells"] == table.n_obs


def test_the_result_of_a_part_is_of_the_cells_and_markers_of_the_run(
    nimbus, weights, store, tmp_path
):
    log = tmp_path / "run.jsonl"
    arguments = ("score", store, "--model", weights, "--no-tta")
    assert nimbus(*arguments).exit_code == 0
    found = nimbus(*arguments, "--channels", "m1", "--log-json", log)
    assert found.exit_code == 0, found.stderr
    [result] = [line for line in lines(log) if line["event"] == "result"]
    assert result["markers"] == 1
    assert f"{result['cells']} cells, 1 markers scored" in found.stdout


def test_an_error_is_told_and_ends_the_log(nimbus, tmp_path):
    log = tmp_path / "run.jsonl"
    assert nimbus("score", tmp_path / "no.zarr", f"--log-json={log}").exit_code == 1
    assert kinds(log) == ["start", "error", "end"]
    assert "does not exist" in lines(log)[1]["message"]
    assert lines(log)[2]["outcome"] == "error"


def test_a_second_run_is_added(nimbus, tmp_path):
    log = tmp_path / "run.jsonl"
    for _ in range(2):
        nimbus("models", "--log-json", log)
    assert kinds(log) == ["start", "end"] * 2


def test_a_dash_is_standard_error(nimbus):
    result = nimbus("models", "--log-json", "-")
    assert result.exit_code == 0
    told = [json.loads(line)["event"] for line in result.stderr.splitlines()]
    assert told == ["start", "end"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["models", "--log-json"], "--log-json needs a file"),
        (["score", "--log-json", "--no-tta"], "--log-json needs a file"),
        (["models", "--log-json", "no/such/folder/a.jsonl"], "no/such/folder does not exist"),
    ],
)
def test_a_log_that_cannot_be_is_told_before_any_work(nimbus, arguments, message):
    result = nimbus(*arguments)
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stderr.startswith("nimbus: error: ")


def test_warnings_and_log_records_are_lines_of_both(tmp_path, capsys):
    def run():
        warnings.warn_explicit("no signal", UserWarning, "x.py", 1, module="nimbus.data.scales")
        logging.getLogger("nimbus.model.predictor").warning("out of memory with %d tiles", 8)

    log = tmp_path / "run.jsonl"
    with log.open("w") as file:
        assert _jsonlog.logged(lambda: _report.reported(run, debug=False), file, []) == 0
    assert kinds(log) == ["start", "warning", "warning", "end"]
    assert lines(log)[2]["message"] == "out of memory with 8 tiles"
    told = capsys.readouterr().err.splitlines()
    assert told == ["nimbus: warning: no signal", "nimbus: warning: out of memory with 8 tiles"]


def test_a_mistake_in_nimbus_is_a_crash(tmp_path):
    def run():
        raise ZeroDivisionError

    log = tmp_path / "run.jsonl"
    with log.open("w") as file, pytest.raises(ZeroDivisionError):
        _jsonlog.logged(run, file, [])
    assert lines(log)[-1]["outcome"] == "crash"


def test_values_become_json(tmp_path):
    record = logging.makeLogRecord(
        {"event": {"event": "a", "path": tmp_path, "nan": float("nan"), "list": (1, 0.1234567)}}
    )
    log = tmp_path / "a.jsonl"
    with log.open("w") as file:
        JsonLines(file).emit(record)
    [line] = lines(log)
    assert line["path"] == str(tmp_path)
    assert line["nan"] is None
    assert line["list"] == [1, 0.123457]


def test_a_full_disk_under_the_log_does_not_end_the_run(capsys):
    class Full:
        def write(self, _):
            raise OSError(28, "No space left on device")

        def flush(self):
            pass

        close = flush

    def run():
        return 0

    assert _jsonlog.logged(run, Full(), []) == 0
    assert "No space left on device" in capsys.readouterr().err


def test_the_listeners_are_gone_afterwards(nimbus, tmp_path):
    nimbus("models", "--log-json", tmp_path / "a.jsonl")
    assert logging.getLogger("nimbus").handlers == []
    assert not logging.getLogger("nimbus.progress").isEnabledFor(logging.INFO)


def test_the_option_may_stand_anywhere():
    for at in range(3):
        given = ["score", "a.zarr"]
        given[at:at] = ["--log-json", "x"]
        assert without_option(given) == (["score", "a.zarr"], "x")
    assert "doctor" in [entry.name for entry in _group.COMMANDS]
