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

from nimbus._types import BoolArray, FloatArray, IntArray

from ._noise import smooth_noise
from .architecture import Architecture, ArchitectureSettings, simulate_architecture
from .cells import Ellipses, consecutive, edge_distance, grow
from .niches import NICHES, Niche, draw_types


@dataclass(frozen=True, slots=True)
class LayoutSettings:
    """What is drawn before the markers are.

    Parameters
    ----------
    niches
        Kinds of tissue in the field.
    niche_um
        Size of a patch of one niche.
    size
        Factor on all sizes of cells.
    size_spread
        Deviation of the logarithm of the cells' radii.
    giants
        Part of the cells that are 1.4 to 2.2 times as wide as their neighbours.
    lumen
        Part of the field without cells.
    crowding
        Factor on the number of centres: below 1, cells are taken out at random.
    warp_um
        How far outlines stray from ellipses.
    nucleus
        Factor on the size of all nuclei.
    rim_um
        No nucleus comes closer to the border of its cell.
    clustering
        0: cell types alternate at random; 1: they lie in zones.
    follicles, glands, vessels
        Number per 100,000 square um.
    """

    niches: tuple[Niche, ...] = NICHES
    niche_um: float = 60.0
    size: float = 1.0
    size_spread: float = 0.16
    giants: float = 0.0
    lumen: float = 0.08
    crowding: float = 1.0
    warp_um: float = 0.7
    nucleus: float = 1.0
    rim_um: float = 0.4
    clustering: float = 0.3
    follicles: float = 0.6
    glands: float = 0.8
    vessels: float = 2.0


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
    blood
        True in the lumen of a vessel.
    grain
        Direction of the tissue, radians ``(y, x)``.
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
    blood: BoolArray
    grain: NDArray[np.float32]

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
    tissue = simulate_architecture(shape, pixel_size_um, _architecture(settings), rng)
    centre, kind = _place(tissue, pixel_size_um, settings, rng)
    if n_cells is not None and n_cells < len(centre):
        keep = np.sort(rng.permutation(len(centre))[:n_cells])
        centre, kind = centre[keep], kind[keep]
    outlines = _draw_ellipses(centre, kind, tissue, pixel_size_um, settings, rng)
    cells, nuclei = grow(shape, outlines, settings.warp_um / pixel_size_um, rng)
    edge_um = (edge_distance(cells) * pixel_size_um).astype(np.float32)
    nuclei[edge_um < settings.rim_um] = 0
    cells, nuclei, kept = consecutive(cells, nuclei, len(centre))
    y, x = centre[kept].astype(int).T
    zones = smooth_noise(shape, settings.niche_um / pixel_size_um, rng)[y, x]
    return Layout(
        pixel_size_um=pixel_size_um,
        cells=cells,
        nuclei=nuclei,
        edge_um=edge_um,
        cell_type=draw_types(kind[kept], tissue.niches, zones, settings.clustering, rng),
        centre_px=centre[kept],
        radius_px=outlines.radius[kept],
        angle=outlines.angle[kept],
        stroma=tissue.is_in("stroma") | tissue.is_in("vessel"),
        blood=tissue.blood,
        grain=tissue.grain,
    )


def _architecture(settings: LayoutSettings) -> ArchitectureSettings:
    return ArchitectureSettings(
        niches=settings.niches,
        niche_um=settings.niche_um,
        lumen=settings.lumen,
        follicles=settings.follicles,
        glands=settings.glands,
        vessels=settings.vessels,
    )


def _place(
    tissue: Architecture, pixel: float, settings: LayoutSettings, rng: np.random.Generator
) -> tuple[FloatArray, IntArray]:
    """Centres (pixels) and their niches: darts that keep the spacing of their niche."""
    niche = tissue.niche
    spacing = np.array([n.spacing_um for n in tissue.niches]) * settings.size / pixel
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
    centre: FloatArray,
    kind: IntArray,
    tissue: Architecture,
    pixel: float,
    settings: LayoutSettings,
    rng: np.random.Generator,
) -> Ellipses:
    n = len(kind)
    radius, elongation, nucleus, aligned = (
        np.array([getattr(niche, name) for niche in tissue.niches])[kind]
        for name in ("radius_um", "elongation", "nucleus", "aligned")
    )
    y, x = centre.astype(int).T
    along = tissue.grain[y, x] + rng.normal(0, 0.3, n)
    giant = np.where(rng.random(n) < settings.giants, rng.uniform(1.4, 2.2, n), 1.0)
    spread = rng.lognormal(0.0, settings.size_spread, n)
    return Ellipses(
        centre=centre,
        radius=radius * settings.size / pixel * spread * giant,
        elongation=1 + (elongation - 1) * rng.gamma(2.0, 0.5, n),
        angle=np.where(aligned, along, rng.uniform(0, np.pi, n)),
        nucleus=np.clip(settings.nucleus * nucleus * rng.normal(1.0, 0.09, n), 0.3, 0.95),
        offset=rng.normal(0.0, 0.10, (n, 2)),
    )
