"""Views of tensors, and networks that see a view of their planes without a copy."""

from __future__ import annotations

from torch import Tensor

from .card import architecture
from .patches import FIRST, LAST
from .unet import IN_PLANES, UNet
from .views import View


def turned(x: Tensor, view: View) -> Tensor:
    """`view` of a tensor, axes ``(..., y, x)``."""
    return _flipped(x.transpose(-1, -2) if view.transpose else x, view)


def turned_back(x: Tensor, view: View) -> Tensor:
    """The tensor that has this view."""
    x = _flipped(x, view)
    return x.transpose(-1, -2) if view.transpose else x


def turned_net(net: UNet, view: View) -> UNet:
    """The network that gives what `net` makes of a view of planes, turned back.

    Its kernels are turned, so that neither planes nor logits need to be.

    Parameters
    ----------
    net
        It is not changed.
    view
        What `net` is to see.

    Examples
    --------
    >>> import torch
    >>> from nimbus.model import VIEWS
    >>> net, planes = UNet(depth=3, root_filters=4).eval(), torch.rand(1, 2, 16, 20)
    >>> with torch.inference_mode():
    ...     seen = turned_back(net(turned(planes, VIEWS[1])), VIEWS[1])
    ...     torch.allclose(turned_net(net, VIEWS[1])(planes), seen, atol=1e-5)
    True
    """
    patch = net.patch
    state = net.state_dict()
    for name, value in state.items():
        if name == FIRST:  # pixels of a patch: (feature, plane, y, x)
            pixels = value.reshape(-1, IN_PLANES, patch, patch)
            state[name] = turned_back(pixels, view).reshape(value.shape)
        elif name in LAST:  # (y, x, ...)
            pixels = value.reshape(patch, patch, -1).movedim(-1, 0)
            state[name] = turned_back(pixels, view).movedim(0, -1).reshape(value.shape)
        elif value.ndim == 4:
            state[name] = turned_back(value, view).contiguous()
    other = UNet(**architecture(net))
    other.load_state_dict(state)
    return other.train(net.training)


def _flipped(x: Tensor, view: View) -> Tensor:
    axes = [axis for axis, flip in ((-2, view.flip_y), (-1, view.flip_x)) if flip]
    return x.flip(axes) if axes else x
