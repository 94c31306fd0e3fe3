"""``nimbus doctor``: whether an installation is in order."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

import typer

from . import _late


def doctor(
    model: Annotated[
        str, typer.Option(help="Model of the self-test: a name or a path, as for nimbus score.")
    ] = "nimbus-s",
    device: Annotated[
        str | None,
        typer.Option(help="cpu, cuda, cuda:1, mps; the best there is by default."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show versions, devices, threads, caches and extras, and score a tiny field as a test.

    The field is the same on every machine, and so are the scores that are kept beside the weights:
    the plain network computed them, without what makes nimbus fast. Exit code 0 where all is in
    order, 1 where something is missing or the scores differ. Please add the output to a report of
    a fault.

    Examples
    --------
        nimbus doctor

        nimbus doctor --device cuda --json
    """
    checkup = _late.checkup
    report: dict[str, Any] = {
        "versions": checkup.versions(),
        "extras": checkup.extras(),
        "machine": checkup.machine(),
        "caches": checkup.caches(),
        "self-test": [asdict(test) for test in checkup.self_tests(model, device)],
    }
    report["problems"] = checkup.problems(report)
    typer.echo(json.dumps(report, indent=1) if as_json else as_text(report))
    if report["problems"]:
        raise typer.Exit(1)


def as_text(report: Mapping[str, Any]) -> str:
    """The report for people.

    Examples
    --------
    >>> test = {"precision": "float32", "verdict": "passed", "told": "difference 0"}
    >>> parts = {name: {} for name in ("versions", "machine", "caches")}
    >>> extras = {"gui": {"panel": "1.6", "bokeh": "missing"}}
    >>> whole = {**parts, "extras": extras, "self-test": [test], "problems": []}
    >>> print(as_text(whole))
    versions
    <BLANKLINE>
    machine
    <BLANKLINE>
    caches
    <BLANKLINE>
    extras
      gui  bokeh is missing: pip install 'nimbus-spatial[gui]'
    <BLANKLINE>
    self-test
      float32  passed: difference 0
    <BLANKLINE>
    all is in order
    """
    parts = [_section(name, report[name]) for name in ("versions", "machine", "caches")]
    parts.append(_section("extras", {k: _extra(k, v) for k, v in report["extras"].items()}))
    tests = {t["precision"]: f"{t['verdict']}: {t['told']}" for t in report["self-test"]}
    parts.append(_section("self-test", tests))
    wrong = report["problems"]
    parts.append("\n".join(f"wrong: {one}" for one in wrong) if wrong else "all is in order")
    return "\n\n".join(parts)


def _section(name: str, values: Mapping[str, Any]) -> str:
    width = max((len(key) for key in values), default=0)
    lines = []
    for key, value in values.items():
        inner = value.items() if isinstance(value, dict) else ()
        told = ", ".join(f"{k}: {v}" for k, v in inner) if isinstance(value, dict) else value
        lines.append(f"  {key.ljust(width)}  {told}".rstrip())
    return "\n".join([name, *lines])


def _extra(name: str, packages: Mapping[str, str]) -> str:
    missing = [package for package, version in packages.items() if version == "missing"]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        return f"{', '.join(missing)} {verb} missing: pip install 'nimbus-spatial[{name}]'"
    return ", ".join(f"{package} {version}" for package, version in packages.items())
