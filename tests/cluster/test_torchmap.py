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
