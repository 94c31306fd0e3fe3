"""Training of a self-organising map by the batch rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from nimbus._progress import with_progress
from nimbus._types import BoolArray, FloatArray

from .batchmap import NumpyPass, Pass, batch_step, summed
from .blas import one_blas_thread
from .codebook import Codebook
from .grid import Grid
from .relocation import in_layout, relocate
from .rows import ArrayRows, Rows, Values, complete
from .survey import Moments, moments, summed_moments

Step = TypeVar("Step")

DISCOUNTS = (0.0, 0.0, 0.0, 0.5, 0.5)
"""Of each relocation: first where the error falls most, then also for small groups of cells."""

STEPS_BETWEEN = 2
"""k-means steps after nodes were moved."""


@dataclass(frozen=True, slots=True)
class SomSettings:
    """How a map is trained.

    Parameters
    ----------
    n_epochs
        Passes over the cells while the neighbourhood shrinks.
    n_kmeans_steps
        Passes at last without neighbourhood: each node goes to the mean of its own cells.
    sigma_start
        Width of the first neighbourhood in nodes; ``None`` is a quarter of the longer side.
    sigma_end
        Width of the last. Above 0.3 rare cell types are drawn into their big neighbours.
    n_ordering_cells
        Until the last passes about so many cells are enough: of more, every second, third, ...
        is used, and held in memory.
    relocate
        Between both, let nodes that are hardly needed move to where cells of one node differ.
    """

    n_epochs: int = 10
    n_kmeans_steps: int = 3
    sigma_start: float | None = None
    sigma_end: float = 0.3
    n_ordering_cells: int = 100_000
    relocate: bool = True

    def checked(self) -> SomSettings:
        """The same settings.

        Raises
        ------
        ValueError
            A number that cannot be.
        """
        if self.n_epochs < 0 or self.n_kmeans_steps < 0:
            raise ValueError(
                f"n_epochs={self.n_epochs} and n_kmeans_steps={self.n_kmeans_steps} are numbers of "
                "passes, at least 0"
            )
        if self.n_ordering_cells < 1:
            raise ValueError(f"n_ordering_cells must be at least 1, not {self.n_ordering_cells}")
        start = self.sigma_end if self.sigma_start is None else self.sigma_start
        if not 0 < self.sigma_end <= start:
            raise ValueError(
                f"the neighbourhood shrinks from sigma_start={self.sigma_start} to "
                f"sigma_end={self.sigma_end}, both above 0"
            )
        return self

    def sigmas(self, grid: Grid) -> NDArray[np.float64]:
        """Width of the neighbourhood in each epoch: equal ratios from the first to the last.

        Examples
        --------
        >>> SomSettings(n_epochs=3).sigmas(Grid(16, 16)).round(3)
        array([4.   , 1.095, 0.3  ])
        """
        start = max(grid.rows, grid.columns) / 4 if self.sigma_start is None else self.sigma_start
        return np.geomspace(max(start, self.sigma_end), self.sigma_end, self.n_epochs)


@dataclass(frozen=True, slots=True)
class Thin:
    """Every k-th of the cells of a span that miss no value."""

    every: int

    def __call__(self, values: Values) -> Values:
        """These cells."""
        return values[complete(values)][:: self.every].copy()


@dataclass(frozen=True, slots=True, eq=False)
class Som:
    """A trained map.

    Parameters
    ----------
    grid
        Where its nodes lie.
    codebook
        Nodes that cells are assigned to.
    layout
        Nodes before relocation and k-means steps, in the better order: for pictures of the grid.
    """

    grid: Grid
    codebook: Codebook
    layout: Codebook


def train_som(
    rows: Rows,
    grid: Grid,
    *,
    settings: SomSettings | None = None,
    importance: FloatArray | None = None,
    kept: BoolArray | None = None,
    make_pass: Callable[[Codebook], Pass] = NumpyPass.of,
) -> Som:
    """Train a map; the same cells give the same bits, in any chunks and on any number of threads.

    Nodes begin on the plane of the two principal components. Cells with a missing value are left
    out.

    Parameters
    ----------
    rows
        Cells, ``(cell, marker)``; read twice for the start and once in each of the last passes.
    grid
        Where the nodes lie.
    settings
        How to train.
    importance
        By what each marker's differences are multiplied, at least 0, shape ``(marker,)``; ``None``
        is 1 for all.
    kept
        Cells to train on, shape ``(cell,)``; ``None`` is all.
    make_pass
        What finds and sums the cells of nodes; another one may use a GPU.

    Raises
    ------
    ValueError
        No cell has a value for every marker.

    Examples
    --------
    >>> from nimbus.cluster.rows import ArrayRows
    >>> values = np.repeat([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]], 50, axis=0)
    >>> som = train_som(ArrayRows(values), Grid(1, 3))
    >>> som.codebook.profiles.round(3) + 0.0
    array([[0., 0.],
           [1., 0.],
           [1., 1.]])
    """
    settings = (settings or SomSettings()).checked()
    found = summed_moments(rows.map(moments, kept))
    every = max(1, found.n // settings.n_ordering_cells)
    some = np.concatenate(list(rows.map(Thin(every), kept)))
    few = Steps(ArrayRows(some, n_jobs=rows.n_jobs), grid, None, make_pass)
    book = start_codebook(found, grid, importance)
    for sigma in _told(settings.sigmas(grid).tolist(), "map"):
        book = few.step(book, sigma)
    layout = book
    if settings.relocate:
        book = _relocated(some, few, layout)
    many = few if every == 1 else Steps(rows, grid, kept, make_pass)
    for _ in _told(range(settings.n_kmeans_steps), "last passes"):
        book = many.step(book, 0.0)
    return Som(grid, book, layout)


def _told(passes: Sequence[Step], work: str) -> Iterator[Step]:
    """The same passes, each told to whoever listens when it is done."""
    return with_progress(passes, total=len(passes), description=work, unit="passes", show=False)


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """Steps of the batch rule over the same cells."""

    rows: Rows
    grid: Grid
    kept: BoolArray | None
    make_pass: Callable[[Codebook], Pass]

    def step(self, codebook: Codebook, sigma: float) -> Codebook:
        """The nodes after one pass."""
        parts = self.rows.map(self.make_pass(codebook), self.kept)
        sums = summed(parts, n_nodes=self.grid.n_nodes, n_markers=self.rows.shape[1])
        return batch_step(codebook, sums, self.grid.neighbourhood(sigma))


def _relocated(values: Values, steps: Steps, layout: Codebook) -> Codebook:
    """The nodes after all relocations, in the order of the layout; as they were if none moved."""
    book, n_moved = steps.step(layout, 0.0), 0
    for discount in DISCOUNTS:
        book, n = relocate(values, book, discount=discount)
        for _ in range(STEPS_BETWEEN if n else 0):
            book = steps.step(book, 0.0)
        n_moved += n
    return in_layout(book, layout) if n_moved else layout


def start_codebook(found: Moments, grid: Grid, importance: FloatArray | None = None) -> Codebook:
    """Nodes on the plane of the two principal components, one standard deviation to each side.

    The first component runs along the longer side. Each points to where its largest entry is
    positive.

    Examples
    --------
    >>> found = moments(np.array([[0.0, 0.0], [4.0, 0.0]], dtype=np.float32))
    >>> start_codebook(found, Grid(1, 3)).profiles
    array([[0., 0.],
           [2., 0.],
           [4., 0.]])
    """
    scale = np.ones(len(found.total)) if importance is None else np.asarray(importance, np.float64)
    with one_blas_thread():
        spread, directions = np.linalg.eigh(found.covariance * np.outer(scale, scale))
    steps = np.zeros((2, len(scale)))
    for k in range(min(2, len(scale))):
        axis = directions[:, -1 - k]
        steps[k] = axis * _sign(axis) * np.sqrt(max(spread[-1 - k], 0.0))
    unscaled = steps / np.where(scale > 0, scale, 1.0) * (scale > 0)
    place = _along_axes(grid)
    profiles = found.mean + place[:, :1] * unscaled[0] + place[:, 1:] * unscaled[1]
    return Codebook(profiles, found.mean.astype(np.float32), scale.astype(np.float32))


def _sign(axis: NDArray[np.float64]) -> float:
    """Sign of the first of the largest entries; rounding does not choose among equal ones."""
    size = np.abs(axis)
    return float(np.sign(axis[np.argmax(size > 0.999 * size.max())]) or 1.0)


def _along_axes(grid: Grid) -> NDArray[np.float64]:
    """Place of each node from -1 to 1, the longer side first, ``(node, 2)``."""
    last = np.array([grid.rows, grid.columns]) - 1
    place = np.where(last > 0, 2 * grid.positions() / np.maximum(last, 1) - 1, 0.0)
    return place if grid.rows >= grid.columns else place[:, ::-1]
