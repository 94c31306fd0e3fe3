"""Programs that write to the same store take turns."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from nimbus._claim import ClaimedError, claimed

TURNS, TURN_S = 40, 0.25
"""How often, and how many seconds apart, a store is asked for that another program writes to."""

_writing = threading.Lock()  # of this program: within it claims do not exclude each other


@contextmanager
def turn(store: Path) -> Iterator[None]:
    """Keep other programs from writing to a store during the block; waits for one that writes.

    Parameters
    ----------
    store
        A folder; an ``.h5ad`` is replaced as a whole, and nobody claims it.

    Raises
    ------
    ClaimedError
        Another program still writes when the page has waited long enough.
    OSError
        The store cannot be written.
    """
    with ExitStack() as held:
        held.enter_context(_writing)
        if store.is_dir():
            _claim(store, held)
        yield


def _claim(store: Path, held: ExitStack) -> None:
    for left in reversed(range(TURNS)):
        try:
            held.enter_context(claimed(store))
        except ClaimedError:
            if not left:
                raise
            time.sleep(TURN_S)
        else:
            return
