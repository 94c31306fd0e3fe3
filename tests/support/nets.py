"""Random networks whose errors would show: batch norms from data, logits of sd 2."""

from __future__ import annotations

import numpy as np
import torch

from nimbus.core.scalerule import ScaleRule
from nimbus.model import ModelCard, UNet, save_checkpoint

from .reference import mask_plane_by_skimage
from .tissue import draw_image, draw_labels


def calibrated_net(*, depth=5, root_filters=4, patch=1, seed=0):
    """A network with random weights, batch-norm statistics of tissue and logits of sd 2."""
    generator = torch.Generator().manual_seed(seed)
    net = UNet(depth=depth, root_filters=root_filters, patch=patch)
    labels = draw_labels((256, 320), n_cells=400, seed=seed)
    image = draw_image(labels, n_channels=4, seed=seed)
    channels = np.clip(image / np.quantile(image, 0.999, axis=(1, 2), keepdims=True), 0, 1)
    mask = mask_plane_by_skimage(labels)
    planes = np.stack([np.stack([c[::2, ::2], mask]) for c in channels]).astype(np.float32)
    with torch.no_grad():
        for value in net.parameters():
            fan_in = value[0].numel() if value.ndim > 1 else 200
            value.copy_(torch.randn(value.shape, generator=generator) * (2 / fan_in) ** 0.5)
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None
                module.weight.copy_(1 + 0.2 * torch.randn(module.weight.shape, generator=generator))
                module.bias.copy_(0.2 * torch.randn(module.bias.shape, generator=generator))
        net.train()
        net(torch.from_numpy(planes))
        net.eval()
        logits = net(torch.from_numpy(planes))
        net.final_conv.weight.mul_(2 / logits.std())
        net.final_conv.bias.copy_(-2 * logits.mean() / logits.std())
    return net


def saved_net(path, *, aggregate="cell", **options):
    """Path of a calibrated network on disk."""
    net = calibrated_net(**options)
    card = ModelCard(
        name="random",
        depth=net.depth,
        root_filters=net.root_filters,
        patch=net.patch,
        pixel_size_um=1.0,
        scale=ScaleRule(0.9999),
        aggregate=aggregate,
    )
    save_checkpoint(path, net, card)
    return path
