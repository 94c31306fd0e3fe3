import csv
import sys
from types import SimpleNamespace

import pytest

pytest.importorskip("torch")

from nimbus.train import log as module
from nimbus.train.log import Line, open_log


def line(step, quality=None):
    return Line(step, 0.001, 0.5, 0.9, quality, 2.0)


def rows(folder):
    with (folder / "log.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(autouse=True)
def without_tensorboard(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)


def test_a_line_has_a_column_for_each_field(tmp_path):
    open_log(tmp_path, first_step=0).add(line(10, 0.75))

    assert rows(tmp_path) == [
        {"step": "10", "learning_rate": "1.000e-03", "loss": "0.50000", "kept": "0.9000",
         "held_out_auroc": "0.75000", "seconds": "2.0"}
    ]  # fmt: skip


def test_lines_after_the_checkpoint_are_written_again_not_twice(tmp_path):
    log = open_log(tmp_path, first_step=0)
    for step in (10, 20, 30):
        log.add(line(step))

    again = open_log(tmp_path, first_step=20)
    again.add(line(30))

    assert [row["step"] for row in rows(tmp_path)] == ["10", "20", "30"]


def test_tensorboard_gets_the_values_where_it_is_installed(tmp_path, monkeypatch):
    seen = []

    class Writer:
        def __init__(self, folder, purge_step):
            self.purge_step = purge_step

        def add_scalar(self, name, value, step):
            seen.append((name, value, step))

        def flush(self):
            pass

    monkeypatch.setattr(
        module, "optional_module", lambda name: SimpleNamespace(SummaryWriter=Writer)
    )
    open_log(tmp_path, first_step=0).add(line(10))

    assert ("loss", 0.5, 10) in seen
    assert ("kept", 0.9, 10) in seen
    assert "held_out_auroc" not in {name for name, _, _ in seen}
