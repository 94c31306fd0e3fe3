"""Section of the page that saves the mapping as a file."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any

import panel as pn

from nimbus.cluster.clustermap import ClusterMap
from nimbus.cluster.mapcsv import map_to_csv
from nimbus.cluster.mapjson import map_to_json

from .controls import download


def export_buttons(clusters: Callable[[], ClusterMap], *, key: str) -> Any:
    """Buttons for JSON with the history, CSV, and CSV with the columns of the published page.

    Parameters
    ----------
    clusters
        Gives the metaclusters as they are when a button is clicked.
    key
        Begins the names of the files.
    """
    return pn.Row(
        download(
            "Export JSON",
            "export-json",
            filename=f"{key}-metaclusters.json",
            callback=lambda: StringIO(map_to_json(clusters())),
        ),
        download(
            "CSV",
            "export-csv",
            filename=f"{key}-metaclusters.csv",
            callback=lambda: StringIO(map_to_csv(clusters())),
        ),
        download(
            "CSV (Pixie)",
            "export-pixie",
            filename=f"{key}-cell_meta_cluster_mapping.csv",
            callback=lambda: StringIO(map_to_csv(clusters(), style="pixie")),
        ),
        margin=0,
    )
