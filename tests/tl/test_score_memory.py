"""A device that is out of memory: the same scores from smaller batches, said once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import nimbus
from support.tissue import draw_sdata

torch = pytest.importorskip("torch")

from nimbus.model import ready as module  # noqa: E402 - needs torch
from support.nets import saved_net  # noqa: E402


class Small:
    """A network on a device with room for two tiles."""

    def __init__(self, network):
        self.network, self.refused, self.batches = network, [], []

    def __call__(self, planes):
        if len(planes) > 2:
            self.refused.append(len(planes))
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        self.batches.append(len(planes))
        return self.network(planes)


def table(weights, **options):
    sdata = draw_sdata([(90, 120), (100, 80)], n_channels=5)
    options = {"tile_size": 16, "show_progress_bar": False, "precision": "float32"} | options
    nimbus.tl.score(sdata, model=weights, **options)
    return sdata.tables["table"]


@pytest.mark.parametrize("tta", [False, True])
def test_scores_stay_the_same_and_it_is_said_once(tmp_path, monkeypatch, caplog, tta):
    calm = table(saved_net(tmp_path / "a.safetensors", depth=3, root_filters=2), tta=tta)
    small, made = [], module.make_predictor

    def in_little_memory(*net, **options):
        ready = made(*net, **options)
        small.append(Small(ready.network))
        return replace(ready, network=small[-1])

    monkeypatch.setattr(module, "make_predictor", in_little_memory)
    weights = saved_net(tmp_path / "b.safetensors", depth=3, root_filters=2)  # not yet loaded

    full = table(weights, tta=tta, batch_size=5, n_jobs=2)

    [network] = small
    assert network.refused == [5], "it was not out of memory, or tried so much again"
    assert max(network.batches) == 2
    for layer in ("nimbus", "integrated"):
        np.testing.assert_array_equal(full.layers[layer], calm.layers[layer])
    told = [one.getMessage() for one in caplog.records if one.name.startswith("nimbus")]
    assert told == ["cpu is out of memory with 5 tiles at once; going on with 2"]
