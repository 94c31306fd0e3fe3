"""Which device a process takes; the GPUs are counted, not there."""

# ruff: noqa: E402 (PyTorch and distributed may be absent)
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")
distributed = pytest.importorskip("distributed")

import nimbus.model as models
from nimbus.engine import predictors
from nimbus.engine.predictors import PredictorSpec, predictor_for


@pytest.fixture
def asked(monkeypatch):
    """Devices that a predictor was made for, on a machine with four GPUs."""
    devices = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(predictors, "_loaded", lambda path: SimpleNamespace(sha256="", net=None))
    monkeypatch.setattr(
        models, "predictor_of_all", lambda net, *, device, **how: devices.append(device)
    )
    predictors._net_predictor.cache_clear()
    yield devices
    predictors._net_predictor.cache_clear()


GIVEN = (None, "cuda", "cuda:1", "cpu")


def taken(device):
    return predictor_for(PredictorSpec("weights", "", device, "auto", None))


def test_dask_worker_takes_the_first_gpu_it_sees_and_loads_one_network(asked):
    how = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(**how) as cluster, distributed.Client(cluster) as client:
        for device in GIVEN:
            client.submit(taken, device).result()
    assert asked == ["cuda:0", "cuda:1", "cpu"], "None and 'cuda' are one network"


def test_outside_of_workers_all_gpus_may_be_taken(asked):
    for device in GIVEN:
        taken(device)
    assert asked == list(GIVEN)


def test_dask_worker_without_gpu_takes_what_is_there(asked, monkeypatch):
    monkeypatch.setattr(predictors, "_on_dask_worker", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    taken(None)
    with pytest.raises(ValueError, match="'cuda' is not on this machine"):
        taken("cuda")
    assert asked == [None]
