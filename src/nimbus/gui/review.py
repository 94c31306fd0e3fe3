"""The annotation page in a notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spatialdata import SpatialData

from nimbus._keys import Layers
from nimbus.data.annotations import Likely

from . import _late
from .labelling.look import Look
from .labelling.opening import Request, review_desk
from .labelling.order import Order


def review(  # noqa: PLR0913 - the public signature
    sdata: SpatialData,
    *,
    annotator: str | None = None,
    markers: str | Sequence[str] | None = None,
    order: Order | None = None,
    n_cells: int = 100,
    second: str | None = None,
    layer: str = Layers.SCORE,
    labels_key: str | Sequence[str] | None = None,
    image_key: str | Mapping[str, str] | None = None,
    likely: Likely = "undetermined",
    table_key: str = "table",
    key_added: str = Layers.GOLD,
    random_state: int = 0,
    write: bool = False,
) -> Any:
    """Page to label cells by eye, one marker at a time, with a key for each judgement.

    As the last line of a notebook's cell it is shown below it. ``nimbus gui STORE --review`` shows
    the same in a browser. Each judgement is kept before the next cell is shown.

    Parameters
    ----------
    sdata
        Images, labels, and the table that annotates them.
    annotator
        Who judges; ``None`` takes the name of the account. Each has labels of their own.
    markers
        Markers to judge, in this order; ``None`` takes all of which the images have a channel.
    order
        ``"uncertain"`` shows scores near 0.5 first, ``"disagreement"`` cells that score and mean
        intensity rank most differently, ``"random"`` cells by chance; ``None`` takes the first
        where there are scores, else the last. In each, fields take turns. Labels that shall tell
        how good scores are have to be by chance; those that shall train or calibrate need not.
    n_cells
        Cells to judge of each marker.
    second
        Channel in blue over the marker at first, e.g. the nuclear one.
    layer
        Scores, 0 to 1.
    labels_key
        Fields to judge; ``None`` takes all that the table annotates.
    image_key
        Image of the labels, or ``{labels_key: image_key}``; ``None`` takes the only one, or that
        of the same stem.
    likely
        ``"decided"`` counts likely positive and likely negative in the layer; ``"undetermined"``
        leaves them out.
    table_key
        The table.
    key_added
        Name of the layer.
    random_state
        Seed of the order. With the same one annotators judge the same cells.
    write
        Also keep each judgement on disk, beside the store and in its table.

    Returns
    -------
    A Panel layout: a notebook shows it, ``.show(address="127.0.0.1")`` opens a browser,
    ``.servable()`` makes it part of an application. Panel asks for no token, and without the
    address the whole network may edit; ``nimbus gui`` lets in nobody else.

    Raises
    ------
    ImportError
        Panel is not installed (extra ``gui``).
    TypeError
        A table alone: cells are judged on images.
    ValueError
        No images or labels, an unknown name, an order that looks at layers which do not exist,
        with `write` no store or one whose table has other cells, or a layer that holds no labels.

    Notes
    -----
    ``layers[key_added]`` is int8: 1 positive, 0 negative, -1 where nobody judged, somebody could
    not tell, or annotators differ. What each of them said is in ``uns[key_added]["annotations"]``
    (columns ``fov``, ``instance_id``, ``marker``, ``label``, ``annotator``), and Cohen's kappa in
    ``uns[key_added]["agreement"]``. With `write` each annotator also has a file,
    ``STORE.table.gold/NAME.csv``, as :func:`nimbus.io.read_gold` reads it;
    :func:`nimbus.pp.gold_labels` asks for more than one of them, if wanted. Labels that the layer
    had before stay, as those of an annotator called ``"earlier"``.

    Examples
    --------
    >>> import nimbus
    >>> sdata = nimbus.datasets.tissue(shape=(64, 64), n_cells=9, markers=["CD3"], random_state=0)
    >>> page = nimbus.gui.review(sdata, annotator="ada", order="random", n_cells=5)
    >>> type(page).__name__
    'Column'
    """
    request = Request(
        annotator=annotator,
        markers=markers,
        order=order,
        n_cells=n_cells,
        layer=layer,
        labels_key=labels_key,
        image_key=image_key,
        second=second,
        likely=likely,
        table_key=table_key,
        key_added=key_added,
        random_state=random_state,
    )
    page = _late.reviewing  # before the work, so that a missing extra is told at once
    return page.build(review_desk(sdata, request, write=write), Look(second=second))
