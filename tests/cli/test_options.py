"""Values of options."""

from __future__ import annotations

import pytest

from nimbus.cli._options import numbers, show_progress


def test_divisors_come_from_a_json_file(tmp_path):
    path = tmp_path / "scales.json"
    path.write_text('{"CD3": 12.5, "fov1_image": {"CD8": 3}}')
    assert numbers("--scales", str(path)) == {"CD3": 12.5, "fov1_image": {"CD8": 3}}
    path.write_text("[1]")
    with pytest.raises(ValueError, match="must hold an object"):
        numbers("--scales", str(path))
    path.write_text("{")
    with pytest.raises(ValueError, match="not JSON"):
        numbers("--scales", str(path))


@pytest.mark.parametrize("given", ["CD3", "CD3=", "=5", "CD3=five", "CD3=1,CD8"])
def test_divisors_that_are_not_understood_are_refused(given):
    with pytest.raises(ValueError, match="write CD3=120,CD8=80"):
        numbers("--scales", given)


def test_a_name_may_hold_an_equals_sign():
    assert numbers("--scales", "a=b=2") == {"a=b": 2.0}


def test_progress_is_as_wanted_and_otherwise_only_on_a_terminal(monkeypatch):
    assert show_progress(True)
    assert not show_progress(False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert show_progress(None)
    monkeypatch.setattr("sys.stderr.isatty", lambda: False, raising=False)
    assert not show_progress(None)
