"""The page in a notebook: what it needs there, and how it is told of changes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import panel as pn


@dataclass(frozen=True, slots=True)
class Kernel:
    """The kernel that runs a notebook.

    Parameters
    ----------
    loop
        What its main thread does, one call after the other.
    """

    loop: asyncio.AbstractEventLoop

    def soon(self, call: Callable[[], object], delay_s: float = 0.0) -> None:
        """Call in the main thread, from any thread.

        Panel sends a change in several messages; two threads would mix theirs.
        """
        self.loop.call_soon_threadsafe(self.loop.call_later, delay_s, call)


def kernel() -> Kernel | None:
    """The kernel that runs this code; ``None`` in a script, a server or a terminal."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if getattr(shell, "kernel", None) is None:
        return None
    return Kernel(asyncio.get_running_loop())


def settled(call: Callable[[], object]) -> None:
    """Call when all that a person did before has arrived; outside of a notebook that is now.

    A kernel hears a click before the text that was typed ahead of it, if both come in one message.
    """
    own = kernel()
    if own is None:
        call()
    else:
        own.soon(call)


def load() -> None:
    """Bring what draws the page into the notebook, with its output: nothing is fetched.

    Each time, because a notebook that was opened anew in a browser has lost it, which its kernel
    does not know.
    """
    pn.extension(inline=True)


def hear(root: Any, own: Kernel) -> None:
    """Take what a browser says to a page in the main thread, one message after the other.

    JupyterLab has messages of pages come in a thread beside the cells, a "subshell" of the kernel.
    When Panel has read one, it lets go of all changes of the document: those too that the main
    thread was about to send. And an edit would change the table while a cell reads it.
    """
    read = root._on_msg  # Panel looks it up when it draws the page
    root._on_msg = lambda *message: own.soon(lambda: read(*message))


def send(root: Any, change: Callable[[], None]) -> None:
    """Change a page, and send all that changed, figures too, at once.

    Panel lets documents go after some callbacks; what changes then would be sent to nobody.
    """
    for model, _ in root._models.values():  # as push_notebook finds them
        model.document.hold()
    with pn.io.block_comm():
        change()
    pn.io.push_notebook(root)
