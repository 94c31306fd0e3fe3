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
from nimbus.train.world import World, share  # noqa: E402

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


def in_two_processes(tmp_path, shards, out):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT).format(settings=repr(SETTINGS)))
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
    assert [process.returncode for process in running] == [0, 0], "\n".join(errors)


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
