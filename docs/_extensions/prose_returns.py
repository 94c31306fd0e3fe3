"""Reads a `Returns` section as prose: types stand in the signature, not in the docstring."""

from __future__ import annotations

from sphinx.application import Sphinx
from sphinx.ext.napoleon import NumpyDocstring


def _prose(self: NumpyDocstring, _section: str) -> list[str]:
    lines = self._dedent(self._consume_to_next_section())
    block = self._format_block(":returns: ", lines)
    return [*block, ""] if block and block[-1] else block


def setup(_app: Sphinx) -> dict[str, bool]:
    """Replace how napoleon reads the section; it has no setting for this."""
    NumpyDocstring._parse_returns_section = _prose
    NumpyDocstring._parse_yields_section = _prose
    return {"parallel_read_safe": True}
