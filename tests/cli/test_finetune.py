import pytest

torch = pytest.importorskip("torch")

from nimbus import datasets, io  # noqa: E402
from nimbus.model import load_checkpoint  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Tissue whose truth is the layer ``"truth"``, as a store."""
    path = tmp_path_factory.mktemp("tissue") / "tissue.zarr"
    sdata = datasets.tissue(shape=(96, 96), markers=["CD3", "CD20"], n_fovs=2, random_state=0)
    sdata.write(path)
    return path, sdata


def test_the_layer_of_a_store_gives_a_model(nimbus, store, tmp_path):
    result = nimbus("finetune", store[0], "--out", tmp_path, "--truth-layer", "truth",
                    "--steps", 2, "--name", "mine")  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert "%|" not in result.stderr, "a bar where nobody watches"
    assert [line.split()[0] for line in result.output.splitlines()[1:3]] == ["before", "after"]
    _, card = load_checkpoint(tmp_path / "mine.safetensors")
    assert card.name == "mine"


def test_a_model_that_is_there_is_replaced_only_when_that_is_asked_for(nimbus, store, tmp_path):
    there = tmp_path / "mine.safetensors"
    there.write_bytes(b"hours of work")
    given = (store[0], "--out", tmp_path, "--truth-layer", "truth", "--steps", 1, "--name", "mine")
    refused = nimbus("finetune", *given)
    assert refused.exit_code == 1
    assert (
        "mine.safetensors exists; --overwrite replaces it, --name gives another" in refused.stderr
    )
    assert there.read_bytes() == b"hours of work"
    assert nimbus("finetune", *given, "--overwrite", "--no-progress").exit_code == 0
    load_checkpoint(there)


def test_labels_of_a_file_are_learned_from(nimbus, store, tmp_path):
    path, sdata = store
    table = sdata.tables["table"].copy()
    table.layers["gold"] = table.layers["truth"]
    table.layers["gold"][:, 1] = -1
    io.write_gold(table, tmp_path / "gold.csv", layer="gold")

    result = nimbus("finetune", path, "--out", tmp_path, "--labels", tmp_path / "gold.csv",
                    "--steps", 1, "--no-progress")  # fmt: skip

    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "nimbus-s-finetuned.safetensors").exists()


def test_a_layer_that_is_not_there_is_named(nimbus, store, tmp_path):
    result = nimbus("finetune", store[0], "--out", tmp_path, "--steps", 1)
    assert result.exit_code == 1
    assert "'gold'" in result.stderr


def test_a_training_that_diverges_is_one_line_that_says_what_to_do(nimbus, store, tmp_path):
    result = nimbus("finetune", store[0], "--out", tmp_path, "--truth-layer", "truth",
                    "--steps", 10, "--learning-rate", 1e30, "--no-progress")  # fmt: skip
    assert result.exit_code == 1
    (line,) = [line for line in result.stderr.splitlines() if "error" in line]
    assert line.startswith("nimbus: error: at step ")
    assert "smaller learning_rate" in line
