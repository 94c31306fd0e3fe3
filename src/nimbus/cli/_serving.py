"""Serves the page on metaclusters until it is interrupted."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nimbus.gui import _late
from nimbus.gui.opening import Request, open_desk

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Plan:
    """Options of ``nimbus gui``."""

    store: Path
    key: str
    table: str
    layer: str | None
    image: str | None
    region: str | None
    port: int | None
    host: str
    origins: tuple[str, ...]
    token: str | None
    browser: bool


def serve(plan: Plan, *, tell: Callable[[str], None]) -> None:
    """Serve the page; ends when it is interrupted, with all edits in the table."""
    server = _late.server
    request = Request(plan.key, plan.layer, plan.table, plan.image, plan.region)
    desk = open_desk(plan.store, request)
    served = server.make_server(
        desk, server.Address(plan.host, plan.port, plan.token, plan.origins)
    )
    tell(f"{plan.store}: open {served.url}")
    if plan.host not in LOOPBACK:
        tell(f"Other machines can reach it at {plan.host}; who has the address can edit.")
    tell("Ctrl-C ends it.")
    if plan.browser:
        served.server.io_loop.add_callback(webbrowser.open, served.url)
    served.server.run_until_shutdown()
    status = desk.finish()
    tell(status.text)
    if status.kind == "failed":
        raise OSError(status.text)
