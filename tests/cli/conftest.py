"""A shell for tests, a tiny model, a store and folders of TIFFs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from nimbus.cli import app
from support.tissue import draw_image, draw_labels, draw_sdata


@pytest.fixture
def nimbus() -> Callable[..., object]:
    """Run ``nimbus`` with arguments; gives exit code, output and errors."""

    def run(*arguments: object):
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return run


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> Path:
    """A network of a few filters with random weights."""
    pytest.importorskip("torch")
    from support.nets import saved_net

    folder = tmp_path_factory.mktemp("weights")
    return saved_net(folder / "tiny.safetensors", depth=2, root_filters=2)


@pytest.fixture
def store(tmp_path) -> Path:
    """A store of two small fields without a table."""
    path = tmp_path / "cohort.zarr"
    draw_sdata([(64, 80), (70, 60)]).write(path)
    return path


@pytest.fixture
def folders(tmp_path) -> tuple[Path, Path]:
    """Folders of images and labels: two fields of two channels."""
    images, labels = tmp_path / "image_data", tmp_path / "segmentation"
    labels.mkdir()
    for index, fov in enumerate(("fov1", "fov2")):
        cells = draw_labels((64, 64 + 8 * index), n_cells=20, seed=index)
        channels = draw_image(cells, n_channels=2, seed=index)
        (images / fov).mkdir(parents=True)
        for name, plane in zip(("CD3", "CD8"), channels, strict=True):
            tifffile.imwrite(images / fov / f"{name}.tiff", plane)
        tifffile.imwrite(labels / f"{fov}_whole_cell.tiff", cells.astype(np.uint16))
    return images, labels
