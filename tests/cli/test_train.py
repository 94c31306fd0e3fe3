import json

import pytest

torch = pytest.importorskip("torch")

from nimbus.core.shards import open_shards  # noqa: E402
from nimbus.metrics.positivity import auroc  # noqa: E402
from nimbus.model import load_checkpoint  # noqa: E402
from nimbus.train.measure import score_cells  # noqa: E402
from nimbus.train.samples import split  # noqa: E402

SMALL = """
name = "mine"
out = "{out}"
{more}

[[tiles]]
seed = 1

[tiles.simulate]
n_fields = 3
n_channels = 3
tile_size = 32

[fit]
n_steps = 4
depth = 2
root_filters = 2
batch_size = 2
"""


@pytest.fixture
def written(tmp_path):
    def write(name="train.toml", *, out="run", more="", text=SMALL):
        path = tmp_path / name
        path.write_text(text.format(out=tmp_path / out, more=more))
        return str(path)

    return write


def weights(path):
    return load_checkpoint(path)[0].state_dict()


def test_it_leaves_a_model_whose_card_says_how_it_was_made(nimbus, written, tmp_path):
    config = written(more='about = "Tissue for a test."')

    result = nimbus("train", config)

    assert result.exit_code == 0, result.stderr
    assert "%|" not in result.stderr, "a bar where nobody watches"
    net, card = load_checkpoint(tmp_path / "run" / "mine.safetensors")
    assert (card.name, card.depth, card.root_filters, net.depth) == ("mine", 2, 2, 2)
    assert card.training_data == f"Tissue for a test. Made by: nimbus train {config}"
    assert card.metrics["held-out tiles"]["cells"] > 0


@pytest.mark.parametrize("options", [(), ("--stop-after", "1")])
def test_processes_that_trained_together_part_at_the_end(nimbus, written, monkeypatch, options):
    left = []
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: left.append(True))

    result = nimbus("train", written(), "--no-progress", *options)

    assert result.exit_code == 0, result.stderr
    assert left == [True]


@pytest.mark.parametrize("aggregate", ["cell", "interior"])
def test_measures_of_the_card_are_of_the_pixels_that_scores_average(
    nimbus, written, tmp_path, aggregate
):
    nimbus("train", written(more=f'aggregate = "{aggregate}"'), "--no-progress")

    net, card = load_checkpoint(tmp_path / "run" / "mine.safetensors")
    held_out = split([open_shards(tmp_path / "run" / "tiles-0")], held_out=1)[1]
    cells = score_cells(net, held_out, aggregate=aggregate)
    told = card.metrics["held-out tiles"]
    assert (card.aggregate, told["cells"]) == (aggregate, len(cells.truth))
    assert told["auroc"] == pytest.approx(auroc(cells.score, cells.truth), abs=1e-4)


def test_stopped_and_resumed_gives_the_weights_of_an_unbroken_training(nimbus, written, tmp_path):
    nimbus("train", written("a.toml", out="a"), "--no-progress")
    config = written("b.toml", out="b")

    stopped = nimbus("train", config, "--no-progress", "--stop-after", "2")
    assert "go on with --resume" in stopped.output
    assert not (tmp_path / "b" / "mine.safetensors").exists()
    resumed = nimbus("train", config, "--no-progress", "--resume")

    assert resumed.exit_code == 0, resumed.stderr
    whole, halves = (weights(tmp_path / run / "mine.safetensors") for run in "ab")
    assert all(torch.equal(whole[name], halves[name]) for name in whole)


@pytest.mark.parametrize(
    ("start", "patch"), [("checkpoint.pt", 1), ("mine.safetensors", 1), ("mine.safetensors", 2)]
)
def test_a_second_training_begins_with_the_first_and_uses_its_tiles(
    nimbus, written, tmp_path, start, patch
):
    nimbus("train", written("a.toml", out="a"), "--no-progress")
    tiles = f'[[tiles]]\nfolder = "{tmp_path / "a" / "tiles-0"}"\n'
    text = f'name = "mine"\nout = "{{out}}"\nstart = "{tmp_path / "a" / start}"\n{tiles}'
    text += "[fit]\nn_steps = 1\ndepth = 2\nroot_filters = 2\nlearning_rate = 0.0\n"
    text += f"patch = {patch}\n"

    result = nimbus("train", written("b.toml", out="b", text=text), "--no-progress")

    assert result.exit_code == 0, result.stderr
    kernel = "expanding_layers.0.upconv.weight"  # neither averaged statistics nor calibrated
    first, second = (weights(tmp_path / run / "mine.safetensors") for run in "ab")
    assert torch.allclose(first[kernel], second[kernel])
    assert not (tmp_path / "b" / "tiles-0").exists()


@pytest.mark.parametrize("line", ["exponent = 0.5", "root_filters = 3"])
@pytest.mark.parametrize("start", ["checkpoint.pt", "mine.safetensors"])
def test_a_start_of_another_architecture_is_refused_before_tissue_is_simulated(
    nimbus, written, tmp_path, line, start
):
    nimbus("train", written("a.toml", out="a"), "--no-progress")
    other = SMALL.replace(
        "root_filters = 2", line if "root" in line else f"root_filters = 2\n{line}"
    )
    config = written("b.toml", out="b", text=other, more=f'start = "{tmp_path / "a" / start}"')

    result = nimbus("train", config, "--no-progress")

    assert result.exit_code == 1
    assert "the network to start with has" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "b" / "tiles-0").exists()


def teachers_in(tmp_path, *folders):
    files = [str(tmp_path / folder / "mine.safetensors") for folder in folders]
    return f"teachers = {json.dumps(files)}"


def test_models_named_as_teachers_have_a_word(nimbus, written, tmp_path):
    nimbus("train", written("a.toml", out="a"), "--no-progress")
    nimbus("train", written("b.toml", out="b", text=SMALL + "seed = 1\n"), "--no-progress")
    taught = SMALL + "[fit.taught]\nlabel_weight = {weight}\n"
    trained = {"label": (1.0, "a"), "one": (0.1, "a"), "both": (0.1, "a", "b")}
    for out, (weight, *folders) in trained.items():
        text = taught.replace("{weight}", str(weight))
        config = written(f"{out}.toml", out=out, text=text, more=teachers_in(tmp_path, *folders))
        made = nimbus("train", config, "--no-progress")
        assert made.exit_code == 0, made.stderr

    kernel = "final_conv.weight"
    label, one, both = (weights(tmp_path / out / "mine.safetensors")[kernel] for out in trained)
    assert not torch.equal(label, one)
    assert not torch.equal(one, both)


@pytest.mark.parametrize("given", ['"a.safetensors"', "[1]"])
def test_teachers_are_a_list_of_models(nimbus, written, given):
    result = nimbus("train", written("b.toml", out="b", more=f"teachers = {given}"))

    assert result.exit_code == 1
    assert "teachers] must be a list of str, not" in result.stderr


def test_a_teacher_without_settings_is_refused(nimbus, written, tmp_path):
    nimbus("train", written("a.toml", out="a"), "--no-progress")
    teacher = teachers_in(tmp_path, "a")

    result = nimbus("train", written("b.toml", out="b", more=teacher), "--no-progress")

    assert result.exit_code == 1
    assert "a teacher alone" in result.stderr
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("[[tiles]]", "pixel_size_um = -1.0\n[[tiles]]", "pixel_size_um must be above 0"),
        ('name = "mine"', 'name = "lung/mine"', "name 'lung/mine' must be that of a file"),
        ("tile_size = 32", "tile_size = 33", "multiples of 2 pixels, not 33"),
    ],
)
def test_a_model_that_cannot_be_is_refused_before_tissue_is_simulated(
    nimbus, written, tmp_path, old, new, told
):
    result = nimbus("train", written(text=SMALL.replace(old, new)), "--no-progress")

    assert result.exit_code == 1
    assert told in " ".join(result.stderr.split())
    assert not (tmp_path / "run").exists()


def test_a_stop_after_the_last_step_leaves_a_model(nimbus, written, tmp_path):
    result = nimbus("train", written(), "--no-progress", "--stop-after", "9")

    assert result.exit_code == 0, result.stderr
    assert result.output.split() == [str(tmp_path / "run" / "mine.safetensors")]


def test_a_card_does_not_call_tiles_held_out_that_were_learned_from(nimbus, written, tmp_path):
    nimbus("train", written(text=SMALL + "held_out = 0\n"), "--no-progress")

    _, card = load_checkpoint(tmp_path / "run" / "mine.safetensors")
    assert list(card.metrics) == ["tiles learned from"]


def test_without_resume_an_old_training_is_kept(nimbus, written):
    config = written()
    nimbus("train", config, "--no-progress")

    again = nimbus("train", config, "--no-progress")

    assert again.exit_code == 1
    assert "give --resume" in again.stderr


def test_other_tiles_do_not_finish_a_training(nimbus, written, tmp_path):
    nimbus("train", written("a.toml", out="a"), "--no-progress", "--stop-after", "2")
    other = SMALL.replace("seed = 1", "seed = 2\n" + f'folder = "{tmp_path / "other"}"')

    resumed = nimbus("train", written("b.toml", out="a", text=other), "--no-progress", "--resume")

    assert resumed.exit_code == 1
    assert "was made with other settings (tiles: " in " ".join(resumed.stderr.split())


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("n_channels = 3", "n_channels = 4", "n_channels: 3 there, 4 now"),
        ("tile_size = 32", "tile_size = 32\npixel_size_um = 0.5", "pixel_size_um: 1.0 there, 0.5"),
        ("seed = 1", "seed = 2", "seed: 1 there, 2 now"),
    ],
)
def test_tiles_of_another_simulation_are_not_learned_from(
    nimbus, written, tmp_path, old, new, told
):
    nimbus("train", written("a.toml", out="a"), "--no-progress", "--stop-after", "0")

    other = written("b.toml", out="a", text=SMALL.replace(old, new))
    result = nimbus("train", other, "--no-progress")

    assert result.exit_code == 1
    message = " ".join(result.stderr.split())
    assert f"{tmp_path / 'a' / 'tiles-0'}' holds tiles" in message
    assert told in message
    assert not (tmp_path / "a" / "mine.safetensors").exists()


def test_tiles_that_an_older_nimbus_simulated_are_taken(nimbus, written, tmp_path):
    config = written()
    nimbus("train", config, "--no-progress", "--stop-after", "0")
    index = tmp_path / "run" / "tiles-0" / "index.json"
    content = json.loads(index.read_text())
    del content["about"]["settings"]["without"]  # a setting that it did not have
    index.write_text(json.dumps(content))

    result = nimbus("train", config, "--no-progress")

    assert result.exit_code == 0, result.stderr


def test_a_truncated_checkpoint_is_one_line_that_names_it(nimbus, written, tmp_path):
    config = written()
    nimbus("train", config, "--no-progress", "--stop-after", "2")
    path = tmp_path / "run" / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:1000])

    resumed = nimbus("train", config, "--no-progress", "--resume")

    assert resumed.exit_code == 1
    assert f"{path}: truncated" in " ".join(resumed.stderr.split())
    assert "Traceback" not in resumed.stderr


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("licens = 1", "did you mean 'licence'"),
        ("pixel_size_um = 'wide'", "must be float, not 'wide'"),
        ("aggregate = ", "is not TOML"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(nimbus, written, line, message):
    result = nimbus("train", written(more=line), "--no-progress")
    assert result.exit_code == 1
    assert message in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("[augment]\nlog_gain = [0.5]", "augment.log_gain] must be a list of 2 float, not (0.5,)"),
        ('[augment]\nlog_gain = ["a", "b"]', "augment.log_gain] must be a list of 2 float"),
        ("[augment]\nlog_gain = [0.0, 1.0]", "augment]: log_gain must be above 0"),
        ("log_every = 0", "fit]: log_every must be at least 1, not 0"),
        ("measure_every = 0", "fit]: measure_every must be at least 1, not 0"),
    ],
)
def test_settings_out_of_range_are_one_line(nimbus, written, table, message):
    result = nimbus("train", written(text=SMALL + table), "--no-progress")

    assert result.exit_code == 1
    assert message in " ".join(result.stderr.split())
    assert len(result.stderr.splitlines()) == 1


def test_a_configuration_without_tiles_is_refused(nimbus, written):
    result = nimbus("train", written(text='name = "a"\nout = "{out}"'))
    assert result.exit_code == 1
    assert "has no [[tiles]]" in result.stderr
