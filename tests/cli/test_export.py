"""``nimbus export``."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")


def test_writes_the_file_and_tells_the_difference(nimbus, weights, tmp_path):
    out = tmp_path / "tiny.onnx"
    result = nimbus("export", weights, "--out", out)
    assert result.exit_code == 0, result.stderr
    assert f"wrote {out} (0.0 MB, random); largest difference from PyTorch" in result.output
    assert out.stat().st_size > 1000


def test_an_existing_file_is_kept(nimbus, weights, tmp_path):
    out = tmp_path / "tiny.onnx"
    out.write_text("before")
    assert nimbus("export", weights, "--out", out).exit_code == 1
    assert out.read_text() == "before"
    assert nimbus("export", weights, "--out", out, "--overwrite").exit_code == 0


@pytest.mark.parametrize(
    ("out", "message"),
    [("a.pt", "must end in .onnx"), ("no/a.onnx", "does not exist")],
)
def test_a_place_that_makes_no_sense_is_refused(nimbus, weights, tmp_path, out, message):
    result = nimbus("export", weights, "--out", tmp_path / out)
    assert result.exit_code == 1
    assert message in result.stderr


def test_a_file_that_gives_something_else_is_not_kept(nimbus, weights, tmp_path, monkeypatch):
    from nimbus.cli import _exporting

    monkeypatch.setattr(_exporting, "onnx_difference", lambda *_: 0.01)
    result = nimbus("export", weights, "--out", tmp_path / "a.onnx")
    assert result.exit_code == 1
    assert "differ by 1.0e-02 from PyTorch's" in result.stderr
    assert list(tmp_path.iterdir()) == []
