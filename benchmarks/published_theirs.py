"""Runs `nimbus-inference` 0.0.5; started by published.py in that tool's own environment."""

import json
import shutil
import sys
import time
from pathlib import Path

import nimbus_inference
import torch
from nimbus_inference import nimbus as app
from nimbus_inference.utils import MultiplexDataset


def main(task, out):
    torch.set_num_threads(task["threads"])
    folder = Path(task["folder"])
    # Checkpoints by name are looked for in the package's own folder.
    assets = Path(nimbus_inference.__file__).parent / "assets"
    assets.mkdir(exist_ok=True)
    shutil.copy(task["weights"], assets / "benchmark.pt")
    plain = app.UNet
    app.UNet = lambda **options: plain(
        layer_depth=task["depth"], filters_root=task["root_filters"], **options
    )
    results = folder / "published"
    results.mkdir(exist_ok=True)
    dataset = MultiplexDataset(
        fov_paths=[str(folder / "images" / "fov0")],
        segmentation_naming_convention=lambda path: str(
            folder / "labels" / f"{Path(path).name}_whole_cell.tiff"
        ),
        include_channels=task["channels"],
        magnification=task["magnification"],
        output_dir=str(results),
    )
    dataset.prepare_normalization_dict(overwrite=True)
    start = time.perf_counter()
    tool = app.Nimbus(
        dataset,
        output_dir=str(results),
        save_predictions=False,
        test_time_aug=False,
        device="cpu",
        checkpoint="benchmark.pt",
    )
    table = tool.predict_fovs()
    seconds = time.perf_counter() - start
    table = table.sort_values("label")
    out.write_text(
        json.dumps(
            {
                "seconds": seconds,
                "scales": dataset.normalization_dict,
                "ids": table["label"].tolist(),
                "scores": table[task["channels"]].to_numpy().tolist(),
            }
        )
    )


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
