"""The directive ``command-help``: what ``nimbus COMMAND --help`` prints, run when the page is."""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from typer.testing import CliRunner

from nimbus.cli import app

PLAIN = {"COLUMNS": "92", "TERM": "dumb", "NO_COLOR": "1"}


class CommandHelp(SphinxDirective):
    """``command-help`` alone is ``nimbus --help``; an argument names a command."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        asked = [*self.arguments, "--help"]
        answer = CliRunner().invoke(app, asked, env=PLAIN, prog_name="nimbus")
        if answer.exit_code != 0:
            raise self.error(f"nimbus {' '.join(asked)} failed: {answer.output}")
        text = "\n".join(line.rstrip() for line in answer.output.strip().splitlines())
        return [nodes.literal_block(text, text, language="text")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True}
