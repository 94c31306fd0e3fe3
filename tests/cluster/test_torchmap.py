import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from nimbus.cluster.assign import assign_nodes
from nimbus.cluster.batchmap import NumpyPass
from nimbus.cluster.codebook import Codebook
from nimbus.cluster.grid import Grid
from nimbus.cluster.rows import ArrayRows
from nimbus.cluster.som import train_som
from support.planted import plant_types

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("importance", [None, np.linspace(0, 2, 10)])
def test_pytorch_gives_the_same_map_but_for_rounding(importance):
    from nimbus.cluster.torchmap import make_passes

    values, _ = plant_types(2000)
    values[7, 3] = np.nan
    rows, grid = ArrayRows(values), Grid(4, 6)
    make_pass, make_assign = make_passes("cpu")
    one = train_som(rows, grid, importance=importance)
    two = train_som(rows, grid, importance=importance, make_pass=make_pass)
    np.testing.assert_allclose(two.codebook.profiles, one.codebook.profiles, atol=1e-5)
    first = assign_nodes(rows, one.codebook, grid)
    second = assign_nodes(rows, one.codebook, grid, make_assign=make_assign)
    np.testing.assert_array_equal(second.node, first.node)
    np.testing.assert_allclose(second.distance, first.distance, rtol=1e-5)
    assert second.topographic_error == first.topographic_error
    np.testing.assert_allclose(second.sums.total, first.sums.total)


def test_pass_needs_no_float64_of_the_device_and_sums_as_numpy_does():
    from torch.utils._python_dispatch import TorchDispatchMode

    from nimbus.cluster.torchmap import TorchPass

    class NoDouble(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            out = function(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor) and out.dtype == torch.float64:
                raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
            return out

    values, _ = plant_types(500)
    values[7, 3] = np.nan
    codebook = Codebook(
        values[20:29].astype(np.float64), values[20:29].mean(axis=0), np.ones(10, np.float32)
    )
    wanted = NumpyPass.of(codebook)(values)
    assert (wanted.count > 0).sum() > 1
    with NoDouble():
        sums = TorchPass.of(codebook, device="cpu")(values)
    np.testing.assert_array_equal(sums.count, wanted.count)
    np.testing.assert_array_equal(sums.total, wanted.total)


def test_one_thread_at_a_time_uses_an_apple_gpu_and_all_use_others(monkeypatch):
    from nimbus.cluster import torchmap

    together, most = [], []
    products = torchmap._nearness

    def slow(*given):
        together.append(True)
        most.append(len(together))
        time.sleep(0.02)
        near = products(*given)
        together.pop()
        return near

    monkeypatch.setattr(torchmap, "_nearness", slow)
    values, _ = plant_types(64)
    codebook = Codebook(values[:6].astype(np.float64), values.mean(axis=0), np.ones(10, np.float32))
    find, assign = (make(codebook, *more) for make, more in zip(
        torchmap.make_passes("cpu"), [(), (Grid(2, 3),)], strict=True
    ))  # fmt: skip

    def largest():
        most.clear()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda k: (find, assign)[k % 2](values), range(8)))
        return max(most)

    assert largest() > 1, "proves nothing: threads come one after the other anyway"
    alone = torchmap._alone
    monkeypatch.setattr(torchmap, "_alone", lambda device: alone(torch.device("mps")))
    assert largest() == 1


def test_nothing_but_cells_and_nodes_crosses_to_the_device():
    from nimbus.cluster.torchmap import _nearness

    origin, products = torch.zeros(3, device="meta"), torch.zeros(4, 6, device="meta")
    near = _nearness(np.zeros((5, 3), np.float32), origin, products)
    assert near.shape == (5, 6)
    assert near.scatter_(1, near.argmax(dim=1, keepdim=True), -torch.inf).device.type == "meta"
