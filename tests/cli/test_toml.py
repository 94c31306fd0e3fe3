"""Settings classes from TOML tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest

from nimbus.cli._toml import read_toml, settings_from


@dataclass(frozen=True)
class Inner:
    deep: int = 1

    def __post_init__(self) -> None:
        if self.deep < 1:
            raise ValueError("deep must be above 0")


@dataclass(frozen=True)
class Outer:
    n: int
    rate: float = 0.5
    kind: Literal["a", "b"] = "a"
    bounds: tuple[float, float] = (0.0, 1.0)
    names: tuple[str, ...] = ()
    inner: Inner | None = None
    on: bool = False


def test_values_become_what_the_fields_are_annotated_with():
    given = {"n": 2, "rate": 1, "bounds": [2, 3.5], "inner": {"deep": 4}, "on": True}
    made = settings_from(given, Outer, where="outer")
    assert made == Outer(n=2, rate=1.0, bounds=(2.0, 3.5), inner=Inner(4), on=True)
    assert isinstance(made.rate, float)
    assert isinstance(made.bounds[0], float)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n": 1, "rat": 2}, "key of \\[outer\\] 'rat' does not exist; did you mean 'rate'"),
        ({}, "missing 1 required"),
        ({"n": "1"}, "\\[outer.n\\] must be int, not '1'"),
        ({"n": True}, "\\[outer.n\\] must be int, not True"),
        ({"n": 1, "kind": "c"}, "\\[outer.kind\\] must be 'a' or 'b', not 'c'"),
        ({"n": 1, "bounds": [0.5]}, "\\[outer.bounds\\] must be a list of 2 float, not \\(0.5,\\)"),
        ({"n": 1, "bounds": ["a", "b"]}, "\\[outer.bounds\\] must be a list of 2 float"),
        ({"n": 1, "bounds": [1, True]}, "\\[outer.bounds\\] must be a list of 2 float"),
        ({"n": 1, "names": ["a", 1]}, "\\[outer.names\\] must be a list of str, not"),
        ({"n": 1, "inner": {"deep": 0}}, "\\[outer.inner\\]: deep must be above 0"),
        ({"n": 1, "inner": {"deep": "x"}}, "\\[outer.inner.deep\\] must be int"),
        ({"n": 1, "inner": {"dep": 1}}, "key of \\[outer.inner\\] 'dep'"),
    ],
)
def test_what_does_not_fit_is_named(given, message):
    with pytest.raises(ValueError, match=message):
        settings_from(given, Outer, where="outer")


def test_a_file_that_is_not_there_or_not_toml_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.toml"):
        read_toml(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("a = = 1")
    with pytest.raises(ValueError, match=r"bad\.toml.*is not TOML.*line 1"):
        read_toml(tmp_path / "bad.toml")
