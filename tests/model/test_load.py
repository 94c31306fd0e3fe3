# ruff: noqa: E402 (PyTorch may be absent)
"""Registered models, and downloads from a server on this machine."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from nimbus.model import CheckpointError, DownloadError, load_model, registry
from nimbus.model import load as load_module
from nimbus.model.download import HubFile

REVISION = "0123456789" * 4


@pytest.fixture
def hub(tmp_path, calibrated):
    """A hub with one file; `answer` says how it is sent."""
    torch.save(calibrated().state_dict(), tmp_path / "served.pt")
    data = (tmp_path / "served.pt").read_bytes()

    class Answer(BaseHTTPRequestHandler):
        how, paths = "whole", []

        def do_GET(self):
            self.paths.append(self.path)
            self.send_response(404 if self.how == "absent" else 200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data if self.how == "whole" else data[: len(data) // 2])

        def log_message(self, *args):
            """Keep the test's output quiet."""

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield Answer, f"http://127.0.0.1:{server.server_port}", hashlib.sha256(data).hexdigest()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NIMBUS_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def register(monkeypatch, address, *, revision=REVISION, sha256):
    weights = HubFile("lab/nimbus", "V1.pt", revision, sha256, hub=address)
    model = registry.Registered("nimbus-v1", "from a test's hub", weights)
    monkeypatch.setattr(registry, "REGISTERED", (registry.REGISTERED[0], model))


def files(folder):
    return sorted(path.name for path in folder.rglob("*") if not path.is_dir())


def test_download_is_converted_once_and_kept(hub, cache, monkeypatch):
    answer, address, sha256 = hub
    register(monkeypatch, address, sha256=sha256)

    first, second = load_model("nimbus-v1"), load_model("nimbus-v1")

    assert answer.paths == [f"/lab/nimbus/resolve/{REVISION}/V1.pt"], "asked once, at its revision"
    assert files(cache) == ["V1.json", "V1.safetensors"]
    assert first.source == second.source == str(next(cache.rglob("*.safetensors")))
    assert first.sha256 == hashlib.sha256(Path(first.source).read_bytes()).hexdigest()
    row = registry.list_models()[1]
    assert (row.available, row.pinned, row.card) == ("downloaded", True, first.card)


def test_other_file_than_meant_leaves_nothing_behind(hub, cache, monkeypatch):
    _, address, _ = hub
    register(monkeypatch, address, sha256="a" * 64)

    with pytest.raises(CheckpointError, match="expected aaaa"):
        load_model("nimbus-v1")
    assert files(cache) == []


def test_lost_connection_leaves_nothing_behind(hub, cache, monkeypatch):
    answer, address, sha256 = hub
    register(monkeypatch, address, sha256=sha256)
    monkeypatch.setattr(answer, "how", "half")

    with pytest.raises(DownloadError, match=r"connection was lost after \d+ bytes"):
        load_model("nimbus-v1")
    assert files(cache) == []


def test_absent_file_is_told_from_no_connection(hub, cache, monkeypatch):
    answer, address, sha256 = hub
    register(monkeypatch, address, sha256=sha256)
    monkeypatch.setattr(answer, "how", "absent")

    with pytest.raises(DownloadError, match="the hub answered 404"):
        load_model("nimbus-v1")
    assert files(cache) == []


def test_no_connection_is_said_so(cache, monkeypatch):
    register(monkeypatch, "http://127.0.0.1:1", sha256="a" * 64)  # nothing listens there

    with pytest.raises(DownloadError, match="no connection to the hub"):
        load_model("nimbus-v1")
    assert files(cache) == []


def test_model_without_pinned_hash_needs_consent(hub, cache, monkeypatch):
    answer, address, _ = hub
    register(monkeypatch, address, revision="", sha256="")

    with pytest.raises(CheckpointError, match="revision and sha256 of .* are unset"):
        load_model("nimbus-v1")
    assert answer.paths == [], "nothing was asked"

    assert load_model("nimbus-v1", allow_unverified=True).card.depth == 3
    assert answer.paths == ["/lab/nimbus/resolve/main/V1.pt"]


def test_shipped_registry_says_that_the_published_model_is_not_pinned(cache):
    with pytest.raises(CheckpointError, match="allow_unverified=True"):
        load_model("nimbus-v1")
    assert not registry.list_models()[1].pinned


def test_unknown_name_gets_the_nearest_and_the_list():
    with pytest.raises(ValueError, match="did you mean 'nimbus-s'.*'nimbus-v1'"):
        load_model("nimbus_s")


def test_path_of_nothing_is_an_absent_file_not_an_unknown_name(tmp_path):
    for path in (tmp_path / "mine.pt", str(tmp_path / "mine"), "mine.safetensors"):
        with pytest.raises(FileNotFoundError, match="no weights file at"):
            load_model(path)


def test_installation_without_its_weights_is_said_so(monkeypatch):
    gone = registry.Registered("nimbus-s", "", registry.Packaged("gone.safetensors"))
    monkeypatch.setattr(registry, "REGISTERED", (gone,))

    with pytest.raises(FileNotFoundError, match="reinstall nimbus-spatial"):
        load_module.load_model("nimbus-s")
    assert registry.list_models()[0].available == "missing"
