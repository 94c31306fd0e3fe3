"""tl.score, pp.integrate and pp.normalize against slow loops, on fields drawn by Hypothesis.

Shapes down to one pixel, types, chunks, ids up to 2**31 - 1, tiles, whole scales and shifts,
pixel sizes that do not divide, panels that differ, NaN.
"""

from __future__ import annotations

import warnings
from fractions import Fraction

import dask.array as da
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from spatialdata.transformations import Scale, Sequence, Translation, set_transformation

import nimbus
from nimbus.data.fields import Field, build_sdata
from support.loops import Geometry, slow_scores, smooth

QUICK = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[
        Phase.explicit,
        Phase.generate,
    ],  # shrinking takes minutes; an example is small as it is
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

FACTORS = [Fraction(2), Fraction(1), Fraction(5, 2), Fraction(4), Fraction(1, 2), Fraction(4, 3)]
TYPES = ["uint8", "uint16", "int16", "int32", "uint32", "float32", "float64"]
LABEL_TYPES = ["uint8", "uint16", "int32", "uint32", "int64"]
ODD_IDS = [1, 2, 7, 255, 256, 65_535, 65_536, 2**24 + 1, 2**31 - 1]


@st.composite
def labels_of(draw, shape, kind):
    """Blocks of ids with gaps between, of a type that holds them."""
    largest = np.iinfo(kind).max
    ids = [one for one in ODD_IDS if one <= largest]
    cells = [0, *draw(st.lists(st.sampled_from(ids), min_size=1, max_size=5, unique=True))]
    seed, block = draw(st.integers(0, 2**16)), draw(st.integers(1, 6))
    coarse = [-(-n // block) for n in shape]
    drawn = np.random.default_rng(seed).choice(cells, coarse)
    labels = drawn.repeat(block, axis=0).repeat(block, axis=1)[: shape[0], : shape[1]]
    return labels.astype(kind)


@st.composite
def images(draw, shape, n_channels):
    """Noise with some bright places, of any type."""
    kind = draw(st.sampled_from(TYPES))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    image = rng.poisson(6, (n_channels, *shape)) + 90 * (rng.random((n_channels, *shape)) < 0.1)
    image = image.astype(kind)
    return image / np.asarray(3, kind) if image.dtype.kind == "f" else image


@st.composite
def chunked(draw, array):
    """The array in chunks, down to one pixel wide."""
    chunks = tuple(draw(st.integers(max(1, -(-n // 5)), max(1, n))) for n in array.shape)
    return da.from_array(array, chunks=chunks)


@st.composite
def placed_fields(draw):
    """One field: image, labels, and how they lie on each other."""
    shape = (draw(st.integers(1, 26)), draw(st.integers(1, 26)))
    image = draw(images(shape, draw(st.integers(1, 2))))
    size = draw(st.sampled_from([Fraction(1), Fraction(2), Fraction(3), Fraction(1, 2)]))
    start = (0, 0)
    label_shape = [max(1, round(n / size)) for n in shape]
    if draw(st.booleans()):  # labels of a part, or such that reach beyond
        start = (draw(st.integers(-2, shape[0] - 1)), draw(st.integers(-2, shape[1] - 1)))
    if any(start):
        drawn = [draw(st.integers(1, n)) for n in label_shape]
        label_shape = [max(n, -s // size + 1) for n, s in zip(drawn, start, strict=True)]
    labels = draw(labels_of(tuple(label_shape), draw(st.sampled_from(LABEL_TYPES))))
    return image, labels, Geometry(draw(st.sampled_from(FACTORS)), size, start)


def sdata_of(image, labels, geometry, *, pixel_size=0.5):
    """The field as SpatialData, in micrometres."""
    names = tuple(f"m{k}" for k in range(image.shape[0]))
    sdata = build_sdata([Field("a", image, labels, names, pixel_size)])
    size = pixel_size * float(geometry.label_size)
    shift = [pixel_size * geometry.start[1], pixel_size * geometry.start[0]]
    placed = [Scale([size, size], axes=("x", "y")), Translation(shift, axes=("x", "y"))]
    set_transformation(sdata["a_labels"], Sequence(placed), "a")
    return sdata


def quietly(verb, *arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        verb(*arguments, show_progress_bar=False, **options)


@given(
    field=placed_fields(),
    data=st.data(),
    tile_size=st.sampled_from([1, 16, 32, None]),
    tta=st.booleans(),
    n_jobs=st.integers(1, 3),
)
@QUICK
def test_scores_equal_a_slow_loop(field, data, tile_size, tta, n_jobs):
    image, labels, geometry = field
    scales = [40.0, 15.5][: len(image)]
    expected = slow_scores(image, labels, scales, geometry)
    sdata = sdata_of(data.draw(chunked(image)), data.draw(chunked(labels)), geometry)
    quietly(
        nimbus.tl.score,
        sdata,
        model=smooth,
        pixel_size=float(1 / geometry.factor),  # a callable sees pixels of 1 um
        scales={f"m{k}": s for k, s in enumerate(scales)},
        tile_size=tile_size,
        tta=tta,
        n_jobs=n_jobs,
    )
    table = sdata.tables["table"]
    assert table.obs["instance_id"].tolist() == sorted(expected)
    rows = [expected[cell] for cell in sorted(expected)]
    if not rows:
        return
    for got, what, tolerance in (
        (table.layers["nimbus"], "score", {"atol": 2e-5, "rtol": 0}),
        (table.X, "intensity", {"rtol": 1e-5}),
        (table.obs["area"], "area", {}),
    ):
        np.testing.assert_allclose(got, [row[what] for row in rows], err_msg=what, **tolerance)


@given(data=st.data(), kind=st.sampled_from(LABEL_TYPES))
@QUICK
def test_mean_intensities_equal_a_slow_loop(data, kind):
    shape = (data.draw(st.integers(1, 30)), data.draw(st.integers(1, 30)))
    labels = data.draw(labels_of(shape, kind))
    image = data.draw(images(shape, 2))
    same = Geometry(Fraction(1), Fraction(1), (0, 0))
    sdata = sdata_of(data.draw(chunked(image)), data.draw(chunked(labels)), same)
    quietly(nimbus.pp.integrate, sdata)
    table = sdata.tables["table"]
    ids = np.unique(labels[labels > 0])
    assert table.obs["instance_id"].tolist() == ids.tolist()
    for row, cell in enumerate(ids):
        pixels = [image[:, y, x].astype(float) for y, x in np.argwhere(labels == cell)]
        wanted = np.mean(pixels, axis=0)
        np.testing.assert_allclose(table.layers["integrated"][row], wanted, rtol=1e-5)


@given(data=st.data(), quantile=st.floats(0.01, 1.0), n_images=st.integers(1, 3))
@QUICK
def test_scales_are_quantiles_of_positive_pixels_in_any_chunks_and_order(data, quantile, n_images):
    fields, pixels = [], []
    for number in range(n_images):
        shape = (data.draw(st.integers(1, 20)), data.draw(st.integers(1, 20)))
        image = data.draw(images(shape, 1))
        pixels.append(image.astype(np.float64).ravel())
        fields.append(Field("abc"[number], data.draw(chunked(image)), None, ("m0",), 0.5))
    sdata = build_sdata(data.draw(st.permutations(fields)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        scales = nimbus.pp.normalize(sdata, quantile=quantile, show_progress_bar=False)
    positive = np.concatenate(pixels)
    positive = positive[positive > 0]  # the rule of nimbus-s
    wanted = np.quantile(positive, quantile) if positive.size else 0.0
    assert scales["m0"] == pytest.approx(wanted, rel=1e-3, abs=1e-6)


@given(
    panels=st.lists(
        st.lists(st.sampled_from("ABCDE"), min_size=1, max_size=4, unique=True),
        min_size=1,
        max_size=3,
    ),
    seed=st.integers(0, 100),
)
@QUICK
def test_every_marker_of_every_panel_has_its_column_and_the_rest_is_nan(panels, seed):
    rng = np.random.default_rng(seed)
    fields, values = [], {}
    for number, panel in enumerate(panels):
        name = "xyz"[number]
        labels = rng.permutation(np.arange(6)).reshape(2, 3).repeat(4, 0).repeat(4, 1)
        bright = rng.integers(0, 200, (len(panel), 6))  # one value for each channel and cell
        fields.append(Field(name, bright[:, labels], labels, tuple(panel), 0.5))
        for k, marker in enumerate(panel):
            values[name, marker] = bright[k]
    sdata = build_sdata(fields)

    def only_channel(planes):
        return planes[:, :1]

    quietly(
        nimbus.tl.score,
        sdata,
        model=only_channel,
        pixel_size=1.0,
        scales=dict.fromkeys("ABCDE", 200.0),
        tta=False,
    )
    table = sdata.tables["table"]
    assert set(table.var_names) == {marker for panel in panels for marker in panel}
    for row, (region, cell) in enumerate(table.obs[["region", "instance_id"]].to_numpy()):
        for column, marker in enumerate(table.var_names):
            got = table.layers["nimbus"][row, column]
            own = values.get((region[0], marker))
            if own is None:
                assert np.isnan(got)
            else:
                assert got == pytest.approx(own[cell] / 200, abs=1e-6)


@given(
    shape=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    data=st.data(),
    bad=st.sampled_from([np.nan, np.inf, -np.inf]),
    kind=st.sampled_from(["float32", "float64"]),
)
@example(shape=(1, 1), data=None, bad=np.nan, kind="float32")
@QUICK
def test_a_pixel_that_is_no_number_is_named_or_read_as_zero(shape, data, bad, kind):
    y, x = (0, 0) if data is None else (data.draw(st.integers(0, n - 1)) for n in shape)
    image = np.full((2, *shape), 5, dtype=kind)
    image[1, y, x] = bad
    labels = np.ones(shape, dtype=np.int32)
    same = Geometry(Fraction(1), Fraction(1), (0, 0))
    options = {"model": smooth, "pixel_size": 1.0, "scales": {"m0": 10.0, "m1": 10.0}, "tta": False}
    with pytest.raises(ValueError, match=rf"channel 'm1' .* at row {y}, column {x}"):
        quietly(nimbus.tl.score, sdata_of(image, labels, same), **options)
    zero = image.copy()
    zero[1, y, x] = 0
    got, wanted = (sdata_of(one, labels, same) for one in (image, zero))
    quietly(nimbus.tl.score, got, nan="zero", **options)
    quietly(nimbus.tl.score, wanted, **options)
    np.testing.assert_array_equal(
        got.tables["table"].layers["nimbus"], wanted.tables["table"].layers["nimbus"]
    )
