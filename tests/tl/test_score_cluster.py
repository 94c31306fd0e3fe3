"""A Dask cluster of processes gives the same bits as this process."""

from __future__ import annotations

import numpy as np
import pytest

import nimbus
from support.tissue import draw_sdata

torch = pytest.importorskip("torch")
distributed = pytest.importorskip("distributed")

from support.nets import saved_net  # noqa: E402 - needs torch


def test_two_processes_give_the_same_bits_as_one(tmp_path):
    weights = saved_net(tmp_path / "random.safetensors", root_filters=2)
    options = {"model": weights, "tile_size": 64, "tta": False, "show_progress_bar": False}
    here, there = (draw_sdata([(150, 230), (90, 300)]) for _ in range(2))
    nimbus.tl.score(here, **options)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        assert len(client.scheduler_info()["workers"]) == 2
        nimbus.tl.score(there, **options)
        n_tasks = len(client.run(lambda dask_worker: dask_worker.state.tasks is not None))
    assert n_tasks == 2
    one, two = here.tables["table"], there.tables["table"]
    for name in ("nimbus", "integrated"):
        np.testing.assert_array_equal(two.layers[name], one.layers[name])
    np.testing.assert_array_equal(two.obsm["spatial"], one.obsm["spatial"])
