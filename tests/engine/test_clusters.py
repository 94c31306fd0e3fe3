"""What a cluster loses is sent again; what it loses again and again is an error with a name."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from nimbus.engine import clusters
from nimbus.engine.clusters import ClusterError, on_cluster

distributed = pytest.importorskip("distributed")


class FakeFuture:
    def __init__(self, run):
        self.run = run
        self.status = "pending"

    def result(self):
        if self.status == "cancelled":
            raise distributed.CancelledError("scheduler-connection-lost")
        self.status = "finished"
        return self.run()

    def cancel(self):
        self.status = "cancelled"


class FakeClient:
    """A cluster that loses all that it holds at the given submissions."""

    def __init__(self, *, loses_at=(), workers=2, lacking=()):
        self.status = "running"
        self.loses_at, self.workers, self.lacking = set(loses_at), workers, list(lacking)
        self.count, self.shared, self.held = itertools.count(), [], []

    def nthreads(self):
        return {f"w{k}": 1 for k in range(self.workers)}

    def run(self, function, files, on_error):
        return {name: [f for f in files if f in self.lacking] for name in self.nthreads()}

    def submit(self, function, *values, **how):
        if function is not clusters._call:
            self.shared.append(function(*values))
            return self.shared[-1]
        task, item, _ = values
        future = FakeFuture(lambda: function(task, item, None))
        self.held.append(future)
        if next(self.count) in self.loses_at:
            for held in self.held:
                held.cancel()
        return future


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    def wait(future, timeout):
        if future.status == "cancelled":
            raise distributed.CancelledError("lost")

    monkeypatch.setattr(distributed, "wait", wait)
    monkeypatch.setattr(clusters, "PATIENCE_SECONDS", 0.3)


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


def test_all_workers_have_work_however_many_there_are():
    client = FakeClient(workers=50)
    results = on_cluster(client, abs, range(1000))
    next(results)
    assert next(client.count) == 4 * 50
    results.close()
    assert {future.status for future in client.held} <= {"finished", "cancelled"}


def test_a_cluster_may_shrink(monkeypatch):
    monkeypatch.setattr(clusters, "_LOOK_SECONDS", 0)
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
