"""What work on spans may count on, however the cells are stored."""

import dask.array as da
import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from nimbus.cluster.rows import SPAN, ArrayRows
from nimbus.tl._daskrows import DaskRows


def blas_threads(_=None):
    return max(one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas")


@pytest.fixture(params=["array", "dask"])
def rows(request):
    values = np.arange(2 * SPAN + 5, dtype=np.float32)[:, None].repeat(2, axis=1)
    if request.param == "array":
        return ArrayRows(values, n_jobs=2)
    return DaskRows(da.from_array(values, chunks=(SPAN - 7, 1)), n_jobs=2)


def test_matrix_products_stay_on_one_thread_for_their_sums_depend_on_the_number(rows):
    with threadpool_limits(2, user_api="blas"):
        if blas_threads() < 2:
            pytest.skip("this BLAS has one thread")
        inside = list(rows.map(blas_threads))
        assert blas_threads() == 2, "what was set outside is kept"
    assert inside == [1, 1, 1]


def test_spans_come_in_their_order_with_the_columns_and_cells_that_are_kept(rows):
    kept = np.ones(rows.shape[0], dtype=bool)
    kept[SPAN : 2 * SPAN] = False
    kept[0] = False
    found = list(rows.taking([1]).map(lambda values: values, kept))

    assert [part.shape for part in found] == [(SPAN - 1, 1), (5, 1)]
    np.testing.assert_array_equal(np.concatenate(found)[:, 0], np.flatnonzero(kept))
