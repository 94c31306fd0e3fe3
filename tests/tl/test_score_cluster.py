"""A Dask cluster of processes gives the same bits as this process."""

from __future__ import annotations

import os
import signal
import time

import dask
import numpy as np
import pytest

import nimbus
from support.processes import draws_a_lot
from support.tissue import brightness, draw_sdata

distributed = pytest.importorskip("distributed")
psutil = pytest.importorskip("psutil")


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def two_fields():
    return draw_sdata([(150, 230), (90, 300)])


def test_two_processes_give_the_same_bits_as_one(tmp_path, client):
    pytest.importorskip("torch")
    from support.nets import saved_net

    weights = saved_net(tmp_path / "random.safetensors", root_filters=2)
    options = {"model": weights, "tile_size": 64, "tta": False, "show_progress_bar": False}
    there, here = two_fields(), two_fields()
    nimbus.tl.score(there, **options)
    with client.as_current(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("nimbus.engine.run.active_client", lambda: None)
        nimbus.tl.score(here, **options)
    one, two = here.tables["table"], there.tables["table"]
    for name in ("nimbus", "integrated"):
        np.testing.assert_array_equal(two.layers[name], one.layers[name])
    np.testing.assert_array_equal(two.obsm["spatial"], one.obsm["spatial"])


def test_tiles_are_scored_by_the_workers(client):
    most = 2**22  # processes on Linux; float32 tells so many numbers apart

    def where(planes):
        return np.full_like(planes[:, :1], os.getpid() / most)

    sdata = two_fields()
    nimbus.tl.score(sdata, model=where, tile_size=32, tta=False, show_progress_bar=False)
    expected = {pid / most for pid in client.run(os.getpid).values()}
    scores = sdata.tables["table"].layers["nimbus"][:, 0]
    assert os.getpid() / most not in expected
    assert min(expected) - 1e-6 <= scores.min() <= scores.max() <= max(expected) + 1e-6


def test_the_error_of_a_worker_names_its_tile(client):
    def broken(planes):
        raise ValueError("no such weather")

    with pytest.raises(ValueError, match="no such weather") as caught:
        nimbus.tl.score(two_fields(), model=broken, tta=False, show_progress_bar=False)
    assert "tile 0 of 'a_labels' (rows 0:" in "".join(caught.value.__notes__)


def test_workers_that_lack_the_weights_get_them_once(tmp_path, client):
    pytest.importorskip("torch")
    from support.nets import saved_net

    def blind(path="nimbus.engine.files"):
        import importlib

        files = importlib.import_module(path)
        files._unpacked.clear()
        files.missing = lambda path: path not in files._unpacked

    def seeing(path="nimbus.engine.files"):
        import importlib

        files = importlib.import_module(path)
        files.missing = lambda path: not os.path.isfile(path)
        return {os.path.basename(there) for there in files._unpacked.values()}

    weights = saved_net(tmp_path / "here alone.safetensors", root_filters=2, seed=5)
    options = {"model": weights, "tile_size": 64, "tta": False, "show_progress_bar": False}
    there, here = two_fields(), two_fields()
    client.run(blind)
    try:
        nimbus.tl.score(there, **options)
    finally:
        unpacked = client.run(seeing)
    assert {"here alone.safetensors", "here alone.json"} in unpacked.values()
    with client.as_current(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("nimbus.engine.run.active_client", lambda: None)
        nimbus.tl.score(here, **options)
    np.testing.assert_array_equal(
        there.tables["table"].layers["nimbus"], here.tables["table"].layers["nimbus"]
    )


def test_lost_workers_change_nothing(tmp_path):
    """One of two dies; then both at once, and with them what they all share."""
    calm = two_fields()
    nimbus.tl.score(calm, model=brightness, tile_size=32, tta=False, show_progress_bar=False)

    def killer(n_victims):
        folder = tmp_path / str(n_victims)
        folder.mkdir()

        def kills(planes):
            if draws_a_lot(folder, n_victims):
                while len(list(folder.iterdir())) < n_victims:
                    time.sleep(0.02)
                os._exit(1)
            return planes[:, :1] * np.float32(0.7) + planes[:, 1:] * np.float32(0.2)

        return kills

    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        for n_victims in (1, 2):
            client.wait_for_workers(2)
            stormy = two_fields()
            nimbus.tl.score(
                stormy, model=killer(n_victims), tile_size=32, tta=False, show_progress_bar=False
            )
            assert len(list((tmp_path / str(n_victims)).iterdir())) == n_victims, "nobody died"
            np.testing.assert_array_equal(
                stormy.tables["table"].layers["nimbus"], calm.tables["table"].layers["nimbus"]
            )


def frozen(pid):
    return psutil.Process(pid).status() == psutil.STATUS_STOPPED


def gone(pid, *, limit_s=60):
    """Whether a process ends; who killed it may not yet have asked how."""
    for _ in range(10 * limit_s):
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.1)
    return False


def freezer(folder, n_victims):
    """A model that stops so many of its processes (SIGSTOP) at their first tile."""

    def freezes(planes):
        if draws_a_lot(folder, n_victims):
            os.kill(os.getpid(), signal.SIGSTOP)
        return planes[:, :1] * np.float32(0.7) + planes[:, 1:] * np.float32(0.2)

    return freezes


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="processes cannot be stopped here")
def test_workers_that_neither_die_nor_answer(tmp_path, caplog):
    """One of two is frozen: the same bits. Both are: an error that names the tile."""
    options = {"tile_size": 32, "tta": False, "show_progress_bar": False}
    calm = two_fields()
    nimbus.tl.score(calm, model=brightness, **options)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        client.wait_for_workers(2)
        nimbus.tl.score(two_fields(), model=brightness, **options)  # workers import what they need
        pids = list(client.run(os.getpid).values())
        try:
            with dask.config.set({"nimbus.tile-timeout": "8 s"}):
                stormy = two_fields()
                nimbus.tl.score(stormy, model=freezer(tmp_path, 1), **options)
                assert sum(map(frozen, pids)) == 1, "nobody was frozen"
                assert "is given to another worker" in caplog.text
                np.testing.assert_array_equal(
                    stormy.tables["table"].layers["nimbus"], calm.tables["table"].layers["nimbus"]
                )
                with pytest.raises(ConnectionError, match="no result in 8 s in each of") as caught:
                    nimbus.tl.score(stormy, model=freezer(tmp_path, 2), **options)
                assert "tile 0 of 'a_labels' (rows 0:" in "".join(caught.value.__notes__)
                assert all(map(frozen, pids))
        finally:
            for pid in filter(frozen, pids):
                os.kill(pid, signal.SIGKILL)


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="processes cannot be stopped here")
def test_dask_drops_a_worker_that_was_frozen_before_the_run(tmp_path):
    """Every worker is asked whether it sees the weights; the one that never answers is dropped."""
    pytest.importorskip("torch")
    from support.nets import saved_net

    weights = saved_net(tmp_path / "random.safetensors", root_filters=2, seed=7)
    options = {"model": weights, "tile_size": 64, "tta": False, "show_progress_bar": False}
    there, here = two_fields(), two_fields()
    nimbus.tl.score(here, **options)
    with (
        dask.config.set({"distributed.scheduler.worker-ttl": "5 s"}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        client.wait_for_workers(2)
        victim = min(client.run(os.getpid).values())
        os.kill(victim, signal.SIGSTOP)
        while not frozen(victim):  # the signal takes its time
            time.sleep(0.01)
        nimbus.tl.score(there, **options)
        assert gone(victim), "it was not dropped"
    np.testing.assert_array_equal(
        there.tables["table"].layers["nimbus"], here.tables["table"].layers["nimbus"]
    )
