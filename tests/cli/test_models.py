"""``nimbus models``."""

from __future__ import annotations

import json

import pytest

from nimbus.model.registry import REGISTERED, list_models


def test_every_registered_model_has_a_line(nimbus):
    result = nimbus("models")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert len(lines) == 1 + len(REGISTERED)
    for line, model in zip(lines[1:], REGISTERED, strict=True):
        assert line.startswith(model.name)
        assert model.about in line


def test_the_card_of_a_model_is_json(nimbus):
    [row] = [row for row in list_models() if row.name == "nimbus-s"]
    result = nimbus("models", "nimbus-s")
    if row.card is None:
        assert result.exit_code == 1
        assert "the card of model 'nimbus-s' is not on this machine" in result.stderr
    else:
        assert json.loads(result.output) == json.loads(row.card.to_json())


def test_an_unknown_model_is_told_with_the_nearest(nimbus):
    result = nimbus("models", "nimbus-x")
    assert result.exit_code == 1
    assert "did you mean 'nimbus-s'?" in result.stderr


def test_weights_of_a_packaged_model_are_there_already(nimbus):
    pytest.importorskip("torch")
    result = nimbus("models", "nimbus-s", "--download")
    assert result.exit_code == 0
    assert result.output.strip().endswith("nimbus-s.safetensors")


def test_unpinned_weights_are_not_fetched_unasked(nimbus, tmp_path, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setenv("NIMBUS_CACHE_DIR", str(tmp_path))
    result = nimbus("models", "nimbus-v1", "--download")
    assert result.exit_code == 1
    assert "nimbus models nimbus-v1 --download --allow-unverified" in " ".join(
        result.stderr.split()
    )
    assert not list(tmp_path.iterdir())


def test_download_without_a_name_is_refused(nimbus):
    result = nimbus("models", "--download")
    assert result.exit_code == 1
    assert "needs the name of a model" in result.stderr


def test_leave_to_fetch_what_is_unverified_needs_something_to_fetch(nimbus):
    result = nimbus("models", "nimbus-v1", "--allow-unverified")
    assert result.exit_code == 1
    assert "add --download" in result.stderr
