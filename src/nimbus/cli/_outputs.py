"""Where a run reads and writes, checked before it begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nimbus._exchange import beside

from ._newfile import require_file, require_parent

TABLE_KINDS = (".csv", ".parquet", ".h5ad")


@dataclass(frozen=True, slots=True)
class Outputs:
    """Input and output of ``nimbus score``; see its options."""

    store: Path | None
    images: Path | None
    labels: Path | None
    out: Path | None
    table: Path | None
    overwrite: bool
    resume: Path | None = None
    url: str | None = None
    pattern: str | None = None
    fovs: Sequence[str] | None = None
    save_maps: bool = False

    @property
    def target(self) -> Path:
        """The store that holds the result; of a URL, what it would be called here."""
        path = self.store or self.out
        if self.url is not None:
            return Path(self.url.rstrip("/").rpartition("/")[2] or "store")
        if path is None:
            raise ValueError("there is neither a store nor --out")
        return path

    @property
    def journal(self) -> Path:
        """Folder that keeps finished tiles until the run is complete: beside the store."""
        return self.resume or beside(self.target, ".nimbus-resume")

    def checked(self) -> Outputs:
        """The same, or an error that says what to change.

        Raises
        ------
        ValueError
            Options that contradict each other or lack one another.
        FileNotFoundError, FileExistsError, PermissionError
            What is to be read is not there, or what is to be written is.
        """
        if self.url is not None:
            self._check_url(self.url)
        elif self.store is not None:
            self._check_store(self.store)
        else:
            self._check_folders()
        if self.table is not None:
            require_file("--table", self.table, TABLE_KINDS, overwrite=self.overwrite)
        return self

    def _check_url(self, url: str) -> None:
        self._check_alone()
        if self.table is None:
            raise ValueError(
                f"{url} is only read; say where the scores go, e.g. --table scores.csv or "
                "--table scores.h5ad"
            )
        if self.save_maps:
            raise ValueError(
                f"{url} is only read, so --save-maps has no place for its images; leave it out, or "
                "score a copy of the store"
            )

    def _check_alone(self) -> None:
        extra = {"--images": self.images, "--labels": self.labels, "--out": self.out}
        given = [name for name, value in extra.items() if value is not None]
        if given:
            raise ValueError(
                f"a store and {', '.join(given)} were given; score either a store in place or "
                "folders of TIFFs into a new one"
            )
        of_folders = {
            "--fovs": ("fields of --images", self.fovs),
            "--pattern": ("files of --labels", self.pattern),
        }
        for name, (what, value) in of_folders.items():
            if value is not None:
                raise ValueError(
                    f"{name} names {what}; of a store --labels-key names the labels to score"
                )

    def _check_store(self, store: Path) -> None:
        self._check_alone()
        if not store.exists():
            raise FileNotFoundError(f"store {store} does not exist")
        if not is_store(store):
            raise ValueError(
                f"{store} is no SpatialData store (a .zarr folder); for TIFFs use --images DIR "
                "--labels DIR --out STORE.zarr"
            )

    def _check_folders(self) -> None:
        parts = {"--images": self.images, "--labels": self.labels, "--out": self.out}
        missing = [name for name, value in parts.items() if value is None]
        if self.out is None or missing:
            raise ValueError(
                "give the path of a store, or --images DIR --labels DIR --out STORE.zarr"
                + (f"; {', '.join(missing)} is missing" if len(missing) < len(parts) else "")
            )
        if self.out.exists():
            if not is_store(self.out):
                raise FileExistsError(f"--out {self.out} exists and is no store; name another path")
            if not self.overwrite:
                raise FileExistsError(
                    f"--out {self.out} exists; --overwrite replaces it, and it is scored in place "
                    f"by: nimbus score {self.out}"
                )
        require_parent("--out", self.out)


def is_url(store: str) -> bool:
    """Whether a store is a URL, not a folder."""
    return "://" in store


def is_store(path: Path) -> bool:
    """Whether a folder is a Zarr group."""
    return any((path / name).is_file() for name in ("zarr.json", ".zgroup"))
