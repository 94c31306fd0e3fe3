"""A network as an ONNX file, for other programs and runtimes."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from nimbus._optional import required_module

from .card import CardError, ModelCard
from .fold import FoldedBlock, FoldedUNet
from .unet import IN_PLANES, UNet

INPUT, OUTPUT = "planes", "probability"
"""Names of the graph's one input and one output."""

CARD_KEY = "nimbus_card"
"""Metadata entry that holds the card as JSON."""

OPSET, IR_VERSION = 17, 8
"""Read by every runtime since 2022; nothing newer is needed."""

TOLERANCE = 1e-4
"""Largest difference of a probability from PyTorch's that passes as rounding."""


def export_onnx(net: UNet, card: ModelCard, path: str | Path) -> None:
    """Write a network as ONNX: batch norms folded, with a sigmoid, its card in the metadata.

    Parameters
    ----------
    net
        In evaluation mode; it is not changed.
    card
        What must be known besides the weights; it goes along as JSON under ``"nimbus_card"``.
    path
        The file; it is there whole, or as before.

    Notes
    -----
    Input ``planes`` is float32 ``(n, 2, y, x)``: the scaled channel and the mask plane. Output
    ``probability`` is ``(n, 1, y, x)``. All of n, y and x are free; y and x are multiples of
    ``card.multiple`` and at least twice that, since ONNX has no reflection of a single pixel.

    Raises
    ------
    ImportError
        The extra ``onnx`` is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from nimbus.core.scalerule import ScaleRule
    >>> card = ModelCard(
    ...     name="tiny", depth=3, root_filters=4, pixel_size_um=1.0, scale=ScaleRule(0.999)
    ... )
    >>> path = Path(tempfile.mkdtemp()) / "tiny.onnx"
    >>> export_onnx(UNet(depth=3, root_filters=4).eval(), card, path)
    >>> read_onnx_card(path) == card
    True
    """
    onnx = required_module("onnx", extra="onnx")
    graph = _Graph(onnx)
    graph.unet(FoldedUNet(net))
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            graph.nodes,
            card.name or "nimbus",
            [_value(onnx, INPUT, IN_PLANES)],
            [_value(onnx, OUTPUT, 1)],
            graph.weights,
        ),
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="nimbus",
        doc_string=(
            f"{INPUT} (n, {IN_PLANES}, y, x): scaled channel and mask; y and x are multiples of "
            f"{card.multiple}, at least {2 * card.multiple}"
        ),
    )
    onnx.helper.set_model_props(model, {CARD_KEY: card.to_json()})
    onnx.checker.check_model(model, full_check=True)
    target = Path(path)
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    try:
        onnx.save(model, part)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def read_onnx_card(path: str | Path) -> ModelCard:
    """The card in the metadata of an exported file.

    Raises
    ------
    FileNotFoundError
        No such file.
    CardError
        No ONNX file, or a damaged one; no card, or one that is refused.
    """
    onnx = required_module("onnx", extra="onnx")
    protobuf = required_module("google.protobuf.message", extra="onnx")
    try:
        model = onnx.load(path, load_external_data=False)
    except protobuf.DecodeError as error:
        raise CardError(f"{path}: damaged, or not an ONNX file ({error})") from error
    entries = {entry.key: entry.value for entry in model.metadata_props}
    if CARD_KEY not in entries:
        raise CardError(f"{path}: holds no card of nimbus; nimbus export writes one")
    return ModelCard.from_json(entries[CARD_KEY], where=str(path))


def onnx_difference(path: str | Path, net: UNet, card: ModelCard) -> float:
    """Largest difference between an exported file, run by ONNX Runtime, and PyTorch.

    Two shapes of planes are tried: the smallest, and one that is neither square nor single.

    Raises
    ------
    ImportError
        The extra ``onnx`` is not installed.
    """
    runtime = required_module("onnxruntime", extra="onnx")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    device = next(net.parameters()).device
    largest = 0.0
    for n, rows, columns in ((1, 2, 2), (2, 3, 5)):
        planes = rng.random((n, IN_PLANES, rows * card.multiple, columns * card.multiple))
        planes = planes.astype(np.float32)
        [got] = session.run([OUTPUT], {INPUT: planes})
        with torch.inference_mode():
            wanted = torch.sigmoid(net(torch.from_numpy(planes).to(device))).cpu().numpy()
        largest = max(largest, float(np.abs(got - wanted).max()))
    return largest


def _value(onnx: Any, name: str, n_planes: int) -> Any:
    """A float32 image whose number, height and width are free."""
    shape = ["n", n_planes, "y", "x"]
    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)


Name: TypeAlias = str
"""A value of the graph."""


class _Graph:
    """Nodes and weights of a graph that grows; each method adds nodes and names their output."""

    def __init__(self, onnx: Any) -> None:
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        pads = np.array([0, 0, 1, 1, 0, 0, 1, 1], dtype=np.int64)  # begins, then ends, of n c y x
        self.weights.append(onnx.numpy_helper.from_array(pads, "one_around"))

    def unet(self, net: FoldedUNet) -> None:
        """The whole network, from `INPUT` to `OUTPUT`."""
        x, skips = self.places(net.patch, net.exponent), []
        for block in net.down:
            skips.append(self.block(x, block))
            x = self.add("MaxPool", [skips[-1]], kernel_shape=[2, 2], strides=[2, 2])
        x = self.block(x, net.bottom)
        for lift, block in zip(net.lift, net.up, strict=True):
            lifted = self.add("Relu", [self.convolution(x, lift, "ConvTranspose", strides=[2, 2])])
            x = self.block(self.add("Concat", [skips.pop(), lifted], axis=1), block)
        x = self.convolution(x, net.last, "Conv")
        if net.patch > 1:
            x = self.add("DepthToSpace", [x], blocksize=net.patch, mode="CRD")
        self.add("Sigmoid", [x], name=OUTPUT)

    def places(self, patch: int, exponent: float) -> Name:
        """The input as the network sees it, and pixels of a patch as planes.

        They are in the order of PyTorch: plane, then y, then x.
        """
        if patch == 1 and exponent == 1:
            return INPUT
        # SpaceToDepth of one plane after the other: its own order is y, x, plane.
        planes = []
        for plane in range(IN_PLANES):
            ends = np.array([[plane], [plane + 1], [1]], dtype=np.int64)
            names = [f"plane_{plane}_{end}" for end in ("from", "to", "axis")]
            for name, end in zip(names, ends, strict=True):
                self.weights.append(self.onnx.numpy_helper.from_array(end, name))
            one = self.add("Slice", [INPUT, *names])
            if plane == 0 and exponent != 1:  # the channel
                one = self.power(one, exponent)
            planes.append(self.add("SpaceToDepth", [one], blocksize=patch) if patch > 1 else one)
        return self.add("Concat", planes, axis=1)

    def power(self, x: Name, exponent: float) -> Name:
        """What is above 0 to the power of `exponent`."""
        value = np.array(exponent, dtype=np.float32)
        self.weights.append(self.onnx.numpy_helper.from_array(value, "exponent"))
        return self.add("Pow", [self.add("Relu", [x]), "exponent"])

    def block(self, x: Name, block: nn.Module) -> Name:
        """A :class:`nimbus.model.fold.FoldedBlock`."""
        if not isinstance(block, FoldedBlock):
            raise TypeError(f"a block of the network is {type(block).__name__}")
        skip = self.convolution(x, block.skip, "Conv")
        x = skip
        for convolution in (block.first, block.second):
            padded = self.add("Pad", [x, "one_around"], mode="reflect")
            x = self.add("Relu", [self.convolution(padded, convolution, "Conv")])
        return self.add("Add", [x, skip])

    def convolution(self, x: Name, layer: nn.Module, kind: str, **attributes: Any) -> Name:
        """A convolution with its weights."""
        weight, bias = layer.weight, layer.bias
        if not isinstance(weight, Tensor) or not isinstance(bias, Tensor):
            raise TypeError("every convolution of the network has weights and a bias")
        number = len(self.nodes)
        names = [f"weight_{number}", f"bias_{number}"]
        for name, tensor in zip(names, (weight, bias), strict=True):
            array = tensor.detach().to("cpu", torch.float32).contiguous().numpy()
            self.weights.append(self.onnx.numpy_helper.from_array(array, name))
        kernel = list(weight.shape[2:])
        return self.add(kind, [x, *names], kernel_shape=kernel, **attributes)

    def add(self, kind: str, inputs: list[Name], *, name: Name = "", **attributes: Any) -> Name:
        """One node."""
        output = name or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, [output], output, **attributes))
        return output
