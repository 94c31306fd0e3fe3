"""Where judgements are kept: in the table alone, or on disk before anybody is told so."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from spatialdata import SpatialData

from nimbus._durable import write_durably
from nimbus._exchange import beside
from nimbus.data.store import has_other_rows, has_table, write_table
from nimbus.gui.saving import Keeper
from nimbus.gui.turns import turn
from nimbus.io._safe_names import original_name, safe_name
from nimbus.io.gold import read_gold

from .book import Book, Judged
from .ledger import Ledger
from .state import Labels

SUFFIX = ".csv"


@dataclass(frozen=True, slots=True, eq=False)
class InMemory(Keeper[Labels]):
    """Keeps labels in the layer and in ``uns`` of a table."""

    ledger: Ledger
    annotator: str

    def keep(self, work: Labels) -> None:
        """Write them into the table."""
        self.ledger.put({self.annotator: self.ledger.with_labels(self.annotator, work)})

    def settle(self) -> str:
        """Nothing is left to do."""
        return f"in layers[{self.ledger.key!r}] of the table in memory"


@dataclass(slots=True, eq=False)
class OnDisk(Keeper[Labels]):
    """Keeps labels in a file of the annotator at once, and in the table of the store soon after.

    Parameters
    ----------
    memory
        The same table in memory.
    sdata
        The object with the store.
    table_key
        Its table.
    folder
        Folder beside the store with one file for each annotator.
    """

    memory: InMemory
    sdata: SpatialData
    table_key: str
    folder: Path
    _text: str | None = field(init=False)
    _there: bool = field(init=False)  # whether the store has the table

    def __post_init__(self) -> None:
        self._text = _text(self.path)
        self._there = has_table(self.sdata, self.table_key)

    @property
    def path(self) -> Path:
        """File of the annotator."""
        return self.folder / (safe_name(self.memory.annotator) + SUFFIX)

    def keep(self, work: Labels) -> None:
        """Write the file, then the table in memory."""
        if _text(self.path) != self._text:
            raise OSError(
                f"another program changed {str(self.path)!r}; two people need two names: close "
                "this page and open it with annotator= (--annotator) of your own"
            )
        ledger, name = self.memory.ledger, self.memory.annotator
        text = ledger.book.frame(ledger.with_labels(name, work)).to_csv(index=False)
        self.folder.mkdir(exist_ok=True)
        write_durably(self.path, text)
        self._text = text
        self.memory.keep(work)

    def settle(self) -> str:
        """Take in what others have said since, and write layer and record.

        Raises
        ------
        OSError
            Another program put a table of other cells into the store, or deleted it; the store is
            left alone.
        """
        ledger = self.memory.ledger
        with turn(Path(str(self.sdata.path))):  # by now: others may just have ended
            others = read_files(self.folder, ledger.book)
            others.pop(self.memory.annotator, None)
            ledger.put(others)
            if ledger.key in self.sdata.tables[self.table_key].layers:
                self._write()
        return f"in {self.folder.name}/{self.path.name} and the layer {ledger.key!r}"

    def _write(self) -> None:
        key = self.memory.ledger.key
        self._require_same_rows()
        write_table(self.sdata, self.table_key, keys={"layers": key, "uns": key})
        self._there = True

    def _require_same_rows(self) -> None:
        gone = self._there and not has_table(self.sdata, self.table_key)
        if gone or has_other_rows(self.sdata, self.table_key):
            what = "deleted" if gone else "changed the cells of"
            raise OSError(
                f"another program {what} table {self.table_key!r} in {str(self.sdata.path)!r}; "
                f"your labels are safe in {str(self.path)!r}: close this page and open it again, "
                "which brings them in"
            )


def label_folder(store: Path, table_key: str, key: str) -> Path:
    """Folder beside a store with the file of each annotator.

    Examples
    --------
    >>> label_folder(Path("data/tissue.zarr"), "table", "gold").as_posix()
    'data/tissue.zarr.table.gold'
    """
    return beside(store, f".{table_key}.{key}")


def read_files(folder: Path, book: Book) -> dict[str, Judged]:
    """What each annotator said, by the file of their name.

    Raises
    ------
    nimbus.io.ReadError
        A file is no table of labels; the message names it.
    """
    paths = sorted(folder.glob(f"*{SUFFIX}"))
    return {original_name(path.stem): book.read(read_gold(path)) for path in paths}


def _text(path: Path) -> str | None:
    """The file as it is; ``None`` where there is none."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return None
