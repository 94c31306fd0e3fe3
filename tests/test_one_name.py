"""Wherever several names can be given, text is one name and never a list of letters."""

import importlib
import inspect
import json
import re
from functools import partial
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
import tifffile
from matplotlib.legend import Legend
from spatialdata.models import Image2DModel
from spatialdata.transformations import get_transformation

import nimbus
from nimbus.core.shards import open_shards

HAS_TORCH = find_spec("torch") is not None
NAMESPACES = ("datasets", "gui", "io", "pl", "pp", "tl", *["train"] * HAS_TORCH)
MATRIX = pd.DataFrame({"CD": [1, 1, 0], "C": [0, None, 1], "D": [1, 0, 0]}, index=["TB", "T", "B"])


@pytest.fixture
def tissue():
    """Names whose letters are names too: channels, layers, cell types and labels."""
    sdata = nimbus.datasets.tissue(
        shape=(48, 48), n_cells=8, markers=["CD", "C", "D"], random_state=0
    )
    table = sdata["table"]
    table.obs["cell_type"] = pd.Categorical(["TB", "B"] * 4, categories=["TB", "T", "B"])
    for name in ("gh", "g", "h"):
        table.layers[name] = np.asarray(table.X)
    return sdata


def there(sdata, layer):
    values = np.asarray(sdata["table"].layers[layer], dtype=float)
    return list(sdata["table"].var_names[(np.isfinite(values) & (values >= 0)).any(axis=0)])


def scored(sdata, names, folder):
    nimbus.tl.score(
        sdata, channels=names, model=lambda planes: planes[:, :1], show_progress_bar=False
    )
    return there(sdata, "nimbus")


def integrated(sdata, names, folder):
    nimbus.pp.integrate(sdata, channels=names, key_added="own", show_progress_bar=False)
    return there(sdata, "own")


def normalized(sdata, names, folder):
    return nimbus.pp.normalize(sdata, channels=names, show_progress_bar=False)


def cut(sdata, names, folder):
    nimbus.datasets.write_training_set(
        {"a": sdata}, folder, layer="truth", channels=names, split=None, show_progress_bar=False
    )
    return open_shards(folder).sources


def mantis(sdata, names, folder):
    out = folder / str(names)
    nimbus.io.write_mantis(
        sdata, out, channels=names, cell_type_key="cell_type", show_progress_bar=False
    )
    return sorted(path.name for path in (out / "fov0").iterdir())


def mantis_features(sdata, names, folder):
    out = folder / str(names)
    nimbus.io.write_mantis(
        sdata, out, layer=names, cell_type_key="cell_type", show_progress_bar=False
    )
    return list(pd.read_csv(out / "segment_features.csv"))


def measured(path):
    return json.loads(path.read_text())["features"][0]["properties"]["measurements"]


def qupath(sdata, names, folder):
    out = folder / str(names)
    [path] = nimbus.io.write_qupath(sdata, out, layer="truth", markers="C", measurements=names)
    return measured(path)


def qupath_types(sdata, names, folder):
    out = folder / str(names)
    [path] = nimbus.io.write_qupath_types(sdata, out, cell_type_key="cell_type", measurements=names)
    return measured(path)


def silver_without_markers(sdata, names, folder):
    nimbus.pp.silver_labels(sdata, MATRIX, exclude_markers=names)
    return there(sdata, "silver"), str(sdata["table"].uns["silver"]["exclude_markers"])


def silver_without_types(sdata, names, folder):
    nimbus.pp.silver_labels(sdata, MATRIX, exclude_types=names)
    return sdata["table"].layers["silver"].tolist()


def silver_table(sdata, names, folder):
    cells = sdata["table"].obs.assign(fov="a")
    return nimbus.pp.silver_table(cells, MATRIX, exclude_markers=names).to_dict("list")


def matrix_without(sdata, names, folder):
    return nimbus.pp.AssignmentMatrix.from_frame(MATRIX).without(markers=names).values.tolist()


def annotated(sdata, names, folder):
    sdata["table"].layers["nimbus"] = np.asarray(sdata["table"].layers["truth"], np.float32)
    with pytest.warns(UserWarning, match="cannot tell apart"):
        nimbus.tl.annotate(sdata, MATRIX, layer="nimbus", exclude_markers=names)
    shown = nimbus.tl.annotation_evidence(sdata, sdata["table"].obs_names[0])
    return sorted(shown["rule"])


def evidence(sdata, names, folder):
    sdata["table"].layers["nimbus"] = np.asarray(sdata["table"].layers["truth"], np.float32)
    nimbus.tl.annotate(sdata, MATRIX, layer="nimbus")
    cell = sdata["table"].obs_names[0]
    return list(nimbus.tl.annotation_evidence(sdata, cell, cell_types=names)["cell_type"].unique())


def clustered(sdata, names):
    table = sdata["table"]
    table.layers["nimbus"] = np.random.default_rng(0).random(table.shape, dtype=np.float32)
    nimbus.tl.cluster(table, markers=names, grid=(2, 2), n_metaclusters=2)
    return table


def cluster(sdata, names, folder):
    return list(clustered(sdata, names).uns["nimbus_cluster"]["markers"])


def heatmap(sdata, names, folder):
    nodes, _ = nimbus.pl.metaclusters(clustered(sdata, None), markers=names, show=False)
    return nodes.images[0].get_array().shape[0]


def stars(sdata, names, folder):
    [ax] = nimbus.pl.som(clustered(sdata, None), markers=names, layout="grid", show=False)
    legends = [one for one in ax.get_children() if isinstance(one, Legend)]
    return [text.get_text() for one in legends for text in one.get_texts()]


def simulated(sdata, names, folder):
    return list(nimbus.datasets.tissue(shape=(32, 32), n_cells=3, markers=names)["table"].var_names)


def read(sdata, names, folder):
    for name in ("CD", "C", "D"):
        (folder / "images/a").mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(folder / f"images/a/{name}.tiff", np.ones((8, 9), np.uint8))
    sdata = nimbus.io.read_fovs(folder / "images", None, channels=names, pixel_size=0.5)
    return sdata["a_image"].shape


@pytest.mark.parametrize(
    ("verb", "name"),
    [
        (scored, "CD"),
        (integrated, "CD"),
        (normalized, "CD"),
        (cut, "CD"),
        (mantis, "CD"),
        (mantis_features, "gh"),
        (qupath, "gh"),
        (qupath_types, "gh"),
        (silver_without_markers, "CD"),
        (silver_without_types, "TB"),
        (silver_table, "CD"),
        (matrix_without, "CD"),
        (annotated, "CD"),
        (evidence, "TB"),
        (cluster, "CD"),
        (heatmap, "CD"),
        (stars, "CD"),
        (simulated, "CD"),
        (read, "CD"),
    ],
)
def test_one_name_as_text_is_that_name_and_not_its_letters(tissue, tmp_path, verb, name):
    wanted = verb(tissue, [name], tmp_path / "list")
    given = verb(tissue, name, tmp_path / "text")

    assert given == wanted
    assert given != verb(tissue, list(name), tmp_path / "letters"), "proves nothing"


@pytest.fixture
def numbered(tissue):
    """Channels, markers and cell types that nobody named: SpatialData counts channels from 0."""
    image = Image2DModel.parse(
        tissue["fov0_image"].to_numpy(),
        dims=("c", "y", "x"),
        transformations=get_transformation(tissue["fov0_image"], get_all=True),
    )
    assert image.c.dtype.kind == "i", "proves nothing: the channels have names"
    del tissue.images["fov0_image"]
    tissue.images["fov0_image"] = image
    table = tissue["table"]
    table.var_names = ["0", "1", "2"]
    table.obs["cell_type"] = [3, 4] * 4
    return tissue


def scored_by(sdata, scales):
    nimbus.tl.score(sdata, scales=scales, model=lambda planes: planes[:, :1], tta=False)
    return sdata["table"].var["nimbus_scale"].tolist()


def overlaid(sdata, names):
    axes = nimbus.pl.overlay(sdata, channel=names, layer="truth", show=False)
    return [ax.get_title() for ax in axes]


def called(sdata, threshold):
    nimbus.tl.call(sdata["table"], layer="g", threshold=threshold)
    return sdata["table"].layers["g_positive"].tolist()


def gated(sdata, thresholds):
    nimbus.pp.threshold_labels(sdata["table"], thresholds, layer="g")
    return sdata["table"].layers["silver"].tolist()


def weighted(sdata, weights):
    sdata["table"].layers["nimbus"] = np.random.default_rng(0).random((8, 3), np.float32)
    nimbus.tl.cluster(sdata["table"], weights=weights, grid=(2, 2), n_metaclusters=2)
    return sdata["table"].obs["nimbus_som"].tolist()


def silver_of_numbers(sdata, types):
    matrix = pd.DataFrame({0: [1, 0], 1: [0, 1]}, index=[3, 4])
    nimbus.pp.silver_labels(sdata, matrix, exclude_types=types)
    return sdata["table"].layers["silver"].tolist()


@pytest.mark.parametrize(
    ("verb", "given", "wanted"),
    [
        (partial(scored, folder=None), 1, ["1"]),
        (partial(scored, folder=None), [2, np.int64(0)], ["2", "0"]),
        (partial(integrated, folder=None), 1, ["1"]),
        (partial(normalized, folder=None), [0, 2], ["0", "2"]),
        (scored_by, {0: 10.0, 1: 20.0, 2: 0.5}, {"0": 10.0, "1": 20.0, "2": 0.5}),
        (
            scored_by,
            {"fov0_image": {0: 10.0, 1: 20.0, 2: 0.5}},
            {"fov0_image": {"0": 10.0, "1": 20.0, "2": 0.5}},
        ),
        (overlaid, 0, ["0"]),
        (overlaid, [0, 1], ["0", "1"]),
        (called, {0: 0.9}, {"0": 0.9}),
        (gated, {2: 0.9}, {"2": 0.9}),
        (weighted, {1: 30.0}, {"1": 30.0}),
        (silver_of_numbers, 3, ["3"]),
        (silver_of_numbers, ["3"], ["3"]),
    ],
)
def test_numbers_are_names_as_their_text(numbered, verb, given, wanted):
    values = numbered["table"].layers["g"]
    numbered["table"].layers["g"] = values / values.max()

    assert verb(numbered, given) == verb(numbered, wanted)


def test_types_that_are_numbers_are_left_out_by_number_or_text(numbered):
    assert silver_of_numbers(numbered, ()) == [[1, 0, -1], [0, 1, -1]] * 4
    assert silver_of_numbers(numbered, "3") == [[-1, -1, -1], [0, 1, -1]] * 4


def test_a_scale_belongs_to_the_channel_that_is_called_as_the_image(tissue):
    names = ["fov0_image", "C", "D"]
    tissue.set_channel_names("fov0_image", names)
    tissue["table"].var_names = names
    assert scored_by(tissue, dict(zip(names, (5.0, 6.0, 7.0), strict=True))) == [5, 6, 7]


def test_metaclusters_to_merge_are_not_taken_by_letter(tissue):
    table = clustered(tissue, None)
    nimbus.tl.remap(table, {"0": "ab", "1": "a"})

    with pytest.raises(ValueError, match="name 2 or more"):
        nimbus.tl.remap(table).merge("ab")


@pytest.mark.parametrize(
    "settings",
    [
        lambda folder: nimbus.datasets.write_training_tiles(
            folder, settings=nimbus.datasets.TileSettings(without="haze")
        ),
        lambda folder: nimbus.datasets.write_training_tiles(
            folder, settings=nimbus.datasets.TileSettings(platforms="codex")
        ),
    ],
)
def test_settings_of_several_names_refuse_text_and_show_the_tuple(tmp_path, settings):
    with pytest.raises(TypeError, match=r"tuple of names, as in \('(haze|codex)',\), not"):
        settings(tmp_path / "tiles")

    assert not (tmp_path / "tiles").exists()


def public_parameters():
    for namespace in NAMESPACES:
        module = importlib.import_module(f"nimbus.{namespace}")
        for name in module.__all__:
            if inspect.isfunction(verb := getattr(module, name)):
                for parameter in inspect.signature(verb).parameters.values():
                    yield f"{namespace}.{name}", parameter


def test_every_public_list_of_names_says_that_it_takes_one():
    several = {
        (verb, parameter.name): str(parameter.annotation)
        for verb, parameter in public_parameters()
        if re.search(r"(Sequence|Iterable|Collection|list)\[str\]", str(parameter.annotation))
    }

    assert ("tl.score", "channels") in several, "proves nothing"
    assert [key for key, kind in several.items() if "str | " not in kind] == []
