import pytest
import typer
from typer.testing import CliRunner

torch = pytest.importorskip("torch")

from nimbus.cli.train import train  # noqa: E402
from nimbus.model import load_checkpoint  # noqa: E402

SMALL = ["--fields", "2", "--channels", "1", "--steps", "2", "--depth", "2", "--root-filters", "2",
         "--batch-size", "2", "--no-progress"]  # fmt: skip


@pytest.fixture
def app():
    app = typer.Typer()
    app.command()(train)
    return app


def test_it_leaves_a_model_with_a_card_and_can_go_on(app, tmp_path):
    first = CliRunner().invoke(app, [str(tmp_path), "--name", "mine", *SMALL])
    assert first.exit_code == 0, first.output
    assert "mine.safetensors" in first.output

    net, card = load_checkpoint(tmp_path / "mine.safetensors")
    assert (card.name, card.depth, card.root_filters, net.depth) == ("mine", 2, 2, 2)
    assert "--fields 2" in card.training_data
    assert 0 <= card.metrics["held-out simulated tissue"]["auroc"] <= 1

    again = CliRunner().invoke(app, [str(tmp_path), "--name", "mine", *SMALL, "--resume"])
    assert again.exit_code == 0, again.output
    other, _ = load_checkpoint(tmp_path / "mine.safetensors")
    for name, value in net.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_a_second_training_begins_with_the_first_and_its_tiles(app, tmp_path):
    CliRunner().invoke(app, [str(tmp_path / "a"), *SMALL])
    more = ["--platform", "mibi_denoised", "--also", str(tmp_path / "a" / "tiles"), "--repeat", "2",
            "--start", str(tmp_path / "a" / "checkpoint.pt")]  # fmt: skip

    result = CliRunner().invoke(app, [str(tmp_path / "b"), *SMALL, *more])

    assert result.exit_code == 0, result.output
    _, card = load_checkpoint(tmp_path / "b" / "nimbus-s.safetensors")
    assert "--platform mibi_denoised" in card.training_data
    assert "--repeat 2" in card.training_data


def test_without_resume_an_old_training_is_kept(app, tmp_path):
    CliRunner().invoke(app, [str(tmp_path), *SMALL])

    again = CliRunner().invoke(app, [str(tmp_path), *SMALL])

    assert isinstance(again.exception, FileExistsError)
