"""What long work tells on its way."""

from __future__ import annotations

import logging

import pytest

from nimbus import _progress
from nimbus._progress import LOGGER, tell, with_progress


@pytest.fixture
def events():
    """Events that are told during a test."""
    found = []

    class Listener(logging.Handler):
        def emit(self, record):
            found.append(record.event)

    listener, level = Listener(), LOGGER.level
    LOGGER.addHandler(listener)
    LOGGER.setLevel(logging.INFO)
    yield found
    LOGGER.removeHandler(listener)
    LOGGER.setLevel(level)


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test moves."""
    now = [100.0]
    monkeypatch.setattr(_progress.time, "monotonic", lambda: now[0])
    return now


def run(clock, seconds, *, show=False, **options):
    """Work whose results take that long, one after the other."""

    def results():
        for one in seconds:
            clock[0] += one
            yield one

    options = {"total": len(seconds), "description": "scores", "unit": "tiles", **options}
    return list(with_progress(results(), show=show, **options))


def test_the_results_are_handed_through(clock):
    assert run(clock, [1.0, 2.0, 3.0]) == [1.0, 2.0, 3.0]


def test_first_last_and_every_five_seconds_are_told(events, clock):
    run(clock, [1.0] * 13)
    assert [event["done"] for event in events] == [1, 6, 11, 13]
    assert {event["event"] for event in events} == {"progress"}


def test_pace_time_left_and_cells(events, clock):
    run(clock, [2.0] * 4, cells_of=lambda _: 10)
    first, *_, last = events
    assert first["cells"] == 10
    assert first["per_second"] == 0.5
    assert first["seconds_left"] == 6.0
    assert last["cells"] == 40
    assert last["seconds_left"] == 0.0
    assert last["seconds"] == 8.0


def test_quick_tiles_of_a_resumed_run_do_not_make_the_rest_look_quick(events, clock):
    run(clock, [0.001] * 500 + [10.0] * 40, total=1000)
    assert events[-1]["done"] == 540
    assert events[-1]["seconds_left"] == pytest.approx(4600, rel=0.01)  # 460 tiles of 10 s


def test_the_bar_shows_tiles_cells_pace_and_time_left(clock, capsys):
    run(clock, [2.0] * 4, show=True, cells_of=lambda _: 10)
    shown = capsys.readouterr().err
    assert "scores: 100%" in shown
    assert "4/4" in shown
    assert "40 cells" in shown
    assert "tiles" in shown


def test_without_a_bar_nothing_is_written(clock, capsys):
    run(clock, [2.0] * 4)
    assert capsys.readouterr() == ("", "")


def test_no_result_is_no_event(events, clock):
    assert run(clock, []) == []
    assert events == []


def test_nobody_has_to_listen(caplog):
    caplog.set_level(logging.WARNING)
    tell("result", cells=1)
    assert caplog.records == []
