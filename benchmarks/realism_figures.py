"""Figures of `realism.py`: curves of both, and channels side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from realism_data import Channel
from realism_statistics import BANDS_UM, STATISTICS

COLOURS = {"real": "#d55e00", "simulated": "#0072b2"}
OVER_CELLS = {
    "mean of cells": 1.0,
    "variation within lit cells": 3.0,
    "ring / centre of lit cells": 4.0,
}
"""Statistics of cells that are drawn, and the largest value of the axis."""

Part = tuple[Sequence[Channel], dict[str, NDArray[np.floating]]]

SHOWN_UM = 75.0
"""Edge of a shown piece."""


def draw_curves(path: Path, title: str, real: Part, simulated: Part) -> None:
    """Histograms of pixels, power spectra, and distributions over cells."""
    figure = Figure(figsize=(13, 2.8), layout="constrained")
    axes = figure.subplots(1, 5)
    for name, (channels, values) in (("real", real), ("simulated", simulated)):
        colour = COLOURS[name]
        pixels = np.concatenate([c.image[::3, ::3].ravel() for c in channels])
        bins = np.linspace(0, 1, 60)
        axes[0].hist(pixels, bins, density=True, histtype="step", color=colour, label=name)
        shares = np.stack([values[s] for s in STATISTICS if s.startswith("power")])
        middle = np.sqrt(np.array(BANDS_UM[1:]) * np.array(BANDS_UM[:-1]))
        low, median, high = np.quantile(shares, (0.1, 0.5, 0.9), axis=1)
        axes[1].plot(middle, median, color=colour)
        axes[1].fill_between(middle, low, high, color=colour, alpha=0.2)
        for axis, (key, top) in zip(axes[2:], OVER_CELLS.items(), strict=True):
            bins = np.linspace(0, top, 50)
            axis.hist(values[key].clip(0, top), bins, density=True, histtype="step", color=colour)
            axis.set_xlabel(key)
    axes[0].set(yscale="log", xlabel="pixel / scale", title=title)
    axes[0].legend(frameon=False)
    axes[1].set(xscale="log", xlabel="wavelength (um)", ylabel="share of power")
    axes[1].set_xticks([2, 4, 8, 16, 32], ["2", "4", "8", "16", "32"])
    axes[1].minorticks_off()
    axes[2].set_yscale("log")
    figure.savefig(path, dpi=70)


def draw_pictures(path: Path, real: Sequence[Channel], simulated: Sequence[Channel]) -> None:
    """Sixteen channels of each: real on the left, simulated on the right."""
    figure = Figure(figsize=(16, 8), layout="constrained")
    axes = figure.subplots(4, 8)
    for columns, channels in ((axes[:, :4], real), (axes[:, 4:], simulated)):
        index = np.linspace(0, len(channels) - 1, columns.size).astype(int)
        for axis, i in zip(columns.ravel(), index, strict=True):
            channel = channels[i]
            side = min(round(SHOWN_UM / channel.pixel_um), *channel.image.shape)
            top, left = ((n - side) // 2 for n in channel.image.shape)
            here = np.s_[top : top + side, left : left + side]
            axis.imshow(channel.image[here] ** 0.7, cmap="gray", vmin=0, vmax=1)
            edge = channel.cells.labels[here]
            axis.contour(edge != np.roll(edge, 1, 1), [0.5], colors="#3060c0", linewidths=0.2)
            axis.set_axis_off()
    figure.suptitle("real (left), simulated (right)")
    figure.savefig(path, dpi=80)
