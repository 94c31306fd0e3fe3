"""Where edits are kept: in the table alone, or on disk before anybody is told so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, TypeAlias

from anndata import AnnData

from nimbus._keys import Suffix
from nimbus.cluster.clustermap import ClusterMap
from nimbus.cluster.consensus import Consensus
from nimbus.cluster.mapjson import map_to_json
from nimbus.data.clusters import map_of, record_of
from nimbus.data.mapstore import (
    TablePlace,
    Touched,
    has_nodes,
    mark_of,
    node_part,
    pending_map,
    stored_map,
    text_beside,
    touched,
    write_journal,
    write_touched,
)
from nimbus.tl._metaclusters import (
    ConsensusSettings,
    write_consensus_record,
    write_map_of,
)

from .saving import Keeper
from .turns import turn

Found: TypeAlias = tuple[Consensus, ConsensusSettings]
"""What resamples told when metaclusters were cut again."""


@dataclass(frozen=True, slots=True, eq=False)
class Edit:
    """Metaclusters after an edit.

    Parameters
    ----------
    clusters
        All of them, with their history.
    found
        What resamples told, if they were cut again.
    """

    clusters: ClusterMap
    found: Found | None = None


@dataclass(frozen=True, slots=True, eq=False)
class InMemory(Keeper[Edit]):
    """Keeps edits in ``obs`` and ``uns`` of a table."""

    table: AnnData
    key: str

    def keep(self, work: Edit) -> None:
        """Write them into the table."""
        write_map_of(self.table, work.clusters, key_added=self.key)
        if work.found is not None:
            write_consensus_record(record_of(self.table, self.key), *work.found)

    def settle(self) -> str:
        """Nothing is left to do."""
        return f"in obs[{self.key + Suffix.METACLUSTER!r}] of the table in memory"


@dataclass(slots=True, eq=False)
class OnDisk(Keeper[Edit]):
    """Keeps edits in a file beside the store at once, and in its table soon after.

    Parameters
    ----------
    memory
        The same table in memory.
    place
        Where it is on disk.
    alone
        Whether nobody else reads the table in memory: then it follows behind the page, too.
    """

    memory: InMemory
    place: TablePlace
    alone: bool = False
    _waiting: Edit | None = None
    _beside: str | None = None
    _lock: Lock = field(default_factory=Lock)
    _stored: str = field(init=False)
    _own: list[str] = field(init=False)  # marks of what the table has, or may get from here
    _consensus: object = field(init=False)

    def __post_init__(self) -> None:
        record = record_of(self.memory.table, self.memory.key)
        self._stored, self._consensus = _map_text(record), record.get("consensus")
        self._own = [mark_of(self._stored)]

    def keep(self, work: Edit) -> None:
        """Write the file beside the store, then the table in memory if somebody else reads it."""
        with self._lock:
            self._require_own_file()
            self._own.append(mark_of(map_to_json(work.clusters)))
            self._beside = write_journal(self.place, work.clusters, after=self._own)
            if not self.alone:
                self.memory.keep(work)
            found = None if self._waiting is None else self._waiting.found
            self._waiting = Edit(work.clusters, work.found or found)

    def settle(self) -> str:
        """Write the table, then remove the file beside it, if no other edit is in it by now."""
        work = self._waiting
        if self.alone and work is not None:
            self.memory.keep(work)
        values = touched(self.memory.table, self.memory.key)
        now = str(values[f"{self.place.record}/map"])
        if now != self._stored:
            with turn(self.place.path):
                self._write(values, now)
        with self._lock:
            if self._waiting is work:
                self._waiting = None
                self._remove_file()
        return f"in {str(self.place.path)!r}"

    def _write(self, values: Touched, now: str) -> None:
        self._require_unchanged()
        consensus = f"{self.place.record}/consensus"
        same = values[consensus] is self._consensus
        write_touched(self.place, values, skip=(consensus,) if same else ())
        self._stored, self._consensus = now, values[consensus]

    def _remove_file(self) -> None:
        """Remove the file beside the store; one that another program wrote stays."""
        if text_beside(self.place) == self._beside:
            self.place.journal.unlink(missing_ok=True)

    def _require_own_file(self) -> None:
        """Refuse to write over edits of another program that the store lacks."""
        if text_beside(self.place) not in (None, self._beside):
            raise OSError(
                f"another program edits these metaclusters, too, and has edits in "
                f"{str(self.place.journal)!r} that would be lost; close all pages but one, and "
                "open that one again"
            )

    def _require_unchanged(self) -> None:
        """Refuse to write over what another program wrote; a torn table is written anew.

        One that was opened in between has brought in the file, and with it edits made here.
        """
        stored = stored_map(self.place)
        changed = stored is not None and mark_of(stored) not in self._own
        if changed or not has_nodes(self.place, self.memory.table):
            raise OSError(
                f"another program changed the cells or metaclusters in {str(self.place.path)!r}; "
                f"your edits are safe in {str(self.place.journal)!r}: close this page, move that "
                "file away, open the page again, and give the file to nimbus.tl.remap if you "
                "want them"
            )


def recover(place: TablePlace) -> bool:
    """Bring edits of an earlier run, which a file beside the store holds, into its table.

    Reads only what is needed, so that it also mends a table that was left half written.

    Returns
    -------
    Whether there were any.

    Raises
    ------
    nimbus.cluster.edits.ClusterMapError
        They are of another clustering, or another program changed the metaclusters since.
    """
    if not place.journal.exists():
        return False
    with turn(place.path):
        edits = pending_map(place)  # by now: another page may just have written them
        if edits is None:
            return False
        table = node_part(place)
        write_map_of(table, edits, key_added=place.key)
        write_touched(place, touched(table, place.key), skip=(f"{place.record}/consensus",))
        place.journal.unlink()
    return True


def _map_text(record: Mapping[str, Any]) -> str:
    """The map as it is stored; one without edits may not be stored yet."""
    return str(record["map"]) if "map" in record else map_to_json(map_of(record))
