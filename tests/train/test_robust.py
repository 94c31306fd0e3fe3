import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nimbus.core.shards import Source, write_index, write_shard  # noqa: E402
from nimbus.train import FitSettings, RobustSettings, fit  # noqa: E402
from nimbus.train.bootstrap import doubted  # noqa: E402
from nimbus.train.checkpoint import load_state  # noqa: E402
from nimbus.train.robust import Judgement, trusted_sources  # noqa: E402
from nimbus.train.samples import Batch  # noqa: E402
from nimbus.train.selection import (  # noqa: E402
    LossHistory,
    counts_of,
    extended,
    kept_cells,
    no_history,
    thresholds,
    without,
)
from nimbus.train.targets import between  # noqa: E402

from .conftest import drawn_tiles  # noqa: E402

SETTINGS = RobustSettings(rule="select", after_step=0, quantile=0.85, decay=0.998, min_cells=20)


def seen(losses, labels, source=0, *, n_sources=1, history=None, decay=0.998):
    losses, labels = torch.tensor([losses]), torch.tensor([labels])
    counts = counts_of(losses, labels, torch.tensor([source]), n_sources)
    return extended(history or no_history(n_sources), counts, decay=decay)


def batch_of(labels, source):
    labels = torch.tensor(labels)
    nothing = torch.zeros(len(labels), 1, 1)
    return Batch(nothing, nothing, nothing.long(), labels, torch.tensor(source))


def test_the_threshold_is_the_quantile_of_the_losses_of_one_source_and_label():
    rng = np.random.default_rng(0)
    negative, positive = rng.gamma(1, 0.1, 300), rng.gamma(2, 0.4, 200)
    losses = [*negative, *positive]
    history = seen(losses, [0] * 300 + [1] * 200, source=1, n_sources=2)

    found = thresholds(history, SETTINGS)

    # Histogram bins are 6% wide.
    assert found[1, 0] == pytest.approx(np.quantile(negative, 0.85), rel=0.07)
    assert found[1, 1] == pytest.approx(np.quantile(positive, 0.85), rel=0.07)
    assert torch.isinf(found[0]).all(), "the other source has seen nothing"


def test_older_cells_count_less_by_cells_not_by_batches():
    old = seen([1.0] * 100, [0] * 100)
    at_once = seen([0.1] * 50, [0] * 50, history=old, decay=0.98)
    one_by_one = old
    for _ in range(50):
        one_by_one = seen([0.1], [0], history=one_by_one, decay=0.98)

    weight = at_once.mass[0, 0]
    assert weight[weight.nonzero()[-1]] == pytest.approx(100 * 0.98**50, rel=1e-4)
    high = one_by_one.mass[0, 0]
    assert high[high.nonzero()[-1]] == pytest.approx(100 * 0.98**50, rel=1e-4)


def test_a_batch_with_one_cell_of_a_class_hardly_moves_its_threshold():
    history = seen(list(np.linspace(0.01, 0.5, 100)), [1] * 100)
    before = thresholds(history, SETTINGS)[0, 1]
    after = thresholds(seen([9.0], [1], history=history), SETTINGS)[0, 1]

    assert after == pytest.approx(float(before), rel=0.03)


def test_another_class_forgets_nothing_meanwhile():
    history = seen([0.3] * 30, [1] * 30)
    later = seen([0.2] * 500, [0] * 500, history=history)

    assert torch.equal(later.mass[0, 1], history.mass[0, 1])


def test_nothing_is_left_out_before_enough_cells_were_seen():
    few = thresholds(seen([0.1] * 19, [0] * 19), SETTINGS)
    enough = thresholds(seen([0.1] * 20, [0] * 20), SETTINGS)

    assert torch.isinf(few[0, 0])
    assert torch.isfinite(enough[0, 0])


def test_cells_above_the_threshold_are_left_out_unless_confident_or_trusted():
    #         below  above  above, confident  undecided     above, negative, confident
    labels = [[1,    1,     1,                -1,           0]]  # fmt: skip
    loss = torch.tensor([[0.2, 0.9, 0.9, float("nan"), 0.9]])
    score = torch.tensor([[0.6, 0.6, 0.95, 0.99, 0.05]])
    limits = torch.full((2, 2), 0.5)
    trusted = torch.tensor([False, True])

    def kept(source):
        batch = batch_of(labels, [source])
        found = kept_cells(Judgement(loss, score), batch, limits, trusted, SETTINGS)
        return found[0].tolist()

    assert kept(0) == [True, False, True, False, True]
    assert kept(1) == [True, True, True, False, True]


def test_cells_whose_label_is_contradicted_are_left_out_below_the_quantile_too():
    batch = batch_of([[1, 1, 0, 0]], [0])
    judgement = Judgement(torch.full((1, 4), 0.2), torch.tensor([[0.2, 0.3, 0.8, 0.7]]))
    trusted = torch.zeros(1, dtype=torch.bool)
    settings = dataclasses.replace(SETTINGS, contradicted=0.25)

    def kept(limit, settings):
        limits = torch.full((1, 2), limit)
        return kept_cells(judgement, batch, limits, trusted, settings)[0].tolist()

    assert kept(0.5, SETTINGS) == [True] * 4
    assert kept(0.5, settings) == [False, True, False, True]
    assert kept(float("inf"), settings) == [True] * 4, "too few cells were seen"


def test_each_sample_is_compared_with_the_threshold_of_its_own_source_and_label():
    batch = batch_of([[0, 1], [0, 1]], [0, 1])
    limits = torch.tensor([[0.1, 0.9], [0.9, 0.1]])
    judgement = Judgement(torch.full((2, 2), 0.5), torch.full((2, 2), 0.5))

    found = kept_cells(judgement, batch, limits, torch.zeros(2, dtype=torch.bool), SETTINGS)

    assert found.tolist() == [[False, True], [True, False]]


def test_cells_that_are_left_out_become_undecided():
    batch = batch_of([[0, 1, -1]], [0])

    left = without(batch, torch.tensor([[True, False, False]]))

    assert left.labels.tolist() == [[0, -1, -1]]


def test_bootstrapping_aims_between_label_and_judge_unless_trusted_or_not_judged():
    #         agrees  doubts  contradicts  no interior
    labels = [[1,     1,      0,           1]]  # fmt: skip
    score = torch.tensor([[1.0, 0.5, 0.9, float("nan")]])
    trusted = torch.tensor([False, True])

    def targets(source):
        batch = batch_of(labels, [source])
        return between(batch.labels, doubted(score, batch, trusted), label_weight=0.25)[0].tolist()

    assert targets(0) == pytest.approx([1, 0.625, 0.675, 1])
    assert targets(1) == [1, 1, 0, 1]


def test_trusted_data_sets_are_found_by_pattern_and_must_exist():
    sources = [Source("simulated codex", "CD3"), Source("dcis", "CD3")]

    found = trusted_sources(sources, RobustSettings(trusted_datasets=("simulated*",)))
    assert found.tolist() == [True, False]
    with pytest.raises(ValueError, match="'lymphoma' is not among .* 'simulated codex', 'dcis'"):
        trusted_sources(sources, RobustSettings(trusted_datasets=("lymphoma",)))


@pytest.mark.parametrize(
    ("name", "value"),
    [("quantile", 1.0), ("decay", 1.0), ("confident", (0.9, 0.1)), ("min_cells", 501),
     ("judge", "both"), ("rule", "drop"), ("label_weight", 0)],
)  # fmt: skip
def test_settings_outside_their_range_are_refused(name, value):
    with pytest.raises(ValueError, match=name):
        RobustSettings(**{name: value})


def test_a_data_set_as_text_is_refused_as_its_letters_could_be_patterns():
    with pytest.raises(TypeError, match=r"tuple of names, as in \('gold\*',\), not 'gold\*' alone"):
        RobustSettings(trusted_datasets="gold*")


# --- In a training -------------------------------------------------------------------------------

TINY = FitSettings(
    depth=2, root_filters=4, n_steps=60, batch_size=8, warmup_steps=2, held_out=0,
    learning_rate=0.01, log_every=10,
    robust=RobustSettings(rule="select", after_step=20, min_cells=10, decay=0.99),
)  # fmt: skip
BOTH_RULES = pytest.mark.parametrize("rule", ["select", "bootstrap"])


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def noisy(tmp_path):
    """Bright cells are positive, but every tenth label is turned round."""
    folder, wrong = tmp_path / "noisy", []
    rng = np.random.default_rng(0)
    sums = []
    for k in range(4):
        tiles = drawn_tiles(k, n=10)
        turned = (rng.random(tiles.labels.shape) < 0.1) & (tiles.labels >= 0)
        wrong.append(turned)
        labels = np.where(turned, 1 - tiles.labels, tiles.labels).astype(np.int8)
        sums.append(write_shard(folder, k, dataclasses.replace(tiles, labels=labels)))
    write_index(folder, sums, {"sources": [{"dataset": "silver", "marker": "CD3"}]})
    return folder, np.concatenate(wrong)


def test_wrong_labels_are_left_out_of_a_training(noisy, tmp_path):
    from nimbus.core.shards import open_shards
    from nimbus.train.robust import judged
    from nimbus.train.samples import split

    folder, wrong = noisy
    net = fit(folder, tmp_path / "a", settings=TINY, show_progress_bar=False)
    history = LossHistory(load_state(tmp_path / "a" / "checkpoint.pt").losses)
    sampler, _ = split([open_shards(folder)], held_out=0)
    batch = next(sampler.in_order(size=40))
    trusted = torch.zeros(1, dtype=torch.bool)
    limits = thresholds(history, TINY.robust)
    kept = kept_cells(judged(net, batch), batch, limits, trusted, TINY.robust).numpy()

    decided = batch.labels.numpy() >= 0
    assert wrong.sum() > 5, "proves nothing: no wrong label"
    assert kept[wrong].mean() < 0.4
    assert kept[decided & ~wrong].mean() > 0.95


def test_the_log_says_what_part_is_kept_and_the_first_part_keeps_all(noisy, tmp_path):
    import csv

    fit(noisy[0], tmp_path / "a", settings=TINY, show_progress_bar=False)

    with (tmp_path / "a" / "log.csv").open() as file:
        kept = [float(row["kept"]) for row in csv.DictReader(file)]
    assert kept[:2] == [1, 1]
    assert all(0.8 < share < 1 for share in kept[2:])


@BOTH_RULES
def test_a_resumed_robust_training_gives_the_same_weights(noisy, tmp_path, rule):
    tiny = dataclasses.replace(TINY, robust=dataclasses.replace(TINY.robust, rule=rule))
    whole = fit(noisy[0], tmp_path / "a", settings=tiny, show_progress_bar=False).state_dict()
    fit(noisy[0], tmp_path / "b", settings=tiny, stop_after=33, show_progress_bar=False)
    resumed = fit(noisy[0], tmp_path / "b", settings=tiny, resume=True, show_progress_bar=False)
    naive = dataclasses.replace(TINY, robust=None)
    other = fit(noisy[0], tmp_path / "c", settings=naive, show_progress_bar=False).state_dict()

    assert not torch.equal(whole["final_conv.weight"], other["final_conv.weight"])
    for name, value in resumed.state_dict().items():
        assert torch.equal(value, whole[name]), name


@BOTH_RULES
def test_a_trusted_data_set_trains_as_a_naive_one(noisy, tmp_path, rule):
    trusting = dataclasses.replace(TINY.robust, rule=rule, trusted_datasets=("silver",))
    settings = dataclasses.replace(TINY, n_steps=30, robust=trusting)
    same = fit(noisy[0], tmp_path / "a", settings=settings, show_progress_bar=False)
    naive = dataclasses.replace(settings, robust=None)
    expected = fit(noisy[0], tmp_path / "b", settings=naive, show_progress_bar=False)

    assert torch.equal(same.final_conv.weight, expected.final_conv.weight)
