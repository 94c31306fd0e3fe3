from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def calibrated():
    """Random networks whose batch norms hold the statistics of data and whose logits have sd 2.

    Plain random weights hide errors: their features hardly vary over the image.
    """
    torch = pytest.importorskip("torch")
    from nimbus.model.unet import UNet

    def make(depth=3, root_filters=4, *, patch=1, seed=0, side=None):
        torch.manual_seed(seed)
        net = UNet(depth=depth, root_filters=root_filters, patch=patch)
        norms = [m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        for norm in norms:
            norm.momentum = None  # plain mean over the passes
            torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
            torch.nn.init.normal_(norm.bias, std=0.3)
        planes = drawn_planes(4, side or 8 * patch * 2 ** (depth - 1), seed=seed + 1)
        with torch.no_grad():
            net.train()(torch.tensor(planes))
            logits = net.eval()(torch.tensor(planes))
            net.final_conv.weight *= 2 / logits.std()
            net.final_conv.bias[:] = -2 * logits.mean() / logits.std()
        return net.eval().requires_grad_(False)

    return make


@pytest.fixture
def threads():
    """Sets the number of threads; puts it back."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def drawn_planes(n, height, width=None, *, seed=0):
    """Channel of bright grains and mask of blocks, ``(n, 2, height, width)``."""
    rng = np.random.default_rng(seed)
    width = width or height
    planes = np.empty((n, 2, height, width), np.float32)
    planes[:, 0] = np.clip(rng.gamma(0.4, 0.5, (n, height, width)), 0, 1)
    blocks = rng.random((n, -(-height // 4), -(-width // 4))) < 0.6
    planes[:, 1] = np.kron(blocks, np.ones((4, 4)))[:, :height, :width]
    planes.flags.writeable = False
    return planes
