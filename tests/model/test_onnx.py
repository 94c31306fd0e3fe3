"""Networks as ONNX, run by another runtime."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

from nimbus.core.scalerule import ScaleRule  # noqa: E402
from nimbus.model import CardError, ModelCard, export_onnx, load_model  # noqa: E402
from nimbus.model.onnx import CARD_KEY, onnx_difference, read_onnx_card  # noqa: E402
from support.nets import calibrated_net  # noqa: E402


def card_of(net):
    return ModelCard(
        name="random",
        depth=net.depth,
        root_filters=net.root_filters,
        patch=net.patch,
        pixel_size_um=0.7,
        scale=ScaleRule(0.999),
    )


def probabilities(path, planes):
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"planes": planes})[0]


@pytest.mark.parametrize(("depth", "root_filters", "patch"), [(2, 3, 1), (5, 2, 1), (3, 2, 2)])
def test_another_runtime_gives_the_probabilities_of_pytorch(tmp_path, depth, root_filters, patch):
    net = calibrated_net(depth=depth, root_filters=root_filters, patch=patch)
    path = tmp_path / "a.onnx"
    export_onnx(net, card_of(net), path)
    step = patch * 2 ** (depth - 1)
    for n, rows, columns in ((1, 2, 2), (3, 2, 7), (1, 5, 4)):
        planes = np.random.default_rng(rows).random((n, 2, rows * step, columns * step))
        planes = planes.astype(np.float32)
        with torch.inference_mode():
            wanted = torch.sigmoid(net(torch.from_numpy(planes))).numpy()
        assert np.ptp(wanted) > 0.2, "proves nothing: all probabilities are alike"
        np.testing.assert_allclose(probabilities(path, planes), wanted, atol=1e-5)


def test_the_card_goes_along(tmp_path):
    net = calibrated_net(depth=2, root_filters=2)
    export_onnx(net, card_of(net), tmp_path / "a.onnx")
    assert read_onnx_card(tmp_path / "a.onnx") == card_of(net)
    model = onnx.load(tmp_path / "a.onnx")
    assert [entry.key for entry in model.metadata_props] == [CARD_KEY]


def test_the_shipped_model_is_within_a_ten_thousandth(tmp_path):
    loaded = load_model("nimbus-s")
    export_onnx(loaded.net, loaded.card, tmp_path / "s.onnx")
    assert onnx_difference(tmp_path / "s.onnx", loaded.net, loaded.card) < 1e-4


def test_a_difference_is_seen(tmp_path):
    net, other = (calibrated_net(depth=2, root_filters=2, seed=seed) for seed in (0, 1))
    export_onnx(other, card_of(other), tmp_path / "other.onnx")
    assert onnx_difference(tmp_path / "other.onnx", net, card_of(net)) > 0.1


def test_an_error_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    net = calibrated_net(depth=2, root_filters=2)
    path = tmp_path / "a.onnx"
    path.write_bytes(b"before")

    def full_disk(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(onnx, "save", full_disk)
    with pytest.raises(OSError, match="No space left"):
        export_onnx(net, card_of(net), path)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_of_another_program_has_no_card(tmp_path):
    graph = onnx.helper.make_graph([], "g", [], [])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "b.onnx")
    with pytest.raises(CardError, match=r"b\.onnx: holds no card of nimbus"):
        read_onnx_card(tmp_path / "b.onnx")


def test_a_truncated_file_is_named(tmp_path):
    net = calibrated_net(depth=2, root_filters=2)
    path = tmp_path / "a.onnx"
    export_onnx(net, card_of(net), path)
    path.write_bytes(path.read_bytes()[:100])

    with pytest.raises(CardError, match=r"a\.onnx: damaged, or not an ONNX file"):
        read_onnx_card(path)


def test_without_the_extra_the_error_says_how_to_get_it(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "onnx", None)
    net = calibrated_net(depth=2, root_filters=2)
    with pytest.raises(ImportError, match=r"nimbus-spatial\[onnx\]"):
        export_onnx(net, card_of(net), tmp_path / "a.onnx")
