"""``nimbus doctor``."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from nimbus.cli._selftest import MARKERS, field_arrays, kept_numbers, numbers_path, write_numbers
from nimbus.model.registry import card_beside

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="scores need PyTorch"
)


@pytest.fixture
def own_weights(weights, tmp_path):
    """A copy of the tiny weights, and what the self-test gives for them."""
    from nimbus.cli._selftest import scored

    path = tmp_path / weights.name
    for suffix in (".safetensors", ".json"):
        path.with_suffix(suffix).write_bytes(weights.with_suffix(suffix).read_bytes())
    scores = scored(str(path), pixel_size_um=1.0, device="cpu", precision="float32")
    assert np.ptp(scores) > 0.1, "proves nothing: all scores are alike"
    return path, scores


def keep(path, scores, sha256=None):
    own = card_beside(path)[0].sha256
    write_numbers(path, model="random", sha256=sha256 or own, scores=scores, by="a test")


def test_the_shipped_weights_have_numbers_for_the_self_test():
    card, path = card_beside("nimbus-s")
    kept = kept_numbers(path, card.sha256)
    assert kept is not None, "the weights have changed: run python benchmarks/selftest.py"
    assert kept.shape == (np.unique(field_arrays()[1]).size - 1, len(MARKERS))
    assert kept.min() < 0.1
    assert kept.max() > 0.9


@needs_torch
def test_an_installation_in_order_passes(nimbus):
    result = nimbus("doctor", "--device", "cpu", "--json")
    assert result.exit_code == 0
    report = json.loads(result.output)
    assert report["problems"] == []
    assert report["self-test"][0]["verdict"] == "passed"
    assert report["self-test"][0]["difference"] < 1e-5
    assert report["versions"]["numpy"] == np.__version__
    assert set(report["extras"]) >= {"gui", "gpu", "onnx"}
    assert list(report["machine"]["devices"])[-1] == "cpu"


@needs_torch
def test_text_for_people_ends_with_the_verdict(nimbus):
    lines = nimbus("doctor", "--device", "cpu").output.strip().splitlines()
    assert lines[0] == "versions"
    assert lines[-1] == "all is in order"


@needs_torch
def test_scores_that_differ_are_told_and_end_with_1(nimbus, own_weights):
    path, scores = own_weights
    scores[3, 1] += 0.01
    keep(path, scores)
    result = nimbus("doctor", "--model", path, "--device", "cpu")
    assert result.exit_code == 1
    assert "float32  failed: largest difference of 186 scores 1.0e-02, allowed 0.0002" in (
        result.output
    )
    assert "wrong: self-test in float32" in result.output


@needs_torch
@pytest.mark.parametrize("sha256", [None, "0" * 64])
def test_weights_without_numbers_say_so(nimbus, own_weights, sha256):
    path, scores = own_weights
    if sha256 is not None:  # numbers of other weights
        keep(path, scores, sha256)
    result = nimbus("doctor", "--model", path, "--device", "cpu")
    assert result.exit_code == 0
    assert "no numbers are kept for these weights of random" in result.output


def test_a_missing_package_is_a_problem(monkeypatch):
    from nimbus.cli import _checkup

    monkeypatch.setattr(
        _checkup, "requires", lambda _: ["numpy>=2", "a-b_c[x]>=1", "d; extra=='e'"]
    )
    found = {"versions": _checkup.versions(), "self-test": []}
    assert _checkup.problems(found) == ["a-b_c is missing"]
    assert _checkup.extras() == {"e": {"d": "missing"}}


@pytest.mark.parametrize("text", ["{", '{"format_version": 2}', '{"format_version": 1}', "[]"])
def test_damaged_numbers_are_refused_by_name(tmp_path, text):
    weights = tmp_path / "a.safetensors"
    numbers_path(weights).write_text(text)
    with pytest.raises(ValueError, match=r"a\.selftest\.json: no numbers of a self-test"):
        kept_numbers(weights, "0" * 64)


def test_the_field_has_no_symmetry_and_large_ids():
    image, labels = field_arrays()
    for turned in (image[:, ::-1], image[:, :, ::-1], image[:, ::-1, ::-1]):
        assert not np.array_equal(image, turned)
    assert labels.max() > 65_535
    assert Path(numbers_path(Path("x/nimbus-s.safetensors"))).name == "nimbus-s.selftest.json"


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="PyTorch is there")
def test_without_pytorch_the_doctor_says_what_is_missing(nimbus):
    result = nimbus("doctor")
    assert result.exit_code == 1
    assert "wrong: torch is missing" in result.output
    assert "PyTorch is not installed" in result.output
