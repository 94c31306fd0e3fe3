# ruff: noqa: E402 (PyTorch may be absent)
import dataclasses
import json
import os
import pickle

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nimbus.core.scalerule import ScaleRule
from nimbus.model import CardError, CheckpointError, ModelCard, UNet
from nimbus.model.checkpoint import convert, load_checkpoint, save_checkpoint

CARD = ModelCard(name="tiny", depth=3, root_filters=4, pixel_size_um=0.5, scale=ScaleRule(0.9999))


@pytest.fixture
def saved(tmp_path, calibrated):
    """Path of a good checkpoint and its network."""
    net = calibrated()
    path = tmp_path / "tiny.safetensors"
    save_checkpoint(path, net, CARD)
    return path, net


def same_output(a, b):
    planes = torch.rand(1, 2, 16, 16)
    return torch.equal(a(planes), b(planes))


def test_saved_network_comes_back_equal_and_ready(saved):
    path, net = saved

    loaded, card = load_checkpoint(path)

    assert same_output(net, loaded)
    assert not loaded.training
    assert not any(p.requires_grad for p in loaded.parameters())
    assert len(card.sha256) == 64
    assert load_checkpoint(path, sha256=card.sha256.upper())[1] == card


def with_metrics(**metrics):
    return dataclasses.replace(CARD, metrics=metrics)


def test_metrics_may_be_numbers_of_numpy(tmp_path, calibrated):
    path = tmp_path / "tiny.safetensors"
    save_checkpoint(
        path, calibrated(), with_metrics(auroc=np.float32(0.5), n=np.int64(3), each=np.arange(2))
    )

    assert load_checkpoint(path)[1].metrics == {"auroc": 0.5, "n": 3, "each": [0, 1]}


def test_a_card_that_cannot_be_written_leaves_the_old_model(saved, calibrated):
    path, net = saved

    with pytest.raises(CardError, match="metrics hold a set"):
        save_checkpoint(path, calibrated(seed=1), with_metrics(cells={1, 2}))

    assert same_output(net, load_checkpoint(path)[0])


def test_a_full_disk_leaves_the_old_model(saved, calibrated, monkeypatch):
    path, net = saved

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(path, calibrated(seed=1), CARD)

    assert same_output(net, load_checkpoint(path)[0])
    assert sorted(one.name for one in path.parent.iterdir()) == ["tiny.json", "tiny.safetensors"]


def test_published_state_dict_gets_the_published_card(tmp_path, calibrated):
    net = calibrated(depth=4, root_filters=2)
    torch.save(net.state_dict(), tmp_path / "V1.pt")

    loaded, card = load_checkpoint(tmp_path / "V1.pt")

    assert same_output(net, loaded)
    assert (card.name, card.depth, card.root_filters) == ("nimbus-v1", 4, 2)
    assert (card.pixel_size_um, card.clip, card.aggregate) == (1.0, 1.0, "cell")
    assert card.scale == ScaleRule(0.999, pixels="positive", pool="image_mean")


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model"])
def test_state_dict_may_lie_under_a_key(tmp_path, calibrated, key):
    net = calibrated()
    torch.save({"epoch": 3, key: net.state_dict()}, tmp_path / "V1.pt")

    assert same_output(net, load_checkpoint(tmp_path / "V1.pt")[0])


def test_counters_of_batch_norm_may_be_absent(tmp_path, calibrated):
    net = calibrated()
    state = {k: v for k, v in net.state_dict().items() if "num_batches" not in k}
    torch.save(state, tmp_path / "V1.pt")

    assert same_output(net, load_checkpoint(tmp_path / "V1.pt")[0])


@pytest.mark.filterwarnings("ignore")
def test_a_few_bytes_that_declare_many_values_are_refused(tmp_path, calibrated):
    state = calibrated().state_dict()
    state["bottle_neck.bn_1.weight"] = torch.ones(1).expand(2**40)  # strides of 0: 4 bytes on disk
    torch.save(state, tmp_path / "V1.pt")
    assert (tmp_path / "V1.pt").stat().st_size < 10**6, "proves nothing: the values are stored"

    with pytest.raises(CheckpointError, match="bn_1.weight declares more values than the file"):
        load_checkpoint(tmp_path / "V1.pt")


def test_a_counter_of_no_layer_is_an_unknown_key(tmp_path, calibrated):
    state = {**calibrated().state_dict(), "head.num_batches_tracked": torch.tensor(0)}
    torch.save(state, tmp_path / "V1.pt")

    with pytest.raises(CheckpointError, match="unknown keys 'head.num_batches_tracked'"):
        load_checkpoint(tmp_path / "V1.pt")


def test_conversion_keeps_the_network(tmp_path, calibrated):
    net = calibrated()
    torch.save(net.state_dict(), tmp_path / "V1.pt")

    card = convert(tmp_path / "V1.pt", tmp_path / "V1.safetensors")

    loaded, read = load_checkpoint(tmp_path / "V1.safetensors")
    assert same_output(net, loaded)
    assert read == card


def broken_state(name):
    state = UNet(depth=3, root_filters=4).state_dict()
    if name == "missing":
        del state["final_conv.bias"]
    elif name == "extra":
        state["head.weight"] = torch.zeros(1)
    elif name == "shape":
        state["bottle_neck.bn_1.weight"] = torch.zeros(3)
    elif name == "nan":
        state["bottle_neck.conv2d_1.weight"][0, 0, 0, 0] = torch.nan
    elif name == "inf":
        state["bottle_neck.bn_1.running_var"][0] = torch.inf
    elif name == "integer":
        state["final_conv.bias"] = torch.zeros(1, dtype=torch.int64)
    return state


REFUSED = [
    ("missing", "missing keys 'final_conv.bias'"),
    ("extra", "unknown keys 'head.weight'"),
    ("shape", r"bottle_neck.bn_1.weight has shape \(3,\), expected \(16,\)"),
    ("nan", "bottle_neck.conv2d_1.weight holds values that are not finite"),
    ("inf", "bottle_neck.bn_1.running_var holds values that are not finite"),
    ("integer", "final_conv.bias is torch.int64"),
]


@pytest.mark.parametrize(("fault", "message"), REFUSED)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_wrong_weights_are_refused_each_with_its_message(tmp_path, fault, message, suffix):
    path = tmp_path / f"bad{suffix}"
    if suffix == ".pt":
        torch.save(broken_state(fault), path)
    else:
        from safetensors.torch import save_file

        save_file(broken_state(fault), path)
        path.with_suffix(".json").write_text(CARD.to_json())

    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(path)


def test_wrong_hash_is_refused_before_the_file_is_read(tmp_path):
    (tmp_path / "V1.pt").write_bytes(b"not even a checkpoint")

    with pytest.raises(CheckpointError, match=r"sha256 is .*, expected aaaa"):
        load_checkpoint(tmp_path / "V1.pt", sha256="a" * 64)


def test_hash_in_the_card_is_checked(saved):
    path, _ = saved
    data = bytearray(path.read_bytes())
    data[-1] ^= 1  # one bit of one weight
    path.write_bytes(data)

    with pytest.raises(CheckpointError, match="sha256"):
        load_checkpoint(path)


@pytest.mark.parametrize("keep", [0, 5, 100, 2000])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_truncated_file_is_refused(saved, tmp_path, suffix, keep):
    path, net = saved
    if suffix == ".pt":
        path = tmp_path / "V1.pt"
        torch.save(net.state_dict(), path)
    else:
        card = json.loads(path.with_suffix(".json").read_text())
        path.with_suffix(".json").write_text(json.dumps({**card, "sha256": ""}))
    path.write_bytes(path.read_bytes()[:keep])

    with pytest.raises(CheckpointError, match=r"truncated, or not|or is no PyTorch file"):
        load_checkpoint(path)


class Bomb:
    def __reduce__(self):
        return (open, ("exploded", "w"))


@pytest.mark.parametrize("write", [pickle.dump, lambda content, file: torch.save(content, file)])
def test_pickled_code_is_never_run(tmp_path, monkeypatch, write):
    monkeypatch.chdir(tmp_path)
    with open("V1.pt", "wb") as file:
        write({"state_dict": Bomb()}, file)

    with pytest.raises(CheckpointError, match="Pickled code is never run"):
        load_checkpoint("V1.pt")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (torch.zeros(3), "holds a Tensor, not a state dict"),
        ({}, "not a state dict"),
        ({"epoch": 3}, "no tensors under 'epoch'"),
        ({"weight": torch.zeros(2)}, "no weights of a nimbus network.*there is 'weight'"),
    ],
)
def test_file_without_a_network_is_refused(tmp_path, content, message):
    torch.save(content, tmp_path / "V1.pt")

    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(tmp_path / "V1.pt")


def test_absent_files_are_named(saved, tmp_path):
    path, _ = saved
    with pytest.raises(FileNotFoundError, match=r"other\.pt"):
        load_checkpoint(tmp_path / "other.pt")

    path.with_suffix(".json").unlink()
    with pytest.raises(CardError, match=r"tiny\.json does not exist"):
        load_checkpoint(path)


def test_card_of_another_architecture_is_refused(tmp_path, calibrated):
    with pytest.raises(CheckpointError, match="the network has depth 4, its card says 3"):
        save_checkpoint(tmp_path / "a.safetensors", calibrated(depth=4), CARD)
    with pytest.raises(CheckpointError, match="must end in .safetensors"):
        save_checkpoint(tmp_path / "a.pt", calibrated(), CARD)
    assert not list(tmp_path.iterdir())


def test_weights_that_are_not_finite_are_not_saved(tmp_path, calibrated):
    net = calibrated()
    net.final_conv.bias[0] = torch.nan

    with pytest.raises(CheckpointError, match="final_conv.bias holds values"):
        save_checkpoint(tmp_path / "a.safetensors", net, CARD)
    assert not list(tmp_path.iterdir())
