import numpy as np
import pytest

from nimbus.cluster.assign import assign_nodes
from nimbus.cluster.grid import Grid
from nimbus.cluster.minimap import train_minisom
from nimbus.cluster.rows import ArrayRows
from nimbus.cluster.som import start_codebook, train_som
from nimbus.cluster.survey import moments
from support.planted import plant_types

minisom = pytest.importorskip("minisom")
GRID = Grid(5, 6)


def error(values, codebook):
    return assign_nodes(ArrayRows(values), codebook, GRID).quantisation_error


def test_its_nodes_are_those_of_the_library():
    values, _ = plant_types(300)
    som = minisom.MiniSom(5, 6, 10, sigma=1.5, learning_rate=0.3, random_seed=4)
    data = values.astype(np.float64)
    som.random_weights_init(data)
    som.train_random(data, 500)
    options = {"sigma": 1.5, "learning_rate": 0.3, "num_iteration": 500}
    ours = train_minisom(values, GRID, options=options, random_state=4)
    np.testing.assert_array_equal(ours.codebook.profiles, som.get_weights().reshape(30, 10))
    found = assign_nodes(ArrayRows(values), ours.codebook, GRID)
    winners = [np.ravel_multi_index(som.winner(cell), (5, 6)) for cell in data]
    assert found.node.tolist() == winners
    assert np.isclose(found.quantisation_error, som.quantization_error(data), rtol=1e-5)
    assert np.isclose(found.topographic_error, som.topographic_error(data))


def test_from_the_same_start_it_does_not_fit_better_than_ours():
    values, _ = plant_types(2000)
    data = values.astype(np.float64)
    som = minisom.MiniSom(5, 6, 10, sigma=1.0, random_seed=0)
    start = start_codebook(moments(values), GRID)
    som._weights = start.profiles.reshape(5, 6, 10).copy()
    som.train_random(data, len(data))
    theirs = error(values, start.moved(som.get_weights().reshape(30, 10)))
    ours = error(values, train_som(ArrayRows(values), GRID).codebook)
    assert error(values, start) > theirs, "proves nothing: it learned nothing"
    assert theirs > 0.98 * ours


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sgima": 2}, "no option 'sgima'; there is: 'training'"),
        ({"training": "train"}, "training='train' does not work here"),
        ({"topology": "hexagonal"}, "topology='hexagonal' does not work"),
        ({"activation_distance": "cosine"}, "activation_distance='cosine' does not work"),
    ],
)
def test_options_that_do_not_work_here(options, message):
    with pytest.raises(ValueError, match=message):
        train_minisom(np.zeros((5, 2), dtype=np.float32), Grid(2, 2), options=options)
