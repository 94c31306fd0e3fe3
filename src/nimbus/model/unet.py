"""The residual U-Net of the published checkpoint, parameter for parameter."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

IN_PLANES = 2
"""Channel and mask."""


def seen(planes: Tensor, exponent: float) -> Tensor:
    """Planes ``(..., 2, y, x)`` as a network sees them: the channel to the power of `exponent`.

    Examples
    --------
    >>> seen(torch.tensor([[[0.25]], [[1.0]]]), 0.5).flatten().tolist()
    [0.5, 1.0]
    """
    if exponent == 1:
        return planes
    powered = planes.clone()  # once for all of it: fresh memory costs more than the power
    powered[..., 0, :, :].clamp_(min=0).pow_(exponent)
    return powered


def reflect_pad(x: Tensor) -> Tensor:
    """`x` with one more pixel on each side, reflected without repeating the edge.

    A side of one pixel has nothing to reflect and is repeated, as :func:`numpy.pad` does.
    """
    height, width = x.shape[-2:]
    if height > 1 and width > 1:
        return F.pad(x, (1, 1, 1, 1), mode="reflect")
    x = F.pad(x, (1, 1, 0, 0), mode="reflect" if width > 1 else "replicate")
    return F.pad(x, (0, 0, 1, 1), mode="reflect" if height > 1 else "replicate")


class ConvBlock(nn.Module):
    """1x1 convolution, then two 3x3 convolutions added to its result.

    ::

        x -- conv2d_0 --+-- conv2d_1 - bn_1 - relu -- conv2d_2 - bn_2 - relu --(+)--
                        |                                                       |
                        +-------------------------------------------------------+
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.conv2d_0 = nn.Conv2d(n_in, n_out, kernel_size=1)
        self.conv2d_1 = nn.Conv2d(n_out, n_out, kernel_size=3)
        self.bn_1 = nn.BatchNorm2d(n_out)
        self.conv2d_2 = nn.Conv2d(n_out, n_out, kernel_size=3)
        self.bn_2 = nn.BatchNorm2d(n_out)

    def forward(self, x: Tensor) -> Tensor:
        """Features of the block, same height and width as `x`."""
        skip: Tensor = self.conv2d_0(x)
        x = F.relu(self.bn_1(self.conv2d_1(reflect_pad(skip))))
        x = F.relu(self.bn_2(self.conv2d_2(reflect_pad(x))))
        return x + skip


class UpBlock(nn.Module):
    """Doubles height and width and halves the features."""

    def __init__(self, n_in: int) -> None:
        super().__init__()
        self.upconv = nn.ConvTranspose2d(n_in, n_in // 2, kernel_size=2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Features at twice the height and width of `x`."""
        return F.relu(self.upconv(x))


class UNet(nn.Module):
    """Residual U-Net from two planes (channel, mask) to one logit per pixel.

    Parameters
    ----------
    depth
        Number of resolutions.
    root_filters
        Features at the full resolution; doubled at each level.
    patch
        Pixels along each side that are one place of the network: its full resolution is that many
        times coarser than the planes, and the pixels of a place are inputs (and outputs) of
        their own. Height and width must be multiples of ``patch * 2 ** (depth - 1)``.
    exponent
        The network sees the channel to this power. 0.5, the square root, spreads what is dim and
        makes the noise of counted photons and ions even.

    Raises
    ------
    ValueError
        `depth` below 2, `root_filters` or `patch` below 1, `exponent` not above 0.

    Notes
    -----
    Names and shapes of the parameters are those of the published PyTorch network
    (Nimbus-Inference 0.0.5, MIT), whose modules without parameters hold the odd numbers:
    ``contracting_layers.{0, 2, ...}`` and ``expanding_layers.{0, 3, ...}.upconv``,
    ``expanding_layers.{2, 5, ...}``. That network ends in a sigmoid; this one gives the logit.
    It has a `patch` and an `exponent` of 1. A patch of 2 sees pixels half as wide at the same cost,
    after the sub-pixel convolution of Shi et al. 2016 (arXiv:1609.05158).

    Examples
    --------
    >>> net = UNet(depth=3, root_filters=4).eval()
    >>> net(torch.zeros(1, 2, 16, 20)).shape
    torch.Size([1, 1, 16, 20])
    """

    def __init__(
        self, *, depth: int = 5, root_filters: int = 64, patch: int = 1, exponent: float = 1.0
    ) -> None:
        super().__init__()
        if depth < 2 or root_filters < 1 or patch < 1 or not exponent > 0:
            raise ValueError(
                "depth must be at least 2, root_filters and patch at least 1, exponent above 0, "
                f"not {depth}, {root_filters}, {patch}, {exponent}"
            )
        self.depth, self.root_filters, self.patch = depth, root_filters, patch
        self.exponent = exponent
        filters = [root_filters * 2**level for level in range(depth)]
        self.contracting_layers = nn.ModuleList()
        for n_in, n_out in zip([IN_PLANES * patch**2, *filters], filters[:-1], strict=False):
            self.contracting_layers += [ConvBlock(n_in, n_out), nn.MaxPool2d(2)]
        self.bottle_neck = ConvBlock(filters[-2], filters[-1])
        self.expanding_layers = nn.ModuleList()
        for n_in in reversed(filters[1:]):
            # The published list holds a module without parameters (concatenation) between the two.
            self.expanding_layers += [UpBlock(n_in), nn.Identity(), ConvBlock(n_in, n_in // 2)]
        self.final_conv = nn.Conv2d(root_filters, patch**2, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """Logit of each pixel.

        Parameters
        ----------
        x
            Planes ``(n, 2, y, x)``: channel in [0, 1] and mask 0/1.

        Returns
        -------
        Logits ``(n, 1, y, x)``.
        """
        skips: list[Tensor] = []
        x = F.pixel_unshuffle(seen(x, self.exponent), self.patch)
        for block, pool in _grouped(self.contracting_layers, 2):
            skips.append(block(x))
            x = pool(skips[-1])
        x = self.bottle_neck(x)
        for up, _, block in _grouped(self.expanding_layers, 3):
            x = block(torch.cat([skips.pop(), up(x)], dim=1))
        return F.pixel_shuffle(self.final_conv(x), self.patch)


def _grouped(layers: nn.ModuleList, size: int) -> list[list[nn.Module]]:
    every = list(layers)
    return [every[start : start + size] for start in range(0, len(every), size)]
