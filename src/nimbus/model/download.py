"""Weights from a hub into the user's cache: temporary file, hash, atomic move."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pooch

CACHE_VARIABLE = "NIMBUS_CACHE_DIR"
"""Environment variable that names another cache folder."""

TIMEOUT_S = 30


class DownloadError(OSError):
    """Weights that could not be fetched, and why.

    Examples
    --------
    >>> nowhere = HubFile("some/model", "V1.pt", "", "", hub="http://127.0.0.1:9")
    >>> fetch(nowhere, Path(tempfile.mkdtemp()) / "V1.pt")
    Traceback (most recent call last):
    nimbus.model.download.DownloadError: http://127.0.0.1:9/some/model/resolve/main/V1.pt could
        not be downloaded: ...
    """


@dataclass(frozen=True, slots=True)
class HubFile:
    """One file of a repository on a model hub, at one commit.

    Parameters
    ----------
    repository, file
        Where it is on the hub.
    revision
        Commit, 40 hexadecimal digits; empty where nobody has filled it in: then the head of the
        main branch.
    sha256
        Hash of the file; empty where nobody has filled it in.
    hub
        Address of the hub.
    """

    repository: str
    file: str
    revision: str
    sha256: str
    hub: str = "https://huggingface.co"

    @property
    def pinned(self) -> bool:
        """Whether revision and hash are known."""
        return len(self.revision) == 40 and len(self.sha256) == 64

    @property
    def url(self) -> str:
        """Where the file is fetched from.

        Examples
        --------
        >>> HubFile("some/model", "V1.pt", revision="", sha256="").url
        'https://huggingface.co/some/model/resolve/main/V1.pt'
        """
        return f"{self.hub}/{self.repository}/resolve/{self.revision or 'main'}/{self.file}"


def cache_dir() -> Path:
    """Folder for downloaded weights: ``NIMBUS_CACHE_DIR``, else the user's cache."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named).expanduser() if named else Path(pooch.os_cache("nimbus"))


def cached_path(file: HubFile) -> Path:
    """Where the converted weights of `file` are kept, or would be."""
    folder = f"{file.repository.replace('/', '--')}@{file.revision[:12] or 'main'}"
    return cache_dir() / folder / Path(file.file).with_suffix(".safetensors").name


def fetch(file: HubFile, target: Path) -> None:
    """Download `file` to `target`, which is there in full or not at all.

    Parameters
    ----------
    file
        Its hash is not checked here.
    target
        Its folder exists.

    Raises
    ------
    DownloadError
        No connection; not on the hub; the connection was lost on the way.
    """
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".download-") as folder:
        part = Path(folder) / target.name
        try:
            pooch.HTTPDownloader(timeout=TIMEOUT_S)(file.url, str(part), None)
        except OSError as error:  # what requests raises is one
            raise DownloadError(_reason(file, part, error)) from error
        part.replace(target)


def _reason(file: HubFile, part: Path, error: OSError) -> str:
    got = part.stat().st_size if part.exists() else 0
    response = getattr(error, "response", None)
    if response is not None:
        what = f"the hub answered {response.status_code}"
    elif got:
        what = f"the connection was lost after {got} bytes; run it again"
    else:
        what = "no connection to the hub; connect once, or give the path of a weights file"
    return f"{file.url} could not be downloaded: {what} ({type(error).__name__})"
