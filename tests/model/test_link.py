"""Devices that take work ahead, in a fake on the processor; and a real one where there is one."""

# ruff: noqa: E402 (PyTorch may be absent)
from contextlib import contextmanager
from operator import attrgetter

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nimbus.model import VIEWS, make_predictor, predictor_of_all
from nimbus.model.link import CudaLink, Link, PlainLink
from nimbus.model.manydevices import ManyDevices
from nimbus.model.predicting import HOST_LOCK
from nimbus.model.predictor import NetPredictor

from .conftest import drawn_planes

CPU = torch.device("cpu")


class Ahead(Link):
    """Takes work ahead, and notes what was asked for and what was waited for."""

    queues = True

    def __init__(self):
        self.told, self.plain = [], PlainLink(CPU)

    def up(self, planes, dtype):
        self.told.append("up")
        return self.plain.up(planes, dtype)

    def back(self, values):
        self.told.append("back")
        value = self.plain.back(values)

        def wait():
            self.told.append("wait")
            return value()

        return wait


class Weights:
    """A network that sees where a pixel lies, and notes its batches."""

    def __init__(self):
        self.batches = []

    def __call__(self, planes):
        self.batches.append(len(planes))
        there = torch.linspace(0, 1, planes.shape[-1]) * 2 + torch.linspace(
            0, 1, planes.shape[-2]
        ).reshape(-1, 1)
        return planes[:, :1] * there


@pytest.mark.parametrize(("shape", "batches"), [((16, 16), [7, 7, 7, 3]), ((16, 24), [7, 5, 7, 5])])
def test_channels_and_views_of_one_shape_fill_batches_together(shape, batches):
    planes = drawn_planes(3, *shape)
    one, many = Weights(), Weights()
    apart = NetPredictor(one, CPU).predict_views(planes, VIEWS)
    each = list(NetPredictor(one, CPU).each_view(planes, VIEWS))
    assert np.abs(each[0] - each[1]).max() > 0.01, "views must differ to prove something"

    ahead = NetPredictor(many, CPU, batch_size=7, link=Ahead())

    for mine, theirs in zip(ahead.each_view(planes, VIEWS), each, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert many.batches == batches
    np.testing.assert_array_equal(ahead.predict_views(planes, VIEWS), apart)


def test_all_views_are_asked_for_before_one_is_waited_for():
    link = Ahead()
    predictor = NetPredictor(Weights(), CPU, batch_size=4, link=link)
    next(iter(predictor.each_view(drawn_planes(2, 8), VIEWS)))
    assert link.told == ["up", *["back"] * 8, "wait"]


def test_another_thread_may_ask_while_values_are_used():
    ahead = NetPredictor(Weights(), CPU, link=Ahead())
    with ahead.lock, ahead.lock:
        views = ahead.each_view(drawn_planes(1, 8), VIEWS)
        next(views)
        assert len(list(ahead.each_view(drawn_planes(1, 8), VIEWS))) == 8
    assert NetPredictor(Weights(), CPU).lock is HOST_LOCK


def test_out_of_memory_halves_batches_of_views_too(caplog):
    class Small(Weights):
        def __call__(self, planes):
            if len(planes) > 4:
                raise torch.OutOfMemoryError("out of memory")
            return super().__call__(planes)

    network, planes = Small(), drawn_planes(2, 16)
    predictor = NetPredictor(network, CPU, batch_size=16, link=Ahead())
    np.testing.assert_array_equal(
        predictor.predict_views(planes, VIEWS),
        NetPredictor(Weights(), CPU).predict_views(planes, VIEWS),
    )
    assert network.batches == [4] * 4
    assert predictor.fitting(256) == 4
    assert len(caplog.records) == 1


@pytest.fixture
def cudnn():
    """Settings of cuDNN, which are PyTorch's own again after the test."""
    yield torch.backends.cudnn
    torch.backends.fp32_precision = torch.backends.cudnn.fp32_precision = "none"
    torch.backends.cudnn.deterministic = torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = True


@pytest.mark.parametrize(
    ("place", "name", "value"),
    [
        ("", "fp32_precision", "tf32"),
        ("", "fp32_precision", "ieee"),
        ("cudnn", "fp32_precision", "tf32"),
        ("cudnn", "fp32_precision", "ieee"),
        ("cudnn.conv", "fp32_precision", "tf32"),
        ("cudnn.conv", "fp32_precision", "ieee"),
        ("cudnn", "allow_tf32", True),
        ("cudnn", "allow_tf32", False),
        ("cudnn", "benchmark", True),
    ],
)
def test_network_runs_without_tf32_whatever_the_user_set_and_leaves_it_set(
    cudnn, place, name, value
):
    def settings():
        return cudnn.conv.fp32_precision, cudnn.deterministic, cudnn.benchmark

    class Asks(Weights):
        def __call__(self, planes):
            self.batches.append(settings())
            return super().__call__(planes)[:, :1]

    holder = attrgetter(place)(torch.backends) if place else torch.backends
    setattr(holder, name, value)
    before, network = settings(), Asks()
    predictor = NetPredictor(network, CPU, link=Ahead())
    predictor.predict_views(drawn_planes(1, 8), VIEWS)
    assert ("ieee", True, False) == network.batches[0] != before
    assert settings() == before
    assert getattr(holder, name) == value


def test_several_devices_take_turns():
    networks = [Weights(), Weights(), Weights()]
    many = ManyDevices(tuple(NetPredictor(one, CPU, link=Ahead()) for one in networks))
    planes = drawn_planes(1, 8)
    results = [many.predict_views(planes, VIEWS) for _ in range(6)]
    assert [len(one.batches) for one in networks] == [16, 16, 16]
    for one in results[1:]:
        np.testing.assert_array_equal(one, results[0])


def test_all_gpus_are_used_where_none_is_chosen(monkeypatch, calibrated):
    from nimbus.model import ready as module

    made = []

    def fake(net, *, device, precision, batch_size):
        made.append(device)
        return NetPredictor(Weights(), CPU)

    monkeypatch.setattr(module, "make_predictor", fake)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    rest = {"precision": "float32", "batch_size": None}
    for device, wanted in [
        (None, ["cuda:0", "cuda:1", "cuda:2"]),
        ("cuda", ["cuda:0", "cuda:1", "cuda:2"]),
        ("cuda:1", ["cuda:1"]),
        ("cpu", ["cpu"]),
    ]:
        made.clear()
        given = predictor_of_all(calibrated(), device=device, **rest)
        assert made == wanted
        assert isinstance(given, ManyDevices) == (len(wanted) > 1)


@pytest.mark.parametrize(
    ("capabilities", "wanted"),
    [
        ([(8, 0), (9, 0)], "bfloat16"),
        ([(8, 0), (7, 5)], "float32"),
        ([(7, 5), (8, 0)], "float32"),
        ([(8, 6)], "bfloat16"),
    ],
)
def test_gpus_of_several_kinds_run_in_one_precision(monkeypatch, calibrated, capabilities, wanted):
    from nimbus.model import ready as module

    made = []

    def fake(net, *, device, precision, batch_size):
        made.append(precision)
        return NetPredictor(Weights(), CPU)

    monkeypatch.setattr(module, "make_predictor", fake)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(capabilities))
    monkeypatch.setattr(
        torch.cuda, "get_device_capability", lambda device: capabilities[device.index or 0]
    )
    predictor_of_all(calibrated(), device=None, precision="auto", batch_size=None)
    assert made == [wanted] * len(capabilities)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_gpu_gives_the_probabilities_of_the_processor(calibrated, precision):
    net, planes = calibrated(depth=3, root_filters=8), drawn_planes(5, 24, 32)
    here = make_predictor(net, device="cpu", precision="float32").predict_views(planes, VIEWS)
    there = make_predictor(net, device="cuda", precision=precision)
    again = there.predict_views(planes, VIEWS)
    assert np.abs(again - here).max() < {"float32": 1e-4, "bfloat16": 0.1}.get(precision, 0.02)
    np.testing.assert_array_equal(there.predict_views(planes, VIEWS), again)


class Streams:
    """CUDA's streams and events as a list of what they were told; copies are made at once."""

    def __init__(self, patch):
        self.told, self.now = [], "run"
        empty = torch.empty

        def to(tensor, *where, non_blocking=False):
            self.told.append(f"{'copy' if non_blocking else 'cast'} in {self.now}")
            return tensor

        def copy(tensor, other, non_blocking=False):
            self.told.append(f"{'copy' if non_blocking else 'WAIT'} in {self.now}")
            tensor.data = other.clone()

        def pinned(*shape, pin_memory=False, **how):
            assert pin_memory, "a copy from or to other memory waits"
            return empty(*shape, **how)

        def keep(tensor, stream):
            self.told.append(f"kept for {stream.name}")

        patch.setattr(torch, "empty", pinned)
        patch.setattr(torch.Tensor, "to", to)
        patch.setattr(torch.Tensor, "copy_", copy)
        patch.setattr(torch.Tensor, "record_stream", keep)
        patch.setattr(torch.cuda, "current_stream", lambda device: Stream(self, "run"))
        patch.setattr(torch.cuda, "stream", self.within)
        patch.setattr(torch.cuda, "Event", lambda blocking: Event(self))

    @contextmanager
    def within(self, stream):
        before, self.now = self.now, stream.name
        yield
        self.now = before


class Stream:
    def __init__(self, streams, name):
        self.streams, self.name = streams, name

    def wait_stream(self, other):
        self.streams.told.append(f"{self.name} waits for {other.name}")


class Event:
    def __init__(self, streams):
        self.streams = streams

    def record(self, stream):
        self.streams.told.append(f"event in {stream.name}")

    def synchronize(self):
        self.streams.told.append("host waits")


def test_streams_wait_for_each_other_and_the_host_for_the_last_alone():
    with pytest.MonkeyPatch.context() as patch:
        streams = Streams(patch)
        link = CudaLink(CPU, Stream(streams, "up"), Stream(streams, "back"))
        planes = drawn_planes(1, 8)
        planes.flags.writeable = False
        there = link.up(planes, torch.float32)
        assert streams.told == ["copy in up", "cast in up", "run waits for up", "kept for run"]
        streams.told.clear()
        value = link.back(there)
        assert streams.told == [
            "back waits for run", "copy in back", "event in back", "kept for back"
        ]  # fmt: skip
        np.testing.assert_array_equal(value(), planes)
        assert streams.told[-1] == "host waits"
