"""`model` and `train` on a machine with PyTorch and NumPy alone."""

import subprocess
import sys

import pytest

pytest.importorskip("torch")

ABSENT = (
    "anndata", "dask", "distributed", "imagecodecs", "matplotlib", "ome_zarr", "pandas", "scanpy",
    "scipy", "skimage", "sklearn", "spatialdata", "squidpy", "tifffile", "typer", "xarray", "zarr",
)  # fmt: skip

TRAIN = """
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        absent = name.split(".")[0] in {absent!r}
        return None if absent else self.finder.find_spec(name, path, target)

sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
import torch
torch.set_num_threads(1)
from nimbus.model import UNet, load_model, save_checkpoint
from nimbus.train import *
settings = FitSettings(depth=2, root_filters=2, n_steps=2, batch_size=2)
net = fit({shards!r}, {out!r}, settings=settings, show_progress_bar=False)
print(sorted(set({absent!r}) & {{name.split(".")[0] for name in sys.modules}}), net.training)
"""


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_training_needs_no_other_library(shards, tmp_path):
    code = TRAIN.format(absent=ABSENT, shards=str(shards), out=str(tmp_path / "out"))

    done = run(code)

    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split("\n")[0] == "[] False"


def test_what_is_absent_cannot_be_imported(shards, tmp_path):
    code = TRAIN.format(absent=(*ABSENT, "numpy"), shards="", out="")

    assert "No module named 'numpy'" in run(code).stderr
