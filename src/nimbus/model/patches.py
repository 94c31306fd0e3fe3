"""A network that takes finer planes, made of one that was trained on coarse ones."""

from __future__ import annotations

from .card import architecture
from .unet import UNet

FIRST, LAST = "contracting_layers.0.conv2d_0.weight", ("final_conv.weight", "final_conv.bias")


def in_patches(net: UNet, patch: int) -> UNet:
    """The network of patches that begins as `net`: the pixels of a patch count alike.

    On planes that are `patch` times finer it gives what `net` gives on their means (where its
    exponent is not 1, on means of powers). Training
    then teaches it to tell the pixels apart.

    Parameters
    ----------
    net
        A network with a patch of 1; it is not changed.
    patch
        Pixels along each side of a place of the new network.

    Raises
    ------
    ValueError
        If `net` has patches already.

    Examples
    --------
    >>> import torch
    >>> fine = in_patches(UNet(depth=2, root_filters=1).eval(), 2)
    >>> fine(torch.zeros(1, 2, 8, 8)).shape
    torch.Size([1, 1, 8, 8])
    """
    if net.patch != 1:
        raise ValueError(f"the network has patches of {net.patch} already")
    state = net.state_dict()
    state[FIRST] = state[FIRST].repeat_interleave(patch**2, dim=1) / patch**2
    for name in LAST:
        state[name] = state[name].repeat_interleave(patch**2, dim=0)
    fine = UNet(**architecture(net) | {"patch": patch})
    fine.load_state_dict(state)
    return fine.train(net.training)
