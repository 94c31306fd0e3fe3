"""Tissue of two fields with known types, clustered, on disk; a browser and pages for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import nimbus
from support.person import LIMIT_S

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
TOKEN = "a-token-for-tests"


@pytest.fixture(scope="session")
def clustered_store(tmp_path_factory):
    sdata = nimbus.datasets.tissue(shape=(160, 160), n_fovs=2, random_state=0)
    table = sdata.tables["table"]
    truth = table.layers["truth"].astype(np.float32)
    noise = np.random.default_rng(0).random(truth.shape, dtype=np.float32)
    table.layers["nimbus"] = np.clip(0.1 + 0.7 * truth + 0.2 * noise - 0.1, 0, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # markers without positives in so few cells
        nimbus.tl.cluster(sdata, grid=(5, 5), n_metaclusters=8)
        path = tmp_path_factory.mktemp("tissue") / "tissue.zarr"
        sdata.write(path)
    return path


@pytest.fixture
def store(clustered_store, tmp_path):
    """A copy that a test may write to."""
    path = tmp_path / "tissue.zarr"
    shutil.copytree(clustered_store, path)
    return path


@pytest.fixture(scope="module")
def chromium():
    playwright = pytest.importorskip("playwright.sync_api")
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is on the PATH")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=path, args=["--no-sandbox"], timeout=1000 * LIMIT_S
        )
        yield browser
        browser.close()


class Served:
    """``nimbus gui`` in a process of its own."""

    def __init__(self, store, *options):
        source = str(Path(nimbus.__file__).parents[1])
        command = [sys.executable, "-m", "nimbus", "gui", str(store)]
        self.process = subprocess.Popen(
            [*command, "--no-browser", "--token", TOKEN, *options],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": source, "PYTHONUNBUFFERED": "1"},
        )
        first = self.process.stdout.readline()
        assert "open http" in first, first
        self.url = first.split("open ")[1].strip()

    def stop(self):
        self.process.terminate()
        rest, _ = self.process.communicate(timeout=LIMIT_S)
        return rest


@pytest.fixture
def serve():
    """Starts the program; what it started ends with the test."""
    started = []

    def start(store, *options):
        started.append(Served(store, *options))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
