import threading

import pytest

pytest.importorskip("torch")

from nimbus.train.prefetch import prefetched


@pytest.mark.parametrize("n_ahead", [0, 1, 3])
def test_values_come_in_order_however_many_are_made_ahead(n_ahead):
    assert list(prefetched(lambda k: k * k, range(7), n_ahead=n_ahead)) == [k * k for k in range(7)]


def test_at_most_so_many_are_made_ahead():
    made = []
    values = prefetched(lambda k: made.append(k) or k, range(100), n_ahead=2)

    assert next(values) == 0
    values.close()

    assert max(made) <= 2


def test_an_error_comes_where_its_value_would_have_come():
    def make(number):
        if number == 2:
            raise OSError("shard is damaged")
        return number

    before = set(threading.enumerate())
    values = prefetched(make, range(5), n_ahead=2)

    assert [next(values), next(values)] == [0, 1]
    with pytest.raises(OSError, match="damaged"):
        next(values)
    there = {t for t in threading.enumerate() if t.name.startswith("nimbus-batches")}
    assert there <= before
