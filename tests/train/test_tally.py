import csv
import dataclasses

import pytest

torch = pytest.importorskip("torch")

from nimbus.train import FitSettings, fit  # noqa: E402
from nimbus.train.samples import Batch  # noqa: E402
from nimbus.train.tally import Tally  # noqa: E402
from nimbus.train.world import World  # noqa: E402


def batch_of(labels):
    nothing = torch.zeros(1, 1, 1)
    return Batch(nothing, nothing, nothing.long(), torch.tensor([labels]), torch.tensor([0]))


def test_means_are_those_since_they_were_last_asked_for():
    tally = Tally(World(0, 1, torch.device("cpu")))
    whole = batch_of([1, 0, 1, -1])
    tally.add(torch.tensor(3.0), decided=whole, kept=batch_of([1, -1, -1, -1]))
    tally.add(torch.tensor(1.0), decided=whole, kept=whole)
    assert tally.means() == {"loss": 2.0, "kept": pytest.approx(4 / 6)}
    tally.add(torch.tensor(5.0), decided=whole, kept=whole)
    assert tally.means() == {"loss": 5.0, "kept": 1.0}


def test_a_line_of_the_log_is_the_mean_of_its_own_steps(shards, tmp_path):
    settings = FitSettings(depth=2, root_filters=4, n_steps=6, batch_size=4, log_every=1)

    def losses(name, settings):
        fit(shards, tmp_path / name, settings=settings, show_progress_bar=False)
        with (tmp_path / name / "log.csv").open() as file:
            return [float(row["loss"]) for row in csv.DictReader(file)]

    each = losses("a", settings)
    threes = losses("b", dataclasses.replace(settings, log_every=3))

    assert max(each) - min(each) > 1e-3, "proves nothing: all steps lose alike"
    assert threes == pytest.approx([sum(each[:3]) / 3, sum(each[3:]) / 3], abs=2e-5)
