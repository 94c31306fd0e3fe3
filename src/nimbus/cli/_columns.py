"""Tables of text for a terminal."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence


def columns(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Collection[str] | None = None
) -> str:
    """Rows under a header.

    Parameters
    ----------
    header
        Names of the columns.
    rows
        Cells of each row.
    right
        Columns whose cells stand at the right; ``None`` is all but the first.

    Examples
    --------
    >>> print(columns(["marker", "mean"], [["CD3", "0.31"], ["FOXP3", "10.2"]]))
    marker  mean
    CD3     0.31
    FOXP3   10.2
    """
    table = [list(header), *(list(row) for row in rows)]
    widths = [max(len(row[k]) for row in table) for k in range(len(header))]
    to_right = [k > 0 if right is None else name in right for k, name in enumerate(header)]
    lines = [
        "  ".join(
            cell.rjust(width) if at_right else cell.ljust(width)
            for cell, width, at_right in zip(row, widths, to_right, strict=True)
        ).rstrip()
        for row in table
    ]
    return "\n".join(lines)


def number(value: float, digits: int = 3) -> str:
    """A number with so many digits behind the point; ``-`` for NaN.

    Examples
    --------
    >>> number(0.12345), number(float("nan"))
    ('0.123', '-')
    """
    return "-" if math.isnan(value) else f"{value:.{digits}f}"
