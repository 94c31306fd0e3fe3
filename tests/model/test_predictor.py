# ruff: noqa: E402 (PyTorch may be absent)
import logging
import weakref

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nimbus.model import choose_device
from nimbus.model.device import choose_dtype
from nimbus.model.link import PlainLink
from nimbus.model.predictor import NetPredictor

from .conftest import drawn_planes

CPU = torch.device("cpu")


class Small:
    """A network on a device with room for `room` images."""

    def __init__(self, room, error=None):
        self.room, self.batches = room, []
        self.error = error or torch.OutOfMemoryError("out of memory")

    def __call__(self, planes):
        if len(planes) > self.room:
            raise self.error
        self.batches.append(len(planes))
        return planes[:, :1]


def test_out_of_memory_halves_the_batch_and_is_said_once(caplog):
    network = Small(room=2)
    predictor = NetPredictor(network, CPU, batch_size=7)
    planes = drawn_planes(7, 4)

    with caplog.at_level(logging.WARNING):
        result = predictor.predict(planes)
        predictor.predict(planes)

    np.testing.assert_allclose(result, 1 / (1 + np.exp(-planes[:, :1])), atol=1e-6)
    assert network.batches == [1] * 14, "7 to 3 to 1, and no new try"
    assert len(caplog.records) == 1
    assert "7 tiles at once; going on with 3" in caplog.text


def test_out_of_memory_of_a_single_tile_is_an_error_that_helps():
    predictor = NetPredictor(Small(room=0), CPU, batch_size=4)

    with pytest.raises(MemoryError, match="cpu is out of memory.*smaller tile_size") as caught:
        predictor.predict(drawn_planes(4, 4))
    assert isinstance(caught.value.__cause__, torch.OutOfMemoryError)


@pytest.mark.parametrize(
    "said",
    [
        "MPS backend out of memory (MPS allocated: 18.01 GB, max allowed: 18.13 GB).",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "GET was unable to find an engine to execute this computation",
        "input tensor must fit into 32-bit index math",
    ],
)
def test_out_of_memory_is_known_by_what_devices_say(said):
    network, planes = Small(room=2, error=RuntimeError(said)), drawn_planes(5, 4)
    NetPredictor(network, CPU, batch_size=4).predict(planes)
    assert network.batches == [2, 2, 1]


def test_other_errors_of_a_network_come_through_at_once():
    network = Small(room=2, error=RuntimeError("sizes do not match"))
    with pytest.raises(RuntimeError, match="sizes do not match"):
        NetPredictor(network, CPU, batch_size=4).predict(drawn_planes(4, 4))
    assert network.batches == []


def test_unused_memory_of_mps_is_given_back_before_the_next_try(monkeypatch):
    emptied = []
    monkeypatch.setattr(torch.mps, "empty_cache", lambda: emptied.append(True))
    error = RuntimeError("MPS backend out of memory")
    predictor = NetPredictor(
        Small(room=2, error=error), torch.device("mps"), batch_size=4, link=PlainLink(CPU)
    )
    predictor.predict(drawn_planes(4, 4))
    assert emptied == [True]


class Feature:
    """Something large."""


class Full(Small):
    """Out of memory while it holds a feature."""

    def __init__(self, room):
        super().__init__(room, RuntimeError("MPS backend out of memory"))
        self.held = lambda: None

    def __call__(self, planes):
        feature = Feature()
        self.held = weakref.ref(feature)
        return super().__call__(planes)


def test_features_are_dropped_before_unused_memory_is_given_back(monkeypatch):
    network, left = Full(room=2), []
    monkeypatch.setattr(torch.mps, "empty_cache", lambda: left.append(network.held()))
    mps = NetPredictor(network, torch.device("mps"), batch_size=4, link=PlainLink(CPU))
    mps.predict(drawn_planes(4, 4))
    assert left == [None]


def test_an_error_that_a_notebook_keeps_holds_no_features():
    network = Full(room=0)
    with pytest.raises(MemoryError) as kept:
        NetPredictor(network, CPU).predict(drawn_planes(1, 4))
    assert kept.value.__cause__ is not None
    assert network.held() is None


def test_a_batch_has_the_same_bytes_in_every_format():
    gpu, n_pixels = torch.device("cuda"), 1024 * 1024
    fitting = {
        dtype: NetPredictor(Small(room=1), gpu, dtype).fitting(n_pixels)
        for dtype in (torch.bfloat16, torch.float16, torch.float32)
    }
    assert fitting == {torch.bfloat16: 4, torch.float16: 4, torch.float32: 2}


def test_processor_takes_one_tile_at_a_time():
    network = Small(room=1)

    NetPredictor(network, CPU).predict(drawn_planes(3, 4))

    assert network.batches == [1, 1, 1]


def test_absent_device_is_an_error_not_the_processor(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)

    with pytest.raises(ValueError, match="'cuda' is not on this machine; there is: 'cpu'"):
        choose_device("cuda")
    with pytest.raises(ValueError, match="'gpu' is not known"):
        choose_device("gpu")
    assert choose_device(None) == CPU


def test_best_device_comes_first(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)

    assert choose_device(None).type == "cuda"
    assert choose_device("cuda:1") == torch.device("cuda:1")
    assert choose_device("mps").type == "mps"
    with pytest.raises(ValueError, match="'cuda:2' is not on this machine.*'cuda:1'"):
        choose_device("cuda:2")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert choose_device(None).type == "mps"


def test_a_gpu_whose_driver_is_too_old_is_not_taken(monkeypatch):
    # NVIDIA's management library counts it all the same.
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)

    with pytest.warns(UserWarning, match="cannot use the GPU .* driver is too old"):
        assert choose_device(None) == CPU
    with pytest.raises(ValueError, match="'cuda:0' is not on this machine; there is: 'cpu'"):
        choose_device("cuda:0")


@pytest.mark.parametrize(("tiles", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_precision_is_bfloat16_where_the_processor_is_fast_in_it(monkeypatch, tiles, dtype):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: tiles)

    assert choose_dtype("auto", CPU) == dtype


def test_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="precision 'double' is not known.*'bfloat16'"):
        choose_dtype("double", CPU)
