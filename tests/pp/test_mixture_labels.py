from __future__ import annotations

import warnings

import numpy as np
import pytest
import spatialdata
from anndata import AnnData

import nimbus
from support.tissue import draw_sdata


def drawn(*, gain=1.0, n_positive=150, seed=0):
    """One marker with two kinds of cells, one without, and cells without any signal."""
    rng = np.random.default_rng(seed)
    two = np.concatenate([rng.lognormal(0, 0.4, 450), rng.lognormal(2.5, 0.4, n_positive)])
    one = rng.lognormal(1, 0.4, two.size)
    values = np.concatenate([np.stack([two, one], axis=1), np.zeros((30, 2))]) * gain
    truth = np.repeat([0, 1, 0], [450, n_positive, 30])
    adata = AnnData(np.zeros(values.shape), layers={"integrated": values})
    adata.var_names = ["CD3", "noise"]
    return adata, truth


def labelled(adata, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nimbus.pp.mixture_labels(adata, **options)
    return adata.layers["silver"]


def test_sure_cells_are_labelled_rightly_and_others_left():
    adata, truth = drawn()
    with pytest.warns(UserWarning, match="no labels for 'noise': the components are not apart"):
        nimbus.pp.mixture_labels(adata)
    silver = adata.layers["silver"]
    given = silver[:, 0] >= 0
    assert given.mean() > 0.95
    assert (silver[given, 0] == truth[given]).mean() > 0.99
    assert (silver[-30:, 0] == 0).all(), "without signal"
    assert (silver[:, 1] == -1).all(), "nothing to tell apart"


def test_more_confidence_labels_fewer_cells():
    counts = [(labelled(drawn()[0], confidence=c) >= 0).sum() for c in (0.5, 0.99, 0.9999)]
    assert counts[0] > counts[1] > counts[2] > 0


def test_the_gain_of_an_image_does_not_matter():
    np.testing.assert_array_equal(labelled(drawn()[0]), labelled(drawn(gain=1000)[0]))


def test_groups_of_different_gain_need_a_fit_of_their_own():
    adata, truth = drawn()
    adata.obs["batch"] = np.where(np.arange(adata.n_obs) % 2, "dim", "bright")
    adata.layers["integrated"][adata.obs["batch"] == "dim"] /= 12  # its positives as the others'
    together, apart = labelled(adata).copy(), labelled(adata, by="batch")  # negatives
    right = [(s[:, 0] == truth).mean() for s in (together, apart)]
    assert right[0] < 0.8, "proves nothing"
    assert right[1] > 0.95
    fits = adata.uns["silver"]["fits"]
    assert fits["group"].tolist() == ["bright", "dim"] * 2


def test_markers_with_few_cells_with_signal_get_no_label_and_the_reason_is_kept():
    adata, _ = drawn()
    adata.layers["integrated"][40:] = 0
    assert (labelled(adata, markers="CD3") == -1).all()
    assert "fewer than 50" in adata.uns["silver"]["fits"]["refused"].item()


def test_fits_survive_writing(tmp_path):
    sdata = draw_sdata([(90, 120)], n_channels=2)
    nimbus.pp.integrate(sdata, show_progress_bar=False)
    labelled(sdata.tables["table"], min_separation=0.0)
    sdata.write(tmp_path / "s.zarr")
    again = spatialdata.read_zarr(tmp_path / "s.zarr").tables["table"]
    fits = sdata.tables["table"].uns["silver"]["fits"]
    np.testing.assert_array_equal(again.uns["silver"]["fits"]["mean_high"], fits["mean_high"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"confidence": 1.0}, "from 0.5 to below 1"),
        ({"markers": ["CD4"]}, "did you mean 'CD3'"),
        ({"by": "batch"}, "obs column 'batch' does not exist"),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        nimbus.pp.mixture_labels(drawn()[0], **options)
