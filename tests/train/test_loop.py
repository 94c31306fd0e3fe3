import csv
import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nimbus.core.shards import SOURCES, write_index, write_shard  # noqa: E402
from nimbus.model import UNet  # noqa: E402
from nimbus.train import AugmentSettings, FitSettings, fit  # noqa: E402
from nimbus.train.average import averaged, decay_at  # noqa: E402
from nimbus.train.checkpoint import load_state  # noqa: E402

from .conftest import drawn_tiles  # noqa: E402

TINY = FitSettings(
    depth=2, root_filters=4, n_steps=6, batch_size=4, warmup_steps=2, held_out=1, log_every=2,
    measure_every=3,
)  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def run(shards, out, settings=TINY, **kwargs):
    return fit(shards, out, settings=settings, show_progress_bar=False, **kwargs).state_dict()


def test_training_learns_which_cells_are_bright(shards, tmp_path):
    settings = dataclasses.replace(TINY, n_steps=60, learning_rate=0.01)
    run(shards, tmp_path / "a", settings)

    with (tmp_path / "a" / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert float(rows[-1]["loss"]) < 0.5 * float(rows[0]["loss"])
    assert float(rows[-1]["held_out_auroc"]) > 0.95


def test_a_resumed_training_gives_the_same_weights(shards, tmp_path):
    whole = run(shards, tmp_path / "a")
    half = run(shards, tmp_path / "b", stop_after=3)
    resumed = run(shards, tmp_path / "b", resume=True)

    assert not torch.equal(whole["final_conv.weight"], half["final_conv.weight"])
    for name, value in whole.items():
        assert torch.equal(value, resumed[name]), name


def test_another_seed_gives_other_weights(shards, tmp_path):
    first = run(shards, tmp_path / "a")
    other = run(shards, tmp_path / "b", dataclasses.replace(TINY, seed=1))

    assert not torch.equal(first["final_conv.weight"], other["final_conv.weight"])


def test_a_training_can_begin_with_another_network(shards, tmp_path):
    first = fit(shards, tmp_path / "a", settings=TINY, show_progress_bar=False)
    still = dataclasses.replace(TINY, n_steps=1, learning_rate=0.0)

    begun = run(shards, tmp_path / "b", still, start=first)
    fresh = run(shards, tmp_path / "c", still)

    assert torch.equal(begun["final_conv.weight"], first.final_conv.weight)
    assert not torch.equal(fresh["final_conv.weight"], first.final_conv.weight)
    other = dataclasses.replace(still, exponent=0.5)
    with pytest.raises(ValueError, match="'exponent': 1.0}, the settings say .*'exponent': 0.5}"):
        run(shards, tmp_path / "d", other, start=first)


def test_a_network_can_learn_from_a_power_of_the_channel(shards, tmp_path):
    settings = dataclasses.replace(TINY, exponent=0.5)
    net = fit(shards, tmp_path / "a", settings=settings, show_progress_bar=False)

    assert net.exponent == 0.5
    plain = run(shards, tmp_path / "b")
    assert not torch.equal(net.state_dict()["final_conv.weight"], plain["final_conv.weight"])


def test_several_folders_are_learned_from_together(shards, tmp_path):
    one = run(shards, tmp_path / "a")
    twice = run([shards, shards], tmp_path / "b")

    assert not torch.equal(one["final_conv.weight"], twice["final_conv.weight"])


def test_training_leaves_the_global_random_state_alone(shards, tmp_path):
    before = torch.random.get_rng_state()

    run(shards, tmp_path / "a")

    assert torch.equal(torch.random.get_rng_state(), before)


def test_clipping_bounds_the_gradient(shards, tmp_path, monkeypatch):
    from nimbus.train import loop

    norms = []

    class Spy(torch.optim.AdamW):
        def step(self, closure=None):
            gradients = [p.grad.flatten() for g in self.param_groups for p in g["params"]]
            norms.append(float(torch.cat(gradients).norm()))
            return super().step(closure)

    monkeypatch.setattr(loop.torch.optim, "AdamW", Spy)
    run(shards, tmp_path / "a", dataclasses.replace(TINY, clip=1e6))
    free = max(norms)
    norms.clear()
    run(shards, tmp_path / "b", dataclasses.replace(TINY, clip=0.01))

    assert free > 0.02, "proves nothing: gradients are small anyway"
    assert max(norms) <= 0.0101


@pytest.mark.parametrize("size", [{"depth": 6}, {"patch": 3}])
def test_tiles_that_the_network_cannot_take_are_refused_with_what_it_takes(shards, tmp_path, size):
    with pytest.raises(ValueError, match=r"multiples of (32|6) pixels, not 16 x 16"):
        run(shards, tmp_path / "a", dataclasses.replace(TINY, **size))

    assert not (tmp_path / "a").exists()


def test_a_training_without_a_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no folder of tiles"):
        run([], tmp_path / "a")


def test_an_existing_checkpoint_is_not_overwritten_unasked(shards, tmp_path):
    run(shards, tmp_path / "a")

    with pytest.raises(FileExistsError, match="resume=True"):
        run(shards, tmp_path / "a")


def test_resuming_with_other_settings_names_the_difference(shards, tmp_path):
    run(shards, tmp_path / "a", stop_after=2)

    with pytest.raises(ValueError, match=r"learning_rate: 0\.002 there, 0\.1 now"):
        run(shards, tmp_path / "a", dataclasses.replace(TINY, learning_rate=0.1), resume=True)


def test_moved_tiles_finish_a_training_and_others_do_not(shards, tmp_path):
    run(shards, tmp_path / "a", stop_after=3)
    other = tmp_path / "other"
    write_index(other, [write_shard(other, k, drawn_tiles(9 + k)) for k in range(3)], {})

    for tiles in (other, [shards, shards]):
        with pytest.raises(ValueError, match=r"other settings \(tiles: .*another folder"):
            run(tiles, tmp_path / "a", resume=True)
    whole = run(shards, tmp_path / "b")
    moved = run(shards.rename(tmp_path / "moved"), tmp_path / "a", resume=True)

    assert torch.equal(whole["final_conv.weight"], moved["final_conv.weight"])


def test_tiles_of_sources_with_other_names_do_not_finish_a_training(shards, tmp_path):
    run(shards, tmp_path / "a", stop_after=3)
    sums = [write_shard(shards, k, drawn_tiles(k)) for k in range(3)]
    write_index(shards, sums, {SOURCES: [{"dataset": "lung", "marker": "CD3"}]})

    with pytest.raises(ValueError, match="tiles: "):
        run(shards, tmp_path / "a", resume=True)


@pytest.mark.parametrize(
    ("given", "other"),
    [
        ({"shares": [0.9, 0.1]}, {"shares": [0.5, 0.5]}),
        ({"shares": [0.9, 0.1]}, {}),
        ({}, {"shares": [0.9, 0.1]}),
        ({"start": UNet(depth=2, root_filters=4)}, {"start": UNet(depth=2, root_filters=4)}),
        ({"start": UNet(depth=2, root_filters=4)}, {}),
        ({}, {"start": UNet(depth=2, root_filters=4)}),
    ],
)
def test_other_shares_or_another_start_do_not_finish_a_training(shards, tmp_path, given, other):
    folders = [shards, shards]
    run(folders, tmp_path / "a", stop_after=3, **given)

    with pytest.raises(ValueError, match=f"other settings .*{next(iter({**given, **other}))}: "):
        run(folders, tmp_path / "a", resume=True, **other)
    whole = run(folders, tmp_path / "b", **given)
    resumed = run(folders, tmp_path / "a", resume=True, **given)
    assert torch.equal(whole["final_conv.weight"], resumed["final_conv.weight"])


def test_a_checkpoint_of_an_older_nimbus_goes_on_with_a_warning(shards, tmp_path):
    run(shards, tmp_path / "a", stop_after=3)
    path = tmp_path / "a" / "checkpoint.pt"
    content = torch.load(path, weights_only=True)
    for name in ("tiles", "shares", "start", "teacher"):
        del content["settings"][name]
    torch.save(content, path)

    with pytest.warns(UserWarning, match="does not tell of: 'tiles'"):
        resumed = run(shards, tmp_path / "a", resume=True)
    whole = run(shards, tmp_path / "b")
    assert torch.equal(whole["final_conv.weight"], resumed["final_conv.weight"])


def test_a_checkpoint_with_settings_that_do_not_exist_is_refused(shards, tmp_path):
    run(shards, tmp_path / "a", stop_after=3)
    path = tmp_path / "a" / "checkpoint.pt"
    content = torch.load(path, weights_only=True)
    content["settings"]["of_tomorrow"] = None
    torch.save(content, path)

    with pytest.raises(ValueError, match="of_tomorrow: None there, nothing now"):
        run(shards, tmp_path / "a", resume=True)


def test_a_checkpoint_of_another_version_is_refused(shards, tmp_path):
    run(shards, tmp_path / "a")
    path = tmp_path / "a" / "checkpoint.pt"
    content = torch.load(path, weights_only=True)
    torch.save({**content, "format_version": 99}, path)

    with pytest.raises(ValueError, match="version 99"):
        load_state(path)


def test_settings_that_are_numbers_of_numpy_can_be_resumed(shards, tmp_path):
    of_numpy = dataclasses.replace(
        TINY, learning_rate=np.logspace(-3, -2, 2)[0], seed=np.int64(0), weight_decay=np.float32(0)
    )
    plain = dataclasses.replace(TINY, learning_rate=1e-3, weight_decay=0.0)
    gains = AugmentSettings(log_gain=tuple(np.array([0.5, 2.0])))
    run(shards, tmp_path / "a", of_numpy, augment=gains, stop_after=3)

    resumed = run(
        shards, tmp_path / "a", plain, augment=AugmentSettings(log_gain=(0.5, 2.0)), resume=True
    )

    whole = run(shards, tmp_path / "b", of_numpy, augment=gains)
    for name, value in whole.items():
        assert torch.equal(value, resumed[name]), name


@pytest.mark.parametrize("keep", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_checkpoint_is_named(shards, tmp_path, keep):
    run(shards, tmp_path / "a")
    path = tmp_path / "a" / "checkpoint.pt"
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])

    with pytest.raises(ValueError, match=r"a/checkpoint\.pt: .*another folder"):
        run(shards, tmp_path / "a", resume=True)


def test_a_file_that_is_no_checkpoint_of_a_training_is_named(tmp_path):
    path = tmp_path / "checkpoint.pt"
    torch.save([1], path)

    with pytest.raises(ValueError, match=r"checkpoint\.pt' has format version None"):
        load_state(path)


def test_the_average_follows_slowly_and_forgets_its_start():
    net = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(net.weight, 1.0)
    average = {"weight": torch.zeros(1, 1)}

    for _ in range(10):
        average = averaged(average, net, decay=0.9)

    assert float(average["weight"]) == pytest.approx(1 - 0.9**10)
    assert decay_at(0, 0.99) == pytest.approx(0.1)
    assert decay_at(10**6, 0.99) == 0.99


def test_a_killed_training_resumes_to_the_same_weights(shards, tmp_path):
    import os
    import signal
    import subprocess
    import sys
    import time

    settings = dataclasses.replace(TINY, n_steps=100_000, checkpoint_minutes=0.0)
    script = (
        "import sys, torch; from nimbus.train import FitSettings, fit; torch.set_num_threads(1); "
        f"fit(sys.argv[1], sys.argv[2], settings={settings!r}, show_progress_bar=False)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(shards), str(tmp_path / "a")],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    log, deadline = tmp_path / "a" / "log.csv", time.monotonic() + 600
    while not (log.exists() and log.read_text().count("\n") > 4):
        assert process.poll() is None, "it ended before it was killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed_at = load_state(tmp_path / "a" / "checkpoint.pt").step
    n_steps = killed_at + 6  # an unbroken training of all steps would take too long

    assert killed_at > 0
    resumed = run(shards, tmp_path / "a", settings, resume=True, stop_after=n_steps)
    whole = run(shards, tmp_path / "b", dataclasses.replace(settings, checkpoint_minutes=9.0),
                stop_after=n_steps)  # fmt: skip
    for name, value in whole.items():
        assert torch.equal(value, resumed[name]), name
    with log.open() as file:
        steps = [int(row["step"]) for row in csv.DictReader(file)]
    assert steps == sorted(set(steps)), "lines of the killed run are not doubled"


def test_the_result_does_not_depend_on_how_many_batches_are_read_ahead(shards, tmp_path):
    first = run(shards, tmp_path / "a", n_ahead=0)
    other = run(shards, tmp_path / "b", n_ahead=3)

    assert torch.equal(first["final_conv.weight"], other["final_conv.weight"])


def test_frozen_batch_norms_keep_their_statistics(shards, tmp_path):
    frozen = run(shards, tmp_path / "a", dataclasses.replace(TINY, freeze_batch_norm=True))
    usual = run(shards, tmp_path / "b")

    name = "contracting_layers.0.bn_1.running_mean"
    assert float(frozen[name].abs().max()) == 0
    assert float(usual[name].abs().max()) > 0


def test_bfloat16_is_used_when_asked_and_learns_too(shards, tmp_path):
    settings = dataclasses.replace(TINY, n_steps=40, learning_rate=0.01)
    half = run(shards, tmp_path / "a", dataclasses.replace(settings, precision="bfloat16"))
    full = run(shards, tmp_path / "b", settings)

    assert not torch.equal(half["final_conv.weight"], full["final_conv.weight"])
    with (tmp_path / "a" / "log.csv").open() as file:
        assert float(list(csv.DictReader(file))[-1]["held_out_auroc"]) > 0.95


@pytest.mark.parametrize("said", ["CUDA out of memory. Tried to allocate", "sizes do not match"])
def test_a_batch_that_is_too_large_for_the_device_is_told(shards, tmp_path, monkeypatch, said):
    def full(*_):
        raise RuntimeError(said)

    monkeypatch.setattr(UNet, "forward", full)
    known = "memory" in said
    told = "cpu is out of memory with a batch_size of 4; train with a smaller one"
    with pytest.raises(MemoryError if known else RuntimeError, match=told if known else said):
        run(shards, tmp_path / "a")
