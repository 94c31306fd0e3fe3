"""How sure scores are, and how little they change when they should not.

    python benchmarks/stability.py
    python benchmarks/stability.py --model runs/nimbus-s/nimbus-s.safetensors

On simulated tissue of every platform, with seeds that no training uses: the share of scores
between 0.2 and 0.8, and what changes when the scale of a channel is doubled or halved, when the
pixel size is 20% too large or too small, and when the masks are dilated by a pixel: the mean
absolute change of a score, and the share of calls at 0.5 that turn.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd
from skimage.segmentation import expand_labels
from spatialdata import SpatialData

import nimbus
from nimbus.data.fields import Field, build_sdata
from nimbus.datasets.platforms import PLATFORMS

MARKERS = ("DAPI", "CD45", "CD3", "CD8", "CD20", "FOXP3", "CD68", "PANCK", "CD11c", "Ki67")
SIDE_UM = 250.0
SEED = 2000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="nimbus-s", help="name or path")
    given = parser.parse_args()
    pd.set_option("display.width", 160, "display.precision", 3)
    print(stability(given.model).to_string())


def stability(model: str) -> pd.DataFrame:
    """Rows are what was changed; `change` and `turned` are means over the platforms."""
    rows = []
    for platform, about in PLATFORMS.items():
        pixel = about.pixel_sizes_um[0]
        side = int(SIDE_UM / pixel)
        made = nimbus.datasets.tissue(
            shape=(side, side), markers=MARKERS, platform=platform, random_state=SEED
        )
        image = np.asarray(made.images["fov0_image"].data)
        labels = np.asarray(made.labels["fov0_labels"].data)
        plain = scored(image, labels, pixel, model)
        scales = pd.Series(plain.attrs["scales"])
        changed = {
            "scale doubled": (image, labels, pixel, 2 * scales),
            "scale halved": (image, labels, pixel, scales / 2),
            "pixel size 20% too large": (image, labels, 1.2 * pixel, scales),
            "pixel size 20% too small": (image, labels, 0.8 * pixel, scales),
            "masks dilated by 1 px": (image, expand_labels(labels, 1), pixel, scales),
        }
        middle = float(((plain > 0.2) & (plain < 0.8)).to_numpy().mean())
        rows.append({"changed": "nothing: share in 0.2-0.8", "change": middle})
        for name, (planes, masks, size, divisors) in changed.items():
            other = scored(planes, masks, size, model, divisors.to_dict()).reindex(plain.index)
            turned = (plain > 0.5).to_numpy() != (other > 0.5).to_numpy()
            difference = np.nanmean(np.abs(plain.to_numpy() - other.to_numpy()))
            rows.append({"changed": name, "change": difference, "turned": turned.mean()})
    return pd.DataFrame(rows).groupby("changed", sort=False).mean()


def scored(
    image: np.ndarray,
    labels: np.ndarray,
    pixel: float,
    model: str,
    scales: dict[str, float] | None = None,
) -> pd.DataFrame:
    """Scores, rows are cell ids; ``attrs["scales"]`` are the divisors."""
    sdata: SpatialData = build_sdata([Field("fov", image, labels, MARKERS, pixel)])
    nimbus.tl.score(sdata, model=model, scales=scales, show_progress_bar=False)
    table = sdata.tables["table"]
    ids = table.obs["instance_id"].to_numpy()
    out = pd.DataFrame(table.layers["nimbus"], index=ids, columns=table.var_names)
    out.attrs["scales"] = {n: float(s) for n, s in table.var["nimbus_scale"].items()}
    return out


if __name__ == "__main__":
    main()
