"""Serves a page until it is interrupted."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nimbus._exchange import beside
from nimbus._keys import Layers
from nimbus.gui import _late
from nimbus.gui.labelling.look import Look
from nimbus.gui.labelling.opening import Request as ReviewRequest
from nimbus.gui.labelling.opening import open_review
from nimbus.gui.opening import Request, open_desk
from nimbus.gui.saving import Status

LOOPBACK = ("127.0.0.1", "localhost")


@dataclass(frozen=True, slots=True)
class Plan:
    """Options of ``nimbus gui``."""

    store: Path
    key: str | None
    table: str
    layer: str | None
    image: str | None
    region: str | None
    port: int | None
    host: str
    origins: tuple[str, ...]
    token: str | None
    browser: bool
    review: ReviewRequest | None


def review_request(given: Mapping[str, Any]) -> ReviewRequest:
    """What is to be labelled, by the options that were given."""
    fields = {"cells": "n_cells", "seed": "random_state"}
    return ReviewRequest(**{fields.get(name, name): value for name, value in given.items()})


def serve(plan: Plan, *, tell: Callable[[str], None]) -> None:
    """Serve the page; ends when it is interrupted, with all that was done in the table."""
    server = _late.server
    build, finish = _labels(plan, plan.review) if plan.review else _metaclusters(plan)
    served = server.make_server(
        build,
        server.Address(plan.host, plan.port, plan.token, plan.origins),
        title=beside(plan.store, "").name,
    )
    tell(f"{plan.store}: open {served.url}")
    if plan.host not in LOOPBACK:
        tell(
            f"Other machines can reach it as {served.outside}, by other names of this machine only "
            "with --origin NAME:PORT; who has the address can edit."
        )
    tell("Ctrl-C ends it.")
    if plan.browser:
        served.server.io_loop.add_callback(webbrowser.open, served.url)
    served.server.run_until_shutdown()
    status = finish()
    tell(status.text)
    if status.kind == "failed":
        raise OSError(status.text)


def _metaclusters(plan: Plan) -> tuple[Callable[[], Any], Callable[[], Status]]:
    """What makes the page on metaclusters, and what ends it."""
    key = plan.key or Layers.SCORE
    request = Request(key, plan.layer, plan.table, plan.image, plan.region)
    desk = open_desk(plan.store, request)
    return lambda: _late.page.build(desk), desk.saving.finish


def _labels(plan: Plan, request: ReviewRequest) -> tuple[Callable[[], Any], Callable[[], Status]]:
    """The same of the page to label cells."""
    wanted = replace(
        request,
        key_added=plan.key or Layers.GOLD,
        layer=plan.layer or Layers.SCORE,
        table_key=plan.table,
        image_key=plan.image,
    )
    desk = open_review(plan.store, wanted)
    look = Look(second=wanted.second)
    return lambda: _late.reviewing.build(desk, look), desk.saving.finish
