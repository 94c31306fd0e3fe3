from __future__ import annotations

import threading
import time

import pytest

from nimbus.engine.run import default_jobs, run_ordered


def test_results_come_in_the_order_of_the_items_whichever_finished_first():
    done, second = [], threading.Event()

    def slow_first(item):
        if item == 0:
            assert second.wait(60)
        done.append(item)
        if item == 1:
            second.set()
        return item * 10

    results = list(run_ordered(slow_first, range(6), n_jobs=3))
    assert done != sorted(done), "proves nothing: they finished in order"
    assert results == [(item, item * 10) for item in range(6)]


def test_few_tasks_are_under_way_at_a_time():
    started = []
    results = run_ordered(started.append, range(100), n_jobs=2)
    next(results)
    time.sleep(0.05)
    assert len(started) <= 2 * 2 + 1
    results.close()


def test_the_error_of_a_task_names_its_item_and_stops_the_rest():
    started = []

    def fails(item):
        started.append(item)
        if item == 3:
            raise ValueError("no such weather")
        return item

    with pytest.raises(ValueError, match="no such weather") as caught:
        list(run_ordered(fails, range(1000), n_jobs=2))
    assert caught.value.__notes__ == ["nimbus: this happened in 3"]
    assert len(started) < 20


def test_closing_early_leaves_no_thread():
    def own_threads():
        return {t for t in threading.enumerate() if t.name.startswith("nimbus")} - before

    before = set(threading.enumerate())
    results = run_ordered(lambda item: item, range(50), n_jobs=2)
    next(results)
    assert own_threads(), "proves nothing: there were no threads"
    results.close()
    assert not own_threads()


def test_jobs_must_be_at_least_one():
    assert default_jobs(None) >= 1
    with pytest.raises(ValueError, match="n_jobs must be at least 1, not 0"):
        default_jobs(0)
