"""``nimbus demo``, with a tiny field and a tiny model."""

from __future__ import annotations

import re

import numpy as np
import pytest
import spatialdata
from anndata import AnnData

from nimbus.metrics.positivity import auroc, best_f1, f1_at

pytestmark = pytest.mark.filterwarnings("ignore")


def test_it_writes_a_store_and_three_figures_and_says_where(nimbus, weights, tmp_path, monkeypatch):
    monkeypatch.setattr("nimbus.pl._show.SAVE_DPI", 20)
    out = tmp_path / "here"
    (out / "demo.zarr" / "of an earlier run").mkdir(parents=True)
    (out / "notes.txt").write_text("mine")

    result = nimbus(
        "demo", "--out", out, "--model", weights, "--fields", "2", "--side", "96", "--no-tta"
    )

    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    names = ["closeup.png", "demo.zarr", "densities.png", "overlay.png"]
    assert sorted(path.name for path in out.iterdir()) == [*names[:3], "notes.txt", names[3]]
    told = result.output.split(f"wrote to {out}:\n")[1]
    assert sorted(told.split()) == names
    sdata = spatialdata.read_zarr(out / "demo.zarr")
    assert len(sdata.images) == 2
    assert {"nimbus", "integrated", "truth"} <= set(sdata.tables["table"].layers)
    for name in ("closeup.png", "densities.png", "overlay.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")


def test_the_comparison_holds_the_measures_of_each_marker():
    from nimbus.cli._demonstrate import comparison

    rng = np.random.default_rng(0)
    truth = (rng.random((300, 2)) < 0.3).astype(np.int8)
    truth[:, 1] = 1
    score = np.clip(rng.normal(0.3 + 0.4 * truth, 0.2), 0, 1)
    integrated = rng.lognormal(1 + truth)
    layers = {"nimbus": score, "integrated": integrated, "truth": truth}
    table = AnnData(integrated.astype(np.float32), layers=layers)
    table.var_names = ["CD3", "DAPI"]

    lines = {line.split()[0]: line.split()[1:] for line in comparison(table).splitlines() if line}

    s, i, t = score[:, 0], integrated[:, 0], truth[:, 0]
    expected = [auroc(s, t), auroc(i, t), best_f1(s, t).f1, best_f1(i, t).f1, f1_at(s, t)]
    assert lines["CD3"] == [f"{100 * t.mean():.1f}%", *(f"{value:.3f}" for value in expected)]
    assert lines["DAPI"][:3] == ["100.0%", "-", "-"], "AUROC needs both classes"
    assert lines["mean"] == lines["CD3"], "markers without AUROC do not count"
    assert re.search("without one: DAPI", comparison(table))
