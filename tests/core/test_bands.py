from __future__ import annotations

import pytest

from nimbus.core.bands import BAND_PIXELS, bands


@pytest.mark.parametrize("width", [0, 1, 1000, BAND_PIXELS - 1, BAND_PIXELS, 10 * BAND_PIXELS])
@pytest.mark.parametrize("n_rows", [0, 1, 7, 2 * BAND_PIXELS + 1])
def test_every_row_is_in_one_band_of_the_size_at_most(n_rows, width):
    n_rows = n_rows if width < 1000 else min(n_rows, 7)
    found = list(bands(n_rows, width))
    assert [row for band in found for row in range(band.start, band.stop)] == list(range(n_rows))
    assert all((band.stop - band.start) * width <= max(BAND_PIXELS, width) for band in found)
