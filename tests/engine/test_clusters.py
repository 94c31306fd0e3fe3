"""What a cluster loses is sent again; what it loses again and again is an error with a name."""

from __future__ import annotations

import itertools
from pathlib import Path

import dask
import pytest

from nimbus.engine import crew
from nimbus.engine.clusters import on_cluster
from nimbus.engine.crew import ClusterError

distributed = pytest.importorskip("distributed")


class FakeFuture:
    def __init__(self, run, key, *, hangs=False):
        self.run, self.key, self.hangs = run, key, hangs
        self.status = "pending" if hangs else "finished"

    def result(self):
        if self.status == "cancelled":
            raise distributed.CancelledError("scheduler-connection-lost")
        assert not self.hangs, "this would wait for ever"
        return self.run()

    def cancel(self):
        self.status = "cancelled"


class FakeClient:
    """A cluster that loses all that it holds, or hangs, at the given submissions.

    What lies on a `frozen` worker hangs, too, and what needs something from there. Places are taken
    in turn.
    """

    def __init__(self, *, loses_at=(), hangs_at=(), frozen=(), workers=2, lacking=()):
        self.status, self.hangs_at, self.places = "running", set(hangs_at), {}
        self.loses_at, self.workers, self.lacking = set(loses_at), workers, list(lacking)
        self.count, self.shared, self.held = itertools.count(), [], []
        self.frozen, self.turn = set(frozen), itertools.count()

    def nthreads(self):
        return {f"w{k}": 1 for k in range(self.workers)}

    def run(self, function, files, on_error, workers):
        return {name: [f for f in files if f in self.lacking] for name in self.nthreads()}

    def submit(self, function, *values, **how):
        allowed = how["workers"] or list(self.nthreads())
        place = allowed[next(self.turn) % len(allowed)]
        if function is not crew._call:
            value = function(*values)
            self.shared.append(value)
            future = FakeFuture(lambda: value, f"shared {len(self.shared)}")
            self.places[future.key] = place
            return future
        task, item, _ = values
        number = next(self.count)
        hangs = number in self.hangs_at or self.frozen & {place, self.places[task.key]}
        future = FakeFuture(lambda: function(task.result(), item, None), number, hangs=hangs)
        self.held.append(future)
        self.places[number] = place
        if number in self.loses_at:
            for held in self.held:
                held.cancel()
        return future

    def processing(self):
        running = [future.key for future in self.held if future.status == "pending"]
        return {
            name: [key for key in running if self.places[key] == name] for name in self.nthreads()
        }

    def scheduler_info(self, n_workers):
        seen = {name: {"last_seen": float(name not in self.frozen)} for name in self.nthreads()}
        return {"workers": seen}

    def who_has(self, futures):
        return {future.key: [self.places[future.key]] for future in futures}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    def wait(futures, timeout, return_when):
        if "cancelled" in [future.status for future in futures]:
            raise distributed.CancelledError("lost")
        if {future.status for future in futures} == {"pending"}:
            raise TimeoutError

    monkeypatch.setattr(distributed, "wait", wait)
    monkeypatch.setattr(crew, "PATIENCE_SECONDS", 0.3)


def squares(client, n=30, **options):
    return [result for _, result in on_cluster(client, lambda x: x * x, range(n), **options)]


def test_what_a_scheduler_forgot_is_sent_again_and_comes_in_order():
    client = FakeClient(loses_at={5, 20, 21, 40})
    assert squares(client) == [x * x for x in range(30)]
    assert next(client.count) > 30, "proves nothing: nothing was sent again"
    assert len(client.shared) > 1, "the shared part was lost, too"


def test_a_task_that_is_always_lost_is_an_error_that_names_it():
    with pytest.raises(ClusterError, match="lost a task 4 times") as caught:
        squares(FakeClient(loses_at=range(1000)))
    assert caught.value.__notes__ == ["nimbus: this happened in 0"]


@pytest.mark.parametrize("how", ["no worker", "closed"])
def test_a_cluster_that_is_gone_is_an_error_after_a_while(how):
    client = FakeClient(workers=0 if how == "no worker" else 2)
    client.status = "running" if how == "no worker" else "closed"
    with pytest.raises(ClusterError, match="has no worker, or its scheduler is gone"):
        squares(client)


def test_what_hangs_is_given_to_another_worker_and_comes_in_order(caplog):
    client = FakeClient(hangs_at={3, 9, 10})
    with dask.config.set({"nimbus.tile-timeout": "0 s"}):
        assert squares(client) == [x * x for x in range(30)]
    assert next(client.count) > 32, "proves nothing: nothing was sent again"
    assert "3 is given to another worker" in caplog.text
    assert len(client.shared) > 1, "what all share may hang with the worker that holds it"


@pytest.mark.parametrize("frozen", ["w0", "w1"])
def test_all_that_a_frozen_worker_holds_up_moves_at_once_and_only_it_is_blamed(caplog, frozen):
    """Also what another worker cannot begin, because the frozen one has what all share."""
    client = FakeClient(frozen={frozen})
    with dask.config.set({"nimbus.tile-timeout": "0 s"}):
        assert squares(client) == [x * x for x in range(30)]
    (warning,) = caplog.messages  # one wait, not one for each tile
    other = "w1" if frozen == "w0" else "w0"
    assert f"'{frozen}'" in warning
    assert f"'{other}'" not in warning


def test_a_task_that_hangs_everywhere_is_an_error_that_names_it_and_the_setting():
    client = FakeClient(hangs_at=range(1000))
    with (
        dask.config.set({"nimbus.tile-timeout": "0 s"}),
        pytest.raises(
            ClusterError, match="no result in 0 s in each of 4 tries; .*'w0', 'w1'"
        ) as it,
    ):
        squares(client)
    assert it.value.__notes__ == ["nimbus: this happened in 0"]
    assert "nimbus.tile-timeout" in str(it.value)


def test_a_worker_that_only_took_long_is_used_again():
    slow, quick = FakeFuture(None, 0), FakeFuture(None, 1, hangs=True)
    client = FakeClient()
    client.places = {0: "w0", 1: "w1"}
    team = crew.Crew(client, abs, (), hanging={"w0", "w1"})
    team.forgive(crew.Sent(0, [slow, quick]))
    assert team.hanging == {"w1"}
    assert team.sound() == ["w0"]


def test_all_workers_have_work_however_many_there_are():
    client = FakeClient(workers=50)
    results = on_cluster(client, abs, range(1000))
    next(results)
    assert next(client.count) == 4 * 50
    results.close()
    assert {future.status for future in client.held} <= {"finished", "cancelled"}


def test_a_cluster_may_shrink(monkeypatch):
    monkeypatch.setattr(crew, "_LOOK_SECONDS", 0)
    client = FakeClient(workers=20)
    results = on_cluster(client, abs, range(200))
    next(results)
    client.workers = 1
    assert sum(1 for _ in results) == 199


def test_only_files_that_a_worker_lacks_are_sent(tmp_path):
    for name in ("there", "lacking"):
        (tmp_path / name).write_bytes(name.encode())
    paths = [str(tmp_path / name) for name in ("there", "lacking")]
    client = FakeClient(lacking=[paths[1]])
    squares(client, files=paths)
    assert client.shared[0] == {paths[1]: b"lacking"}
    client = FakeClient()
    squares(client, files=paths)
    assert len(client.shared) == 1, "the task alone"


def test_files_are_unpacked_once_and_stay_side_by_side(tmp_path, monkeypatch):
    from nimbus.engine import files

    monkeypatch.setattr(files, "_unpacked", {})
    gone = {f"{tmp_path}/a/w.safetensors": b"1", f"{tmp_path}/a/w.json": b"2"}
    other = {f"{tmp_path}/b/w.json": b"3"}
    for contents in (gone, other, gone):
        files.unpack(contents)
    weights, card, third = (files.here(path) for path in (*gone, *other))
    assert [Path(path).read_bytes() for path in (weights, card, third)] == [b"1", b"2", b"3"]
    assert weights.rpartition("/")[0] == card.rpartition("/")[0] != third.rpartition("/")[0]
    assert files.here("elsewhere") == "elsewhere"
