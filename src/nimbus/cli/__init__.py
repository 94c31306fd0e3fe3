"""The command ``nimbus``: the verbs from a shell."""

from ._app import app, main

__all__ = ["app", "main"]
