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
    has_nodes,
    node_part,
    pending_map,
    stored_map,
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
    _lock: Lock = field(default_factory=Lock)
    _stored: str = field(init=False)
    _consensus: object = field(init=False)

    def __post_init__(self) -> None:
        record = record_of(self.memory.table, self.memory.key)
        self._stored, self._consensus = _map_text(record), record.get("consensus")

    def keep(self, work: Edit) -> None:
        """Write the file beside the store, then the table in memory if somebody else reads it."""
        with self._lock:
            write_journal(self.place, work.clusters)
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
        consensus = f"{self.place.record}/consensus"
        now = str(values[f"{self.place.record}/map"])
        if now != self._stored:
            self._require_unchanged()
            same = values[consensus] is self._consensus
            write_touched(self.place, values, skip=(consensus,) if same else ())
            self._stored, self._consensus = now, values[consensus]
        with self._lock:
            if self._waiting is work:
                self._waiting = None
                self.place.journal.unlink(missing_ok=True)
        return f"in {str(self.place.path)!r}"

    def _require_unchanged(self) -> None:
        """Refuse to write over what another program wrote; a torn table is written anew."""
        stored = stored_map(self.place)
        changed = stored is not None and stored != self._stored
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
        They are of another clustering.
    """
    edits = pending_map(place)
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
