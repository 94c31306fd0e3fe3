"""What a verb is to measure and where the result goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from anndata import AnnData
from spatialdata import SpatialData

from nimbus._check import one_or_more

from .elements import channel_names, pair_elements
from .tables import annotated_labels, find_table, markers_of


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """Elements to measure, channels, and the table that takes the result.

    Parameters
    ----------
    pairs
        Image of each labels element.
    channels
        Channels asked for; with a table those that it has a column for; ``None`` for all.
    table
        The existing table; ``None`` where one is to be made.
    """

    pairs: dict[str, str]
    channels: list[str] | None
    table: AnnData | None


def find_target(
    sdata: SpatialData,
    *,
    table_key: str,
    image_key: str | Mapping[str, str] | None,
    labels_key: str | Sequence[str] | None,
    channels: str | Sequence[str] | None,
) -> Target:
    """Find the labels, their images, the channels and the table of a verb.

    Raises
    ------
    ValueError
        Elements or channels that do not exist, or do not fit the table.
    """
    chosen = None if channels is None else one_or_more(channels)
    if chosen is not None and len(set(chosen)) != len(chosen):
        raise ValueError(f"channels are named twice: {chosen}")
    table = find_table(sdata, table_key)
    wanted = labels_key
    if table is not None and not (labels_key is None and isinstance(image_key, Mapping)):
        wanted = annotated_labels(table, labels_key, sorted(sdata.labels), table_key=table_key)
    pairs = pair_elements(sdata, image_key=image_key, labels_key=wanted)
    if table is None:
        return Target(pairs, chosen, None)
    annotated_labels(table, list(pairs), sorted(sdata.labels), table_key=table_key)
    markers = markers_of(table, chosen, table_key=table_key)
    there = {
        name
        for image in set(pairs.values())
        for name in channel_names(sdata.images[image], image_key=image)
    }
    if chosen is None:
        markers = [name for name in markers if name in there]
        if not markers:
            raise ValueError(
                f"no channel of the images is among the var_names of table {table_key!r}; pass "
                "table_key= with a new name to make a table for them"
            )
    return Target(pairs, markers, table)
