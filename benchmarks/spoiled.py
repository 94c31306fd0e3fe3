"""Real images made worse in known ways: what is left of the gold pairs.

    python benchmarks/spoiled.py --data ../shared
    python benchmarks/spoiled.py --model runs/nimbus-s/nimbus-s.safetensors

The images of the pairs that two people judged by eye (`gold.csv`) are stored anew with a constant
background, another gamma, blur or noise, and scored by the default rule of the scale, in one view.
What is added is in units of the scale that the channel had. The labels stay: a person sets black
and white of the display, and none of this hides a cell that was clear before.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import accuracy  # beside this file
import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter
from spatialdata import SpatialData
from spatialdata.models import Image2DModel
from spatialdata.transformations import get_transformation

import nimbus

BLUR_PX = 1.4


def noisy(planes: np.ndarray) -> np.ndarray:
    return planes + np.random.default_rng(0).normal(0, 0.1, planes.shape)


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "nothing": lambda planes: planes,
    "background 0.1": lambda planes: planes + 0.1,
    "background 0.3": lambda planes: planes + 0.3,
    "background 1": lambda planes: planes + 1,
    "gamma 0.6": lambda planes: planes**0.6,
    "gamma 1.5": lambda planes: planes**1.5,
    f"blur of {BLUR_PX} px": lambda planes: gaussian_filter(planes, (0, BLUR_PX, BLUR_PX)),
    "noise 0.1": noisy,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="nimbus-s", help="name or path")
    parser.add_argument("--data", type=Path, default=Path("../shared"))
    given = parser.parse_args()
    pd.set_option("display.width", 160, "display.precision", 3)
    print(of_gold(given.model, given.data).to_string())


def of_gold(model: str, data: Path) -> pd.DataFrame:
    """Measures of the pooled pairs, one row for each change."""
    given = SimpleNamespace(model=model, data=data, quantile=None, no_tta=True, aggregate=None)
    rows = {}
    for name, change in CHANGES.items():
        pooled = accuracy.gold(given, lambda sdata, c=change: spoil(sdata, model, c))
        rows[name] = pooled.loc[("pooled", "score")]
    return pd.DataFrame(rows).T


def spoil(sdata: SpatialData, model: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Replace each image by `change` of its channels over their scales."""
    scales = nimbus.pp.normalize(sdata, model=model, show_progress_bar=False)
    del sdata.attrs["nimbus_scales"]
    for key, image in list(sdata.images.items()):
        names = [str(name) for name in image.c.values]
        divisor = np.array([scales[name] for name in names])[:, None, None]
        planes = change(image.data.compute() / divisor).clip(0).astype(np.float32)
        sdata.images[key] = Image2DModel.parse(
            planes,
            dims=("c", "y", "x"),
            c_coords=names,
            transformations=get_transformation(image, get_all=True),
        )


if __name__ == "__main__":
    main()
