"""A notebook in JupyterLab, in a browser."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nimbus

TOKEN = "a-token-for-tests"
START_S = 400
STOP_S = 300


class Lab:
    """JupyterLab in a process of its own, with settings of its own, in a folder."""

    def __init__(self, folder):
        home = folder / ".home"
        home.mkdir()
        own = {name: str(home / name) for name in ("HOME", "IPYTHONDIR", "JUPYTER_CONFIG_DIR")}
        own |= {name: str(home / name) for name in ("JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")}
        source = str(Path(nimbus.__file__).parents[1])
        self.log = (home / "log").open("w+")
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
                *("--ServerApp.ip=127.0.0.1", "--ServerApp.port=0"),
                *(f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={folder}"),
                *("--LabApp.news_url=None", "--LabApp.extension_manager=readonly"),
                "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
            ],
            stdout=self.log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **own, "PYTHONPATH": source, "OMP_NUM_THREADS": "1"},
        )

    def wait(self):
        """Address of the server, when it answers."""
        for _ in range(START_S):
            time.sleep(1)
            assert self.process.poll() is None, self.said()
            found = re.search(r"http://127\.0\.0\.1:\d+", self.said())
            if found is not None and _answers(found[0]):
                return found[0]
        raise AssertionError(self.said())

    def said(self):
        return Path(self.log.name).read_text()

    def stop(self):
        self.process.terminate()  # it ends its kernels
        self.process.wait(timeout=STOP_S)
        self.log.close()


def _answers(url):
    try:
        with urllib.request.urlopen(f"{url}/api/status?token={TOKEN}", timeout=10) as answer:
            return answer.status == 200
    except OSError:  # nobody listens yet, or listens and is slow
        return False


def write_notebook(path, cells):
    """A notebook whose cells hold these lines of code."""
    made = [
        {
            "cell_type": "code",
            "id": f"cell-{k}",
            "metadata": {},
            "execution_count": None,
            "outputs": [],
            "source": source,
        }
        for k, source in enumerate(cells)
    ]
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    told = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": spec}, "cells": made}
    path.write_text(json.dumps(told))
