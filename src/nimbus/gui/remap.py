"""The page on metaclusters in a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anndata import AnnData
from spatialdata import SpatialData

from nimbus._keys import Layers

from . import _late
from .opening import Request, desk_of


def remap(
    adata: AnnData | SpatialData,
    *,
    key_added: str = Layers.SCORE,
    layer: str | None = None,
    table_key: str = "table",
    image_key: str | Mapping[str, str] | None = None,
    region_key: str | None = None,
    write: bool = False,
) -> Any:
    """Page to merge, split, name and colour metaclusters with the mouse, beside the tissue.

    As the last line of a notebook's cell it is shown below it. ``nimbus gui STORE`` shows the same
    in a browser. Every edit is in the table at once, as :func:`nimbus.tl.remap` would make it, with
    the same history: each can undo what the other did.

    Parameters
    ----------
    adata
        Table after :func:`nimbus.tl.cluster`, or the SpatialData object that holds it; the latter
        also shows its images, with the selected cells on them.
    key_added
        As in :func:`nimbus.tl.cluster`.
    layer
        Layer of the histograms; ``None`` takes what was clustered.
    table_key
        Table of a SpatialData object.
    image_key
        Image of the labels, or ``{labels_key: image_key}``; ``None`` takes the only one, or that
        of the same stem.
    region_key
        Column of ``obs`` with the field of each cell, for a table that annotates no labels; its
        cells are shown at ``obsm["spatial"]``.
    write
        Also write each edit to the store of a SpatialData object: at once into a file beside it,
        from there into its table. The store must hold the table as it is in memory
        (:func:`nimbus.io.write_table`).

    Returns
    -------
    A Panel layout: a notebook shows it, ``.show(address="127.0.0.1")`` opens a browser,
    ``.servable()`` makes it part of an application. Panel asks for no token, and without the
    address the whole network may edit; ``nimbus gui`` lets in nobody else.

    Raises
    ------
    ImportError
        Panel is not installed (extra ``gui``).
    ValueError
        There is no clustering, there are no metaclusters, or with `write` no store, or one that
        holds another table or other metaclusters; an unknown layer or column; an image and labels
        that do not lie on each other.

    Examples
    --------
    >>> import nimbus, numpy as np
    >>> scores = np.repeat([[0.9, 0.1], [0.1, 0.9], [0.1, 0.1]], [30, 20, 10], axis=0)
    >>> table = AnnData(np.zeros((60, 2)), layers={"nimbus": scores})
    >>> nimbus.tl.cluster(table, grid=(2, 2), n_metaclusters=3)
    >>> page = nimbus.gui.remap(table)
    >>> type(page).__name__
    'Column'
    """
    request = Request(key_added, layer, table_key, image_key, region_key)
    page = _late.page  # before the work, so that a missing extra is told at once
    return page.build(desk_of(adata, request, write=write))
