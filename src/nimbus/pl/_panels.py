"""The panels of an overlay, each drawn into one axes."""

from __future__ import annotations

import math

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from nimbus._types import BoolArray, FloatArray, IntArray
from nimbus.core.masks import inner_border

from ._outlines import outline_segments
from ._show import UNDEFINED

OUTLINE = "#56B4E9"
"""Sky blue (Okabe and Ito): seen on black, grey and white alike."""

MIN_CELL_PIXELS = 30
"""Cells drawn with fewer pixels than this get no outlines: they would hide the image."""

LINE_PART = 0.045
"""Width of outlines, as part of the side of a cell."""

BACKGROUND = "black"

Extent = tuple[float, float, float, float]


def draw_channel(
    ax: Axes, pixels: FloatArray, labels: IntArray, extent: Extent, *, vmax: float, outlines: bool
) -> None:
    """The channel in grey, with the outlines of the cells and a bar of intensities."""
    ax.set_facecolor(BACKGROUND)  # seen where pixels are NaN
    image = ax.imshow(
        pixels, cmap="gray", vmin=0, vmax=vmax, extent=extent, interpolation="nearest"
    )
    if outlines and large_enough(labels):
        draw_outlines(ax, labels, extent, color=OUTLINE)
    color_bar(ax, image, pixels, "intensity")


def draw_mask(ax: Axes, labels: IntArray, extent: Extent) -> None:
    """1 inside a cell, 0 on the background and on the inner border of each cell."""
    inside = labels != 0
    if large_enough(labels):
        inside &= ~inner_border(labels)
    ax.imshow(inside, cmap="gray", vmin=0, vmax=1.25, extent=extent, interpolation="nearest")


def draw_cells(
    ax: Axes,
    values: FloatArray,
    labels: IntArray,
    extent: Extent,
    *,
    limits: tuple[float, float],
    label: str,
) -> None:
    """Cells in the colour of their value; those without one are grey."""
    cells = labels != 0
    ax.set_facecolor(BACKGROUND)
    unknown = cells & np.isnan(values)
    if unknown.any():
        grey = np.ma.masked_where(~unknown, np.ones(labels.shape))
        ax.imshow(grey, cmap=ListedColormap([UNDEFINED]), extent=extent, interpolation="nearest")
        ax.legend(
            handles=[Patch(color=UNDEFINED, label="no value")], loc="upper right", fontsize="small"
        )
    image = ax.imshow(
        np.ma.masked_invalid(np.where(cells, values, np.nan)),
        cmap=score_colors(),
        vmin=limits[0],
        vmax=limits[1],
        extent=extent,
        interpolation="nearest",
    )
    if large_enough(labels):
        draw_outlines(ax, labels, extent, color=BACKGROUND)
    color_bar(ax, image, values[cells], label)


def score_colors() -> ListedColormap:
    """Viridis without its darkest end, so that a score of 0 stands out from the background."""
    return ListedColormap(colormaps["viridis"](np.linspace(0.12, 1, 256)), name="nimbus_score")


def draw_outlines(ax: Axes, labels: IntArray, extent: Extent, *, color: str) -> None:
    """Lines between cells and around them, finer where cells are small."""
    left, right, bottom, top = extent
    height, width = labels.shape
    scale = np.array([(right - left) / width, (bottom - top) / height])
    segments = outline_segments(labels) * scale + np.array([left, top])
    broken = np.concatenate([segments, np.full((len(segments), 1, 2), np.nan)], axis=1)
    points_per_pixel = ax.bbox.width / width * 72 / ax.figure.dpi
    side = math.sqrt(mean_area(labels)) * points_per_pixel
    line = Line2D(
        *broken.reshape(-1, 2).T,
        color=color,
        linewidth=min(max(LINE_PART * side, 0.25), 0.9),
        solid_capstyle="projecting",
    )
    line.set_rasterized(True)  # a hundred thousand lines are too many for a PDF
    ax.add_artist(line)


def large_enough(labels: IntArray) -> bool:
    """Whether cells are drawn with so many pixels that outlines help."""
    return mean_area(labels) >= MIN_CELL_PIXELS


def mean_area(labels: IntArray) -> float:
    """Pixels per cell; 0 without cells."""
    cells = labels[labels != 0]
    return cells.size / np.unique(cells).size if cells.size else 0.0


def values_of_pixels(
    labels: IntArray, ids: NDArray[np.int64], values: FloatArray
) -> NDArray[np.float64]:
    """The value of the cell under each pixel; NaN on the background and for unknown cells.

    Examples
    --------
    >>> values_of_pixels(np.array([[0, 7, 3, 9]]), np.array([9, 7]), np.array([0.9, 0.7]))
    array([[nan, 0.7, nan, 0.9]])
    """
    order = np.argsort(ids)
    there, inverse = np.unique(labels, return_inverse=True)
    own = np.full(there.size, np.nan)
    if ids.size:
        place = order[np.minimum(np.searchsorted(ids, there, sorter=order), ids.size - 1)]
        found: BoolArray = (ids[place] == there) & (there != 0)
        own[found] = values[place[found]]
    return own[inverse].reshape(labels.shape)


def color_bar(ax: Axes, image: AxesImage, values: FloatArray, label: str) -> None:
    """A bar below the panel, as wide as the panel, with an arrow where values go on beyond it."""
    inset = ax.inset_axes((0.0, -0.055, 1.0, 0.03))
    low, high = image.get_clim()
    beyond = (bool((values < low).any()), bool((values > high).any()))
    extend = {(True, True): "both", (True, False): "min", (False, True): "max"}
    bar = ax.figure.colorbar(
        image, cax=inset, orientation="horizontal", extend=extend.get(beyond, "neither")
    )
    bar.set_label(label, fontsize="small", labelpad=1)
    bar.ax.tick_params(labelsize="small", length=2, pad=1)
    bar.outline.set_linewidth(0.5)


def scale_bar(ax: Axes, extent: Extent, um_per_unit: float | None) -> None:
    """A bar of a round length in micrometres, or in pixels where their size is unknown."""
    width = abs(extent[1] - extent[0])
    length = round_length(width * (um_per_unit or 1.0) / 4)
    drawn = length / (um_per_unit or 1.0)
    unit = "px" if um_per_unit is None else "µm"
    part = drawn / width
    ax.add_patch(
        Rectangle(
            (0.96 - part, 0.035),
            part,
            0.014,
            transform=ax.transAxes,
            facecolor="white",
            edgecolor="black",
            linewidth=0.5,
            zorder=5,
        )
    )
    ax.text(
        0.96 - part / 2,
        0.058,
        f"{length:g} {unit}",
        transform=ax.transAxes,
        color="white",
        ha="center",
        va="bottom",
        fontsize="small",
        zorder=5,
        path_effects=[withStroke(linewidth=2, foreground="black")],
    )


def round_length(at_most: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is not above `at_most`.

    Examples
    --------
    >>> round_length(64.0), round_length(0.3), round_length(199.9)
    (50.0, 0.2, 100.0)
    """
    power = 10.0 ** math.floor(math.log10(at_most))
    return max(digit for digit in (1, 2, 5) if digit * power <= at_most * (1 + 1e-9)) * power
