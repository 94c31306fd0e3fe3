"""A training on a device that refuses to mix with the processor; its tensors have no values."""

# ruff: noqa: E402 (PyTorch may be absent)
from functools import partial

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from nimbus.model import UNet
from nimbus.train import AugmentSettings, FitSettings, RobustSettings
from nimbus.train.augment import augmented, draw_change
from nimbus.train.average import averaged, weights_of
from nimbus.train.begin import fresh_network
from nimbus.train.bootstrap import bootstrapped
from nimbus.train.loss import cell_losses, cell_means
from nimbus.train.samples import Batch
from nimbus.train.selection import no_history, selected
from nimbus.train.teacher import enlarged, heard

ELSEWHERE = torch.device("lazy")
"""A device that PyTorch knows and has no code for."""

SIDE = 32


@pytest.fixture
def elsewhere():
    with FakeTensorMode(shape_env=ShapeEnv()):
        yield


def drawn(device):
    whole = torch.zeros(4, SIDE, SIDE, device=device)
    labels = torch.zeros(4, 3, dtype=torch.int64, device=device)
    return Batch(whole, whole.clone(), whole.long(), labels, labels[:, 0])


def network():
    with torch.device(ELSEWHERE):
        return UNet(depth=2, root_filters=4)


@pytest.mark.usefixtures("elsewhere")
def test_the_device_refuses_to_mix():
    with pytest.raises(RuntimeError, match="same device"):
        network()(torch.zeros(1, 2, SIDE, SIDE))


@pytest.mark.usefixtures("elsewhere")
def test_losses_and_their_gradients_stay_on_the_device():
    net, batch = network(), drawn(ELSEWHERE)
    for targets in (None, batch.labels.float()):
        logits = net(torch.stack([batch.planes, batch.masks], dim=1))
        losses = cell_losses(logits, batch.masks, batch.ids, batch.labels, targets=targets)
        losses[torch.isfinite(losses)].sum().backward()
        ends = (losses, net.final_conv.weight.grad)
        assert {value.device.type for value in ends} == {ELSEWHERE.type}
    average = averaged(weights_of(net), net, decay=0.9)
    assert {value.device.type for value in average.values()} == {ELSEWHERE.type}


@pytest.mark.usefixtures("elsewhere")
def test_what_judges_and_teachers_say_stays_on_the_device():
    judge, batch = network().eval(), drawn(ELSEWHERE)
    trusted = torch.zeros(2, dtype=torch.bool, device=ELSEWHERE)
    targets = bootstrapped(judge, batch, trusted, RobustSettings())
    kept, history = selected(
        judge,
        batch,
        no_history(2).to(ELSEWHERE),
        trusted,
        RobustSettings(rule="select"),
        total=torch.clone,
    )
    finer = enlarged(batch, 1.25, judge)
    score = cell_means(finer.planes, finer.masks, finer.ids, 3)
    taught = heard(finer, score).labels
    every = (targets, kept, history.mass, finer.ids, score, taught)
    assert {value.device.type for value in every} == {ELSEWHERE.type}
    assert finer.ids.shape[1:] == (40, 40)


@pytest.mark.parametrize("exponent", [1.0, 0.5])
def test_augmentation_stays_on_the_device(exponent):
    # On meta, which refuses to mix, too: what was drawn has values.
    every = dict.fromkeys(("blurred", "contrasted", "deformed", "bent", "lifted"), 1.0)
    change = draw_change(4, AugmentSettings(**every, exponent=exponent), np.random.default_rng(0))
    batch = augmented(drawn("meta"), change)
    assert {getattr(batch, name).device.type for name in ("planes", "masks", "ids")} == {"meta"}


def test_a_training_takes_the_order_of_its_device(monkeypatch):
    made = partial(fresh_network, FitSettings(depth=2, root_filters=4))
    plain, last = torch.contiguous_format, torch.channels_last
    for order in (plain, last):
        monkeypatch.setattr("nimbus.train.begin.feature_order", lambda device, order=order: order)
        weight = made(torch.device("cpu")).bottle_neck.conv2d_1.weight
        assert weight.is_contiguous(memory_format=order)
