import dataclasses
import os
import subprocess
import sys
import textwrap

import pytest

torch = pytest.importorskip("torch")

from nimbus.train import FitSettings, RobustSettings, fit  # noqa: E402
from nimbus.train.checkpoint import load_state  # noqa: E402
from nimbus.train.samples import Batch  # noqa: E402
from nimbus.train.world import World, joined, left, share  # noqa: E402

# Batch norms are frozen: on processors each process would use the statistics of its share.
SETTINGS = FitSettings(
    depth=2, root_filters=4, n_steps=12, batch_size=5, warmup_steps=2, held_out=1, log_every=4,
    freeze_batch_norm=True,
    robust=RobustSettings(rule="select", after_step=4, min_cells=5, decay=0.9),
)  # fmt: skip

SCRIPT = """
    import sys
    import torch
    from nimbus.train import FitSettings, RobustSettings, fit
    torch.set_num_threads(1)
    settings = {settings}
    fit(sys.argv[1], sys.argv[2], settings=settings, show_progress_bar=False)
    torch.distributed.destroy_process_group()
"""


def in_two_processes(tmp_path, shards, out, settings=SETTINGS, *, fails=None):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT).format(settings=repr(settings)))
    store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    rendezvous = {  # as of torchrun: its store listens before there is a process to find it
        "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True", "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1",
    }  # fmt: skip
    running = [
        subprocess.Popen(
            [sys.executable, str(script), str(shards), str(out)],
            env={**os.environ, **rendezvous, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    errors = [process.communicate(timeout=600)[1] for process in running]
    if fails is None:
        assert [process.returncode for process in running] == [0, 0], "\n".join(errors)
    else:
        assert all(fails in error for error in errors), "\n".join(errors)


def test_two_processes_give_the_weights_of_one(shards, tmp_path):
    in_two_processes(tmp_path, shards, tmp_path / "two")
    fit(shards, tmp_path / "one", settings=SETTINGS, show_progress_bar=False)
    half = dataclasses.replace(SETTINGS, batch_size=3)
    fit(shards, tmp_path / "half", settings=half, show_progress_bar=False)

    two, one, other = (load_state(tmp_path / k / "checkpoint.pt") for k in ("two", "one", "half"))
    torch.testing.assert_close(two.losses, one.losses, rtol=1e-3, atol=1e-3)
    for name, value in one.average.items():
        torch.testing.assert_close(two.average[name], value, rtol=1e-3, atol=1e-4, msg=name)
    name = "contracting_layers.0.conv2d_1.weight"
    assert not torch.allclose(other.average[name], one.average[name], rtol=1e-3, atol=1e-4)


def test_the_shares_of_a_batch_are_the_batch():
    batch = Batch(*(torch.arange(5) for _ in range(5)))
    shares = [share(batch, World(rank, 2, torch.device("cpu"))) for rank in range(2)]

    assert [s.labels.tolist() for s in shares] == [[0, 2, 4], [1, 3]]
    assert share(batch, World(0, 1, torch.device("cpu"))) is batch


def test_a_batch_smaller_than_the_number_of_processes_is_refused_by_all(shards, tmp_path):
    small = dataclasses.replace(SETTINGS, batch_size=1)
    told = (
        "batch_size=1 leaves some of 2 processes without a sample; take a batch_size of at least 2"
    )
    in_two_processes(tmp_path, shards, tmp_path / "a", small, fails=told)


@pytest.fixture
def second_of_four(monkeypatch):
    """The second process of four on a machine with four GPUs; groups that were begun and left."""
    told = []
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: told.append(str(device)))
    for name, value in {"get_rank": 1, "get_world_size": 4, "is_initialized": False}.items():
        monkeypatch.setattr(torch.distributed, name, lambda value=value: value)
    monkeypatch.setattr(torch.distributed, "init_process_group", told.append)
    monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: told.append("left"))
    return told


@pytest.mark.parametrize(("nccl", "group"), [(True, "nccl"), (False, "gloo")])
def test_each_process_takes_its_own_gpu_also_without_nccl(second_of_four, monkeypatch, nccl, group):
    monkeypatch.setattr(torch.distributed, "is_nccl_available", lambda: nccl)

    assert joined("cuda") == World(1, 4, torch.device("cuda:1"))
    assert second_of_four == ["cuda:1", group]


@pytest.mark.parametrize("device", ["cuda:0", "mps"])
def test_several_processes_do_not_share_a_gpu(second_of_four, monkeypatch, device):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(ValueError, match=f"4 processes train on 'cuda', .* not on '{device}'"):
        joined(device)
    assert second_of_four == []


def test_a_process_that_does_not_know_its_gpu_is_told_so(second_of_four, monkeypatch):
    monkeypatch.delenv("LOCAL_RANK")
    with pytest.raises(ValueError, match="WORLD_SIZE is 4, but LOCAL_RANK.*torchrun"):
        joined("cuda")
    assert second_of_four == []


def test_a_group_is_left_where_there_is_one(second_of_four, monkeypatch):
    left()
    assert second_of_four == []
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    left()
    assert second_of_four == ["left"]
