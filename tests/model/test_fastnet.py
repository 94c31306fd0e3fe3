# ruff: noqa: E402 (PyTorch may be absent)
import itertools
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nimbus.model.fastconv import convolve, fast_conv
from nimbus.model.fastnet import fast_unet
from nimbus.model.phased import phased, phased_shape
from nimbus.model.strips import Scratch, Workers, workers
from nimbus.model.unet import reflect_pad
from nimbus.model.winograd import transformed_weights, transforms

from .conftest import drawn_planes

ROUNDING = {"atol": 1e-4, "rtol": 0}


@pytest.fixture(autouse=True)
def inference():
    with torch.inference_mode():
        yield


def test_transforms_give_the_convolution_of_any_tile():
    outward, taps, inward = transforms()
    rng = np.random.default_rng(0)
    d, g = rng.normal(size=6), rng.normal(size=3)

    np.testing.assert_allclose(outward @ ((taps @ g) * (inward @ d)), np.correlate(d, g))


def test_weights_are_transformed_along_both_axes():
    _, taps, _ = transforms()
    torch.manual_seed(0)
    weight = torch.randn(3, 2, 3, 3)

    matrices = transformed_weights(weight).view(6, 6, 2, 3)

    expected = taps @ weight[2, 1].double().numpy() @ taps.T  # (y, x)
    np.testing.assert_allclose(matrices[:, :, 1, 2], expected.T, atol=1e-6)


def test_outer_columns_reach_one_product_each():
    _, _, inward = transforms()

    assert np.flatnonzero(inward[:, 0]).tolist() == [0]
    assert np.flatnonzero(inward[:, 5]).tolist() == [5]


def image_of(values):
    """Phased image of ``(feature, y, x)``; all it does not own holds sevens."""
    n, height, width = values.shape
    memory = torch.full((phased_shape(height, width, n).numel(),), 7.0)
    image = phased(memory, height=height, width=width, n_features=n)
    for y, x in itertools.product(range(height), range(width)):
        image.data[1 + y, x % 4, 1 + x // 4] = values[:, y, x]
    return image


def values_of(image, y0=0, y1=None, x0=0, x1=None):
    """``(feature, y, x)``; -1 is the rim."""
    rows = range(y0, image.height if y1 is None else y1)
    columns = range(x0, image.width if x1 is None else x1)
    return torch.stack(
        [torch.stack([image.data[1 + y, x % 4, 1 + x // 4] for x in columns]) for y in rows]
    ).permute(2, 0, 1)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 3), (4, 8), (5, 6), (3, 7)])
def test_rim_reflects_as_padding_does(height, width):
    values = torch.randn(2, height, width)
    image = image_of(values)

    image.fill_rim()

    seen = values_of(image, -1, height + 1, -1, width + 1)
    assert torch.equal(seen, reflect_pad(values[None])[0])


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 2), (8, 8), (9, 7), (6, 13)])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_fast_convolution_is_the_convolution(threads, height, width, n_threads):
    threads(n_threads)
    torch.manual_seed(0)
    values, weight, bias = torch.randn(5, height, width), torch.randn(3, 5, 3, 3), torch.randn(3)
    expected = torch.conv2d(reflect_pad(values[None]).double(), weight.double(), bias.double())
    source, target = image_of(values), image_of(torch.full((3, height, width), 2.0))
    source.fill_rim()

    with workers() as work:
        convolve(fast_conv(weight, bias), source, target, work)
        torch.testing.assert_close(values_of(target), expected[0].relu().float(), **ROUNDING)
        convolve(fast_conv(weight, bias), source, target, work, add=True)

    torch.testing.assert_close(values_of(target), 2 * expected[0].relu().float(), **ROUNDING)


def test_what_memory_held_before_changes_no_bit():
    torch.manual_seed(0)
    values, conv = torch.randn(5, 6, 7), fast_conv(torch.randn(3, 5, 3, 3), torch.randn(3))
    results = []
    for content in (0.0, 1e6):
        source, target = image_of(values), image_of(torch.zeros(3, 6, 7))
        clean = values_of(source).clone()
        source.data.fill_(content)
        for y, x in itertools.product(range(6), range(7)):
            source.data[1 + y, x % 4, 1 + x // 4] = clean[:, y, x]
        source.fill_rim()
        with workers() as work:
            convolve(conv, source, target, work)
        results.append(values_of(target))

    assert torch.equal(*results)


SIZES = [(3, 4, 4), (3, 12, 20), (4, 8, 24), (4, 40, 16), (5, 16, 16), (5, 48, 80)]


@pytest.mark.parametrize(("depth", "height", "width"), SIZES)
@pytest.mark.parametrize("patch", [1, 2, 3])
def test_fast_network_is_the_network(calibrated, depth, height, width, patch):
    net = calibrated(depth, 3, patch=patch)
    planes = torch.tensor(drawn_planes(2, patch * height, patch * width))
    expected = net.double()(planes.double())
    fast = fast_unet(net.float())

    assert expected.std() > 0.2, "logits must vary to prove something"
    for _ in range(2):  # the second time in memory that was used
        assert (fast(planes) - expected).abs().max() < 5e-5
    assert (net(planes) - expected).abs().max() < 5e-5, "no worse than the network itself"


def test_number_of_threads_changes_no_bit_and_is_left_as_it_was(calibrated, threads):
    planes = torch.tensor(drawn_planes(1, 64, 48))
    fast = fast_unet(calibrated(4, 8))
    results = []
    for n_threads in (1, 2, 3):
        threads(n_threads)
        results.append(fast(planes))
        assert torch.get_num_threads() == n_threads

    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


def test_error_in_a_strip_reaches_the_caller(threads):
    threads(2)

    def work(start, stop, scratch):
        raise ValueError(f"strip {start}")

    with workers() as pool, pytest.raises(ValueError, match=r"strip \d"):
        pool.each_strip(work, 4, 1)
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(("n_rows", "strip", "n_threads"), [(7, 3, 1), (7, 100, 2), (1, 1, 4)])
def test_strips_cover_the_rows_once(n_rows, strip, n_threads):
    seen = []
    free = SimpleQueue()
    free.put(Scratch())
    Workers(free, n_threads).each_strip(lambda a, b, _: seen.append((a, b)), n_rows, strip)

    assert [row for a, b in seen for row in range(a, b)] == list(range(n_rows))
    assert all(b - a <= strip for a, b in seen)
    assert len(seen) >= min(n_rows, n_threads), "something to do for each thread"


def test_threads_that_start_later_have_as_many_threads_as_before(calibrated, threads):
    threads(2)
    fast_unet(calibrated())(torch.tensor(drawn_planes(1, 8)))

    with ThreadPoolExecutor(1) as fresh:
        assert fresh.submit(torch.get_num_threads).result() == 2
