"""Scores of held-out cells, on a device without float64 as Apple's GPUs are."""

# ruff: noqa: E402 (PyTorch may be absent)
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nimbus.model import UNet
from nimbus.train.measure import score_cells
from nimbus.train.samples import Batch, TileSampler

from .conftest import drawn_tiles


class There(torch.Tensor):
    """A tensor of a device that has no float64, until it is brought to the processor."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        home = function is torch.Tensor.cpu or (function is torch.Tensor.to and "cpu" in args[1:])
        if home:
            with torch._C.DisableTorchFunctionSubclass():
                return args[0].as_subclass(torch.Tensor)
        if function is torch.Tensor.double:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        return super().__torch_function__(function, types, args, kwargs or {})


@pytest.mark.parametrize("aggregate", ["interior", "cell"])
def test_a_device_without_float64_gives_the_scores_of_the_processor(monkeypatch, aggregate):
    sampler, bring = TileSampler([drawn_tiles(0)]), Batch.to
    net = UNet(depth=2, root_filters=2)
    here = score_cells(net, sampler, aggregate=aggregate)
    assert len(here.score) > 3
    assert here.score.std() > 0, "scores must vary to prove something"

    def to(batch, device):
        if device != "mps":
            return bring(batch, device)
        every = (batch.planes, batch.masks, batch.ids, batch.labels, batch.source)
        return Batch(*(tensor.as_subclass(There) for tensor in every))

    monkeypatch.setattr(Batch, "to", to)
    there = score_cells(net, sampler, aggregate=aggregate, device="mps")

    np.testing.assert_array_equal(there.score, here.score)
    np.testing.assert_array_equal(there.logit, here.logit)
    np.testing.assert_array_equal(there.truth, here.truth)
