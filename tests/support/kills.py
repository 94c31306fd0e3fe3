"""Processes that are killed at a chosen change of a store."""

from __future__ import annotations

import itertools
import os
import shutil
import signal

import zarr.storage._local as local

from nimbus.data import workshop


def counted(monkeypatch, at_change):
    """Call `at_change` before each change of a file by a writer of a store."""

    def counting(real):
        def change(*arguments, **keywords):
            at_change()
            return real(*arguments, **keywords)

        return change

    monkeypatch.setattr(local, "_put", counting(local._put))
    monkeypatch.setattr(workshop, "put_in_place", counting(workshop.put_in_place))
    monkeypatch.setattr(shutil, "rmtree", counting(shutil.rmtree))


def killed_at(n, work, monkeypatch):
    """Do `work` in a child process that is killed at its `n`-th change of a file."""
    if child := os.fork():
        return os.waitpid(child, 0)[1] == signal.SIGKILL
    changes = itertools.count()
    counted(monkeypatch, lambda: next(changes) == n and os.kill(os.getpid(), signal.SIGKILL))
    try:
        work()
    finally:
        os._exit(0)
