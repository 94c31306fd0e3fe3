"""A Dask cluster of processes gives the same map, bit for bit, as this process."""

from __future__ import annotations

import os

import dask.array as da
import numpy as np
import pytest

import nimbus
from nimbus.cluster.rows import SPAN
from nimbus.tl._daskrows import DaskRows

from .test_cluster import SMALL, make_table, same_result

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def test_two_processes_give_the_same_bits_as_one(client):
    options = SMALL | {"max_train_cells": None, "solver_options": {"n_epochs": 3}}
    here, there = make_table(2 * SPAN + 50), make_table(2 * SPAN + 50)
    nimbus.tl.cluster(here, n_jobs=1, **options)
    there.layers["nimbus"] = da.from_array(there.layers["nimbus"], chunks=(20_000, 10))
    nimbus.tl.cluster(there, **options)
    same_result(here, there)


def test_spans_are_worked_on_by_the_workers(client):
    rows = DaskRows(da.zeros((3 * SPAN, 2), chunks=(SPAN // 2, 2)))
    found = set(rows.map(lambda values: os.getpid()))
    assert found <= set(client.run(os.getpid).values())
    assert os.getpid() not in found
    shapes = [part.shape for part in rows.map(np.asarray)]
    assert shapes == [(SPAN, 2)] * 3
