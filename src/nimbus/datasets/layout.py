"""Where cells lie: centres, whole cells and nuclei of a field of tissue.

::

    niches (smooth)      centres (no two too close)      cells (nearest ellipse)
    LLLLSSSS              . .  .     .                   11 22 33    44
    LLLSSSEE              . . .   .     .                11 22 33 55    66
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from nimbus._types import BoolArray, FloatArray, IntArray

from ._noise import smooth_noise

NEIGHBOURS = 6
"""A pixel belongs to one of this many nearest centres."""


@dataclass(frozen=True, slots=True)
class Niche:
    """A kind of tissue: how its cells are packed and which types they are.

    Parameters
    ----------
    name
        Word for the niche.
    spacing_um
        No two centres are closer.
    radius_um
        Radius a cell has where its neighbours leave it room.
    elongation
        Typical ratio of the axes.
    nucleus
        Size of the nucleus relative to the cell.
    cell_types
        Weight of each type.
    """

    name: str
    spacing_um: float
    radius_um: float
    elongation: float
    nucleus: float
    cell_types: tuple[tuple[str, float], ...]


NICHES = (
    Niche(
        "lymphoid", 5.2, 4.4, 1.15, 0.80,
        (("helper_t", 4), ("cytotoxic_t", 3), ("regulatory_t", 1), ("b_cell", 7),
         ("macrophage", 1), ("dendritic", 1), ("plasma", 0.5)),
    ),
    Niche(
        "epithelial", 7.6, 6.6, 1.3, 0.62,
        (("epithelial", 20), ("cytotoxic_t", 1), ("macrophage", 0.5), ("dendritic", 0.3)),
    ),
    Niche(
        "stroma", 8.0, 4.6, 2.2, 0.72,
        (("fibroblast", 7), ("smooth_muscle", 3), ("endothelial", 2), ("macrophage", 2),
         ("helper_t", 1), ("neutrophil", 0.7), ("plasma", 0.7)),
    ),
    Niche(
        "mixed", 6.0, 5.2, 1.3, 0.70,
        (("epithelial", 3), ("macrophage", 3), ("helper_t", 2), ("cytotoxic_t", 2),
         ("fibroblast", 2), ("neutrophil", 1), ("endothelial", 1), ("b_cell", 1)),
    ),
)  # fmt: skip
"""Niches of the default tissue; sizes are those of common histology textbooks, rounded."""

CELL_TYPES = tuple(sorted({name for niche in NICHES for name, _ in niche.cell_types}))


@dataclass(frozen=True, slots=True)
class LayoutSettings:
    """What is drawn before the cells are.

    Parameters
    ----------
    niches
        Kinds of tissue in the field.
    niche_um
        Size of a patch of one niche.
    size
        Factor on all sizes of cells.
    lumen
        Part of the field without cells.
    crowding
        Factor on the number of centres: below 1, cells are taken out at random.
    warp_um
        How far outlines stray from ellipses.
    """

    niches: tuple[Niche, ...] = NICHES
    niche_um: float = 60.0
    size: float = 1.0
    lumen: float = 0.08
    crowding: float = 1.0
    warp_um: float = 0.7


@dataclass(frozen=True, slots=True)
class Layout:
    """Cells of one field, without any marker.

    Parameters
    ----------
    pixel_size_um
        Edge of a pixel.
    cells, nuclei
        Id of the cell that a pixel belongs to, int32 ``(y, x)``, 1 to n; 0 is background.
    edge_um
        Distance to the nearest cell border.
    cell_type
        Type of each cell, ``(n,)``.
    centre_px
        Centre of each cell, ``(n, 2)`` as y, x.
    radius_px
        Radius of each cell before neighbours cut it, ``(n,)``.
    angle
        Direction of each cell's long axis, radians.
    stroma
        True where fibres lie.
    """

    pixel_size_um: float
    cells: NDArray[np.int32]
    nuclei: NDArray[np.int32]
    edge_um: NDArray[np.float32]
    cell_type: NDArray[np.str_]
    centre_px: FloatArray
    radius_px: FloatArray
    angle: FloatArray
    stroma: BoolArray

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return len(self.cell_type)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        height, width = self.cells.shape
        return height, width


def simulate_layout(
    shape: tuple[int, int],
    pixel_size_um: float,
    settings: LayoutSettings,
    rng: np.random.Generator,
    *,
    n_cells: int | None = None,
) -> Layout:
    """Draw the cells of one field.

    Parameters
    ----------
    shape
        Rows and columns.
    pixel_size_um
        Edge of a pixel.
    settings
        What the tissue is like.
    rng
        Source of chance.
    n_cells
        At most this many cells, spread over the field; None: as many as fit.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> layout = simulate_layout((80, 100), 0.5, LayoutSettings(lumen=0.0), rng)
    >>> layout.cells.shape, layout.n_cells > 10, bool((layout.nuclei <= layout.cells).all())
    ((80, 100), True, True)
    """
    niche = _niche_map(shape, pixel_size_um, settings, rng)
    centre, kind = _place(niche, pixel_size_um, settings, rng)
    if n_cells is not None and n_cells < len(centre):
        keep = np.sort(rng.permutation(len(centre))[:n_cells])
        centre, kind = centre[keep], kind[keep]
    shapes = _draw_ellipses(kind, pixel_size_um, settings, rng)
    cells, nuclei = _grow(shape, centre, shapes, settings.warp_um / pixel_size_um, rng)
    cells, nuclei, kept = _consecutive(cells, nuclei, len(centre))
    names = np.array([n.name for n in settings.niches])
    is_stroma = (np.append(names, "lumen") == "stroma")[niche]
    return Layout(
        pixel_size_um=pixel_size_um,
        cells=cells,
        nuclei=nuclei,
        edge_um=(_edge_distance(cells) * pixel_size_um).astype(np.float32),
        cell_type=_draw_types(kind[kept], settings.niches, rng),
        centre_px=centre[kept],
        radius_px=shapes.radius[kept],
        angle=shapes.angle[kept],
        stroma=is_stroma,
    )


@dataclass(frozen=True, slots=True)
class _Ellipses:
    radius: FloatArray
    elongation: FloatArray
    angle: FloatArray
    nucleus: FloatArray
    offset: FloatArray


def _niche_map(
    shape: tuple[int, int], pixel: float, settings: LayoutSettings, rng: np.random.Generator
) -> IntArray:
    """Index of the niche of each pixel; the number of niches where there are no cells."""
    length = settings.niche_um / pixel
    weight = rng.normal(0.0, 0.7, len(settings.niches))
    fields = [smooth_noise(shape, length, rng) + w for w in weight]
    niche = np.argmax(np.stack(fields), axis=0)
    empty = smooth_noise(shape, length / 2, rng)
    if settings.lumen > 0:
        niche[empty > np.quantile(empty, 1 - settings.lumen)] = len(settings.niches)
    return np.asarray(niche)


def _place(
    niche: IntArray, pixel: float, settings: LayoutSettings, rng: np.random.Generator
) -> tuple[FloatArray, IntArray]:
    """Centres (pixels) and their niches: darts that keep the spacing of their niche."""
    spacing = np.array([n.spacing_um for n in settings.niches]) * settings.size / pixel
    height, width = niche.shape
    n_darts = int(9 * height * width / spacing.min() ** 2) + 20
    darts = rng.random((n_darts, 2)) * niche.shape
    kinds = niche[darts[:, 0].astype(int), darts[:, 1].astype(int)]
    taken = np.zeros(niche.shape, dtype=bool)
    discs = [_disc(radius) for radius in spacing]
    kept = []
    for i, ((y, x), kind) in enumerate(zip(darts.astype(int), kinds, strict=True)):
        if kind == len(discs) or taken[y, x]:
            continue
        kept.append(i)
        disc, r = discs[kind], len(discs[kind]) // 2
        top, left = max(y - r, 0), max(x - r, 0)
        part = taken[top : y + r + 1, left : x + r + 1]
        part |= disc[top - y + r :, left - x + r :][: part.shape[0], : part.shape[1]]
    chosen = np.array(kept, dtype=int)
    chosen = chosen[rng.random(len(chosen)) < settings.crowding]
    return darts[chosen], kinds[chosen]


def _disc(radius: float) -> BoolArray:
    reach = int(np.ceil(radius))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return np.asarray(y**2 + x**2 < radius**2)


def _draw_ellipses(
    kind: IntArray, pixel: float, settings: LayoutSettings, rng: np.random.Generator
) -> _Ellipses:
    n = len(kind)
    radius, elongation, nucleus = (
        np.array([getattr(niche, name) for niche in settings.niches])[kind]
        for name in ("radius_um", "elongation", "nucleus")
    )
    return _Ellipses(
        radius=radius * settings.size / pixel * rng.lognormal(0.0, 0.14, n),
        elongation=1 + (elongation - 1) * rng.gamma(2.0, 0.5, n),
        angle=rng.uniform(0, np.pi, n),
        nucleus=np.clip(nucleus * rng.normal(1.0, 0.09, n), 0.3, 0.95),
        offset=rng.normal(0.0, 0.10, (n, 2)),
    )


def _grow(
    shape: tuple[int, int],
    centre: FloatArray,
    ellipses: _Ellipses,
    warp_px: float,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Each pixel goes to the ellipse it lies deepest in; nuclei are smaller ellipses."""
    cells = np.zeros(shape, dtype=np.int32)
    nuclei = np.zeros(shape, dtype=np.int32)
    if len(centre) == 0:
        return cells, nuclei
    warp = [smooth_noise(shape, 4 * max(warp_px, 1), rng) * warp_px for _ in range(2)]
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    points = np.stack([y + warp[0], x + warp[1]], axis=-1).reshape(-1, 2)
    reach = float((ellipses.radius * np.sqrt(ellipses.elongation)).max())
    k = min(NEIGHBOURS, len(centre))
    distance, near = cKDTree(centre).query(points, k=k, distance_upper_bound=reach)
    near = near.reshape(len(points), k)
    some = np.flatnonzero(np.isfinite(distance.reshape(len(points), k)[:, 0]))
    candidates = np.minimum(near[some], len(centre) - 1)
    depth = _depth(points[some][:, None], candidates, centre, ellipses)
    depth[near[some] == len(centre)] = np.inf
    best = np.argmin(depth, axis=1)
    winner = np.take_along_axis(candidates, best[:, None], axis=1)[:, 0]
    inside = np.take_along_axis(depth, best[:, None], axis=1)[:, 0] <= 1
    cells.ravel()[some[inside]] = winner[inside] + 1
    shifted = centre + ellipses.offset * ellipses.radius[:, None]
    deep = _depth(points[some], winner, shifted, ellipses) <= ellipses.nucleus[winner]
    nuclei.ravel()[some[inside & deep]] = winner[inside & deep] + 1
    return cells, nuclei


def _depth(
    points: FloatArray, which: IntArray, centre: FloatArray, ellipses: _Ellipses
) -> FloatArray:
    """Distance of each point from the middle of an ellipse: 0 in the middle, 1 at its edge."""
    delta = points - centre[which]
    cos, sin = np.cos(ellipses.angle)[which], np.sin(ellipses.angle)[which]
    stretch = np.sqrt(ellipses.elongation)[which]
    along = (delta[..., 1] * cos + delta[..., 0] * sin) / stretch
    across = (delta[..., 0] * cos - delta[..., 1] * sin) * stretch
    return np.asarray(np.hypot(along, across) / ellipses.radius[which])


def _consecutive(
    cells: NDArray[np.int32], nuclei: NDArray[np.int32], n: int
) -> tuple[NDArray[np.int32], NDArray[np.int32], IntArray]:
    """Ids without gaps: a cell needs a nucleus; also the old index of each that is left."""
    count = np.bincount(nuclei.ravel(), minlength=n + 1)
    kept = np.flatnonzero(count[1:] > 0)
    new = np.zeros(n + 1, dtype=np.int32)
    new[kept + 1] = np.arange(1, len(kept) + 1)
    return new[cells], new[nuclei], kept


def _edge_distance(cells: IntArray) -> FloatArray:
    """Distance in pixels from each pixel to the border of the nearest cell."""
    border = np.zeros(cells.shape, dtype=bool)
    for axis in (0, 1):
        changed = np.diff(cells, axis=axis) != 0
        first = [slice(None)] * 2
        second = [slice(None)] * 2
        first[axis], second[axis] = slice(None, -1), slice(1, None)
        border[tuple(first)] |= changed
        border[tuple(second)] |= changed
    if not border.any():
        return np.full(cells.shape, float(max(cells.shape)))
    return np.asarray(ndimage.distance_transform_edt(~border))


def _draw_types(
    kind: IntArray, niches: tuple[Niche, ...], rng: np.random.Generator
) -> NDArray[np.str_]:
    draw = rng.random(len(kind))
    out = np.empty(len(kind), dtype="<U24")
    for index, niche in enumerate(niches):
        names, weight = zip(*niche.cell_types, strict=True)
        edges = np.cumsum(weight) / np.sum(weight)
        here = kind == index
        out[here] = np.array(names)[np.searchsorted(edges, draw[here], side="right")]
    return out
