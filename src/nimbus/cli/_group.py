"""Commands that are imported when they run, so that ``nimbus --help`` is quick."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import typer
from typer.core import TyperGroup

from ._jsonlog import logged, opened, without_option
from ._report import DEBUG, message_of, reported, tell
from ._shellwords import in_shell_words


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """One line of ``nimbus --help``; the function has the name of its module."""

    name: str
    about: str

    def load(self) -> Any:
        """The command, with its options, which its errors name."""
        module = importlib.import_module(f"nimbus.cli.{self.name}")
        own = typer.Typer(add_completion=False, rich_markup_mode="markdown")
        own.command(self.name)(getattr(module, self.name))
        return in_shell_words(typer.main.get_command(own))

    def placeholder(self) -> Any:
        """The command for the list of commands alone."""
        own = typer.Typer(add_completion=False)
        own.command(self.name, help=self.about)(_nothing)
        return typer.main.get_command(own)


COMMANDS = (
    CommandEntry("demo", "Score simulated tissue and compare with the truth."),
    CommandEntry("score", "Score the cells of a SpatialData store, or of folders of TIFFs."),
    CommandEntry("cluster", "Group cells by their scores: nodes, then metaclusters."),
    CommandEntry("annotate", "Name cells or metaclusters by an assignment matrix."),
    CommandEntry("doctor", "Show versions and devices, and test that scores are right."),
    CommandEntry("evaluate", "Measure how good scores are where the truth is known."),
    CommandEntry("export", "Write a model as ONNX, for other programs and runtimes."),
    CommandEntry("finetune", "Train a model further on a few labelled cells."),
    CommandEntry("gui", "Merge and name metaclusters in a browser, beside the tissue."),
    CommandEntry("models", "List the models, or show the card of one."),
    CommandEntry("train", "Train a network, as a configuration says."),
)


class LazyGroup(TyperGroup):
    """The group of all commands; its errors are one line, its warnings one line each."""

    def __init__(self, **given: Any) -> None:
        listed = {entry.name: entry.placeholder() for entry in COMMANDS}
        super().__init__(**{**given, "commands": listed})

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command to run, imported now."""
        name, command, rest = super().resolve_command(ctx, args)
        found = [entry for entry in COMMANDS if entry.name == name]
        return name, found[0].load() if found else command, rest

    def main(  # type: ignore[override]  # Typer's other arguments pass through `extra`
        self, args: Sequence[str] | None = None, standalone_mode: bool = True, **extra: Any
    ) -> Any:
        """Run with `args`; exits with 0, or 1 after an error that was told in one line."""
        given = list(sys.argv[1:] if args is None else args)
        run = super().main
        try:
            wanted, log = without_option([part for part in given if part != DEBUG])
            file = None if log is None else opened(log)
        except (ValueError, OSError) as error:
            tell("error", message_of(error))
            code = 1
        else:
            command = partial(run, args=wanted, standalone_mode=False, **extra)
            code = logged(lambda: reported(command, debug=DEBUG in given), file, wanted)
        if standalone_mode:
            sys.exit(code)
        return code


def _nothing() -> None:
    """A command that is listed, not run."""
