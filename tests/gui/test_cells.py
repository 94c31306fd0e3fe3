import numpy as np
import pandas as pd

from nimbus.gui.cells import N_BINS, Cells, Histograms, histogram_of, numbers_of

RNG = np.random.default_rng(8)
NODE = RNG.integers(-1, 7, 500)
FIELD = RNG.integers(0, 3, 500)
VALUE = RNG.random(500)


def test_cells_of_nodes_are_counted_in_each_field():
    cells = Cells.of(NODE, FIELD, ["a", "b", "c"], n_nodes=7)
    slow = [sum(n in (1, 4) and f == k for n, f in zip(NODE, FIELD, strict=True)) for k in range(3)]
    assert cells.per_field({4, 1}).tolist() == slow
    assert cells.per_field(set()).tolist() == [0, 0, 0]


def test_nodes_are_read_from_their_column_whatever_the_order_of_its_categories():
    column = pd.Series(pd.Categorical(["3", None, "12", "3"], categories=["12", "7", "3"]))
    assert numbers_of(column).tolist() == [3, -1, 12, 3]


def test_a_histogram_inside_and_outside_is_that_of_the_cells_themselves():
    found = histogram_of(VALUE, NODE, n_nodes=7)
    inside, outside = found.split({0, 5})
    chosen = np.isin(NODE, [0, 5])
    expected, _ = np.histogram(VALUE[chosen], bins=found.edges)
    np.testing.assert_allclose(inside, expected / chosen.sum())
    rest = (NODE >= 0) & ~chosen
    expected, _ = np.histogram(VALUE[rest], bins=found.edges)
    np.testing.assert_allclose(outside, expected / rest.sum())


def test_scores_span_0_to_1_and_other_values_what_there_is():
    assert histogram_of(VALUE * 0.4, NODE, n_nodes=7).edges[[0, -1]].tolist() == [0, 1]
    wide = histogram_of(np.array([5.0, 25.0]), np.array([0, 0]), n_nodes=1)
    assert wide.edges[[0, -1]].tolist() == [5, 25]
    assert (wide.counts[0, 0], wide.counts[0, -1]) == (1, 1)


def test_constant_missing_and_empty_values_have_a_histogram():
    assert histogram_of(np.full(4, 7.0), np.zeros(4, int), n_nodes=1).counts.sum() == 4
    none = histogram_of(np.full(4, np.nan), np.zeros(4, int), n_nodes=2)
    assert none.counts.shape == (2, N_BINS)
    assert none.split({0})[0].sum() == 0


def test_values_of_a_marker_are_asked_for_once():
    asked = []

    def values(marker):
        asked.append(marker)
        return VALUE

    made = Histograms(values, Cells.of(NODE, FIELD, ["a", "b", "c"], n_nodes=7))
    assert made.of("CD3") is made.of("CD3")
    assert asked == ["CD3"]
