from threadpoolctl import threadpool_info, threadpool_limits

from nimbus.cluster.blas import one_blas_thread


def n_threads():
    return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}


def test_overlapping_blocks_hold_the_limit_until_the_last_is_left():
    with threadpool_limits(2, user_api="blas"):
        before = n_threads()
        first, second = one_blas_thread(), one_blas_thread()
        first.__enter__()
        second.__enter__()
        assert n_threads() == {1}
        first.__exit__(None, None, None)
        assert n_threads() == {1}
        second.__exit__(None, None, None)
        assert n_threads() == before
