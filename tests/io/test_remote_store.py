"""A store in a bucket gives the scores of the folder that it was copied from."""

from __future__ import annotations

import numpy as np
import pytest
import spatialdata
from spatialdata.models import Image2DModel
from spatialdata.transformations import get_transformation
from xarray import DataTree

import nimbus
from support.tissue import brightness, draw_sdata

moto = pytest.importorskip("moto.server")
s3fs = pytest.importorskip("s3fs")

pytestmark = pytest.mark.filterwarnings("ignore")
QUIET = {"model": brightness, "tta": False, "tile_size": 32, "show_progress_bar": False}


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    """A store with a multiscale image, a plain one and a table, in a folder and in a bucket."""
    path = tmp_path_factory.mktemp("here") / "cohort one.zarr"
    sdata = draw_sdata([(80, 120), (60, 70)])
    nimbus.tl.score(sdata, **QUIET)
    plain = sdata.images["a_image"]
    sdata.images["a_image"] = Image2DModel.parse(
        plain.values,
        dims=("c", "y", "x"),
        c_coords=list(plain.coords["c"].values),
        scale_factors=[2],
        transformations=get_transformation(plain, get_all=True),
    )
    sdata.write(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        server = moto.ThreadedMotoServer(port=0)
        server.start()
        host, port = server.get_host_and_port()
        options = {"endpoint_url": f"http://{host}:{port}"}
        patch.setenv("AWS_ENDPOINT_URL", options["endpoint_url"])
        files = s3fs.S3FileSystem(**options)
        files.mkdir("slides")
        files.put(str(path), "slides/cohort one.zarr", recursive=True)
        yield path, "s3://slides/cohort one.zarr", options
        server.stop()


def test_images_labels_and_tables_come_back_lazily(bucket):
    path, url, options = bucket
    here, there = spatialdata.read_zarr(path), nimbus.io.read_store(url, storage_options=options)
    assert isinstance(there.images["a_image"], DataTree)
    assert there.path is None
    for kind in ("images", "labels"):
        assert list(getattr(there, kind)) == list(getattr(here, kind))
    for key in ("a_image", "b_image"):
        one, two = here.images[key], there.images[key]
        if isinstance(one, DataTree):
            assert list(one) == list(two) == ["scale0", "scale1"]
            one, two = one["scale1"].ds["image"], two["scale1"].ds["image"]
        np.testing.assert_array_equal(two.values, one.values)
        assert two.coords["c"].values.tolist() == one.coords["c"].values.tolist()
        assert get_transformation(two, get_all=True) == get_transformation(one, get_all=True)
        assert two.data.chunks == one.data.chunks
    np.testing.assert_array_equal(
        there.tables["table"].layers["nimbus"], here.tables["table"].layers["nimbus"]
    )


def test_the_scores_are_those_of_the_folder(bucket):
    path, url, options = bucket
    here, there = spatialdata.read_zarr(path), nimbus.io.read_store(url, storage_options=options)
    for sdata in (here, there):
        nimbus.tl.score(sdata, **QUIET, table_key="again")
    for name in ("nimbus", "integrated"):
        np.testing.assert_array_equal(
            there.tables["again"].layers[name], here.tables["again"].layers[name]
        )
    with pytest.raises(ValueError, match="sdata has no store"):
        nimbus.tl.score(there, **QUIET, table_key="again", write=True)


def test_the_command_writes_the_scores_of_a_url_to_a_file(bucket, tmp_path, monkeypatch):
    pd = pytest.importorskip("pandas")
    pytest.importorskip("torch")
    from typer.testing import CliRunner

    from nimbus.cli import app
    from support.nets import saved_net

    weights = saved_net(tmp_path / "tiny.safetensors", depth=2, root_filters=2)
    path, url, _ = bucket
    monkeypatch.chdir(tmp_path)
    given = ["score", url, "--model", str(weights), "--no-tta", "--table-key", "again"]
    told = CliRunner().invoke(app, given)
    assert told.exit_code == 1
    assert "is only read; say where the scores go" in told.stderr
    result = CliRunner().invoke(app, [*given, "--table", "scores.csv"])
    assert result.exit_code == 0, result.output
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "scores.csv", "tiny.json", "tiny.safetensors"
    ]  # fmt: skip
    here = spatialdata.read_zarr(path)
    nimbus.tl.score(here, model=weights, tta=False, table_key="again", show_progress_bar=False)
    np.testing.assert_allclose(
        pd.read_csv("scores.csv")[["m0", "m1"]], here.tables["again"].layers["nimbus"], rtol=1e-6
    )


@pytest.fixture
def nobody(monkeypatch, tmp_path):
    """A user whom no environment, file or machine gives credentials of S3."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    s3fs.S3FileSystem.clear_instance_cache()


def test_without_credentials_the_error_tells_how_to_give_them(nobody):
    with pytest.raises(PermissionError, match=r"s3://slides/a.zarr may not be read.*'anon': True"):
        nimbus.io.read_store("s3://slides/a.zarr")


def test_a_server_that_is_not_there_is_told(nobody):
    options = {"endpoint_url": "http://127.0.0.1:9", "key": "a", "secret": "b"}
    options["config_kwargs"] = {"retries": {"max_attempts": 0}}
    with pytest.raises(ConnectionError, match=r"s3://slides/a.zarr cannot be reached"):
        nimbus.io.read_store("s3://slides/a.zarr", storage_options=options)


def test_what_is_not_there_is_told(bucket):
    _, _, options = bucket
    with pytest.raises(FileNotFoundError, match="no SpatialData store at s3://slides/nothing"):
        nimbus.io.read_store("s3://slides/nothing.zarr", storage_options=options)
