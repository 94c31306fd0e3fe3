"""Which cell types are positive for which markers."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nimbus._check import listed, one_or_more, require_known, told, unknown_name

POSITIVE, NEGATIVE, UNDEFINED = 1, 0, -1
"""Labels of a cell for a marker."""

_MEANINGS = {"1": POSITIVE, "0": NEGATIVE, "2": UNDEFINED, "-1": UNDEFINED}
"""Entries of a matrix; 2 is how the published training code writes undefined."""

_BLANK = frozenset({"", "nan", "na", "none", "<na>"})


@dataclass(frozen=True, slots=True, eq=False)
class AssignmentMatrix:
    """Cell types x markers: 1 positive, 0 negative, -1 undefined.

    Parameters
    ----------
    cell_types
        Name of each row; they must differ.
    markers
        Name of each column; they must differ.
    values
        int8 ``(cell types, markers)`` of 1, 0 and -1.

    Raises
    ------
    ValueError
        A name that comes twice, a shape that does not fit, or another value.

    Examples
    --------
    >>> matrix = AssignmentMatrix(("B", "T"), ("CD3", "CD20"), np.array([[0, 1], [1, 0]]))
    >>> matrix.labels_of(["T", "B", None], ["CD20", "DAPI"])
    array([[ 0, -1],
           [ 1, -1],
           [-1, -1]], dtype=int8)
    """

    cell_types: tuple[str, ...]
    markers: tuple[str, ...]
    values: NDArray[np.int8]

    def __post_init__(self) -> None:
        for what, names in (("cell type", self.cell_types), ("marker", self.markers)):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(
                    f"the assignment matrix has each {what} once; these come twice: {listed(twice)}"
                )
        values = np.array(self.values)
        if values.shape != (len(self.cell_types), len(self.markers)):
            raise ValueError(
                f"the assignment matrix has values {values.shape}, but {len(self.cell_types)} cell "
                f"types and {len(self.markers)} markers"
            )
        if not np.isin(values, [POSITIVE, NEGATIVE, UNDEFINED]).all():
            raise ValueError(f"an assignment matrix holds 1, 0 and -1, not {np.unique(values)}")
        values = values.astype(np.int8)
        values.flags.writeable = False
        object.__setattr__(self, "values", values)

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> AssignmentMatrix:
        """Matrix of a data frame: 1, 0 or blank; cell types in the index or the first column.

        The first column is taken where the index only counts the rows, also after some were left
        out or sorted. 2 and -1 are undefined like a blank.

        Raises
        ------
        ValueError
            Names that come twice or are blank, or an entry that is none of these.

        Examples
        --------
        >>> frame = pd.DataFrame({"CD3": [0, 1], "CD20": [1, None]}, index=["B", "T"])
        >>> AssignmentMatrix.from_frame(frame).values
        array([[ 0,  1],
               [ 1, -1]], dtype=int8)
        """
        if counts_rows(frame) and frame.shape[1]:
            types, body = frame.iloc[:, 0], frame.iloc[:, 1:]
        else:
            types, body = frame.index.to_series(), frame
        rows = [
            [entry_text(kind), *map(entry_text, entries)]
            for kind, entries in zip(types, body.to_numpy(dtype=object), strict=True)
        ]
        return cls._from_rows([entry_text(name) for name in body.columns], rows)

    @classmethod
    def from_csv(cls, path: str | Path) -> AssignmentMatrix:
        """Matrix of a CSV file: a row for each cell type, whose name stands first.

        Columns are parted by commas, semicolons or tabs; entries are 1, 0 or blank, 2 and -1 are
        undefined too. Rows without any text are passed over.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        ValueError
            The file is no such table, or as for :meth:`from_frame`; the message names the file.
        """
        try:
            text = Path(path).read_text(encoding="utf-8-sig")
            lines = csv_lines(text)
            if len(lines) < 2:
                raise ValueError("it has no row of a cell type under a row of markers")
            header, *rows = lines
            for number, row in enumerate(rows, start=2):
                if len(row) != len(header):
                    raise ValueError(f"row {number} has {len(row)} entries, not {len(header)}")
            return cls._from_rows(header[1:], rows)
        except (ValueError, csv.Error) as error:  # UnicodeDecodeError is one
            raise ValueError(f"assignment matrix {str(path)!r}: {error}") from error

    @classmethod
    def _from_rows(cls, markers: Sequence[str], rows: Sequence[Sequence[str]]) -> AssignmentMatrix:
        types = [row[0] for row in rows]
        for what, names in (("cell type", types), ("marker", markers)):
            if any(is_blank(name) for name in names):
                raise ValueError(f"a {what} has no name among {listed(names)}")
        values = [
            [
                _meaning(entry, row[0], marker)
                for entry, marker in zip(row[1:], markers, strict=True)
            ]
            for row in rows
        ]
        shape = (len(types), len(markers))
        return cls(tuple(types), tuple(markers), np.array(values, np.int8).reshape(shape))

    def without(
        self, *, markers: str | Iterable[str] = (), cell_types: str | Iterable[str] = ()
    ) -> AssignmentMatrix:
        """The matrix with these markers and cell types undefined; its shape stays.

        Raises
        ------
        ValueError
            A name that the matrix does not have.
        """
        columns, rows = one_or_more(markers), one_or_more(cell_types)
        require_known("marker of the assignment matrix", columns, self.markers)
        require_known("cell type of the assignment matrix", rows, self.cell_types)
        values = self.values.copy()
        values[:, [self.markers.index(name) for name in columns]] = UNDEFINED
        values[[self.cell_types.index(name) for name in rows]] = UNDEFINED
        return AssignmentMatrix(self.cell_types, self.markers, values)

    def labels_of(
        self, cell_types: Sequence[object] | pd.Series, markers: str | Sequence[str]
    ) -> NDArray[np.int8]:
        """Label of each cell for each of `markers`, int8 ``(cells, markers)``.

        Cells without a type (None, NaN) and markers that the matrix does not have are undefined.

        Raises
        ------
        ValueError
            A cell type that the matrix does not have.
        """
        kinds = pd.Series(cell_types, dtype=object).reset_index(drop=True)
        given = kinds.notna().to_numpy()
        names = kinds.where(given, "").astype(str).str.strip()
        row = _places(self.cell_types, names.tolist())
        if (strange := names[given & (row < 0)]).size:
            name, count = next(iter(strange.value_counts().items()))
            others = sorted(set(strange) - {name})
            also = f" Not there either: {listed(others)}." if others else ""
            told = unknown_name("cell type", str(name), self.cell_types)
            raise ValueError(f"{told}{also} {count} cells are of it in the cell table")
        column = _places(self.markers, one_or_more(markers))
        # One more row and column, at -1, for what is not there.
        padded = np.pad(self.values, ((0, 1), (0, 1)), constant_values=UNDEFINED)
        labels: NDArray[np.int8] = padded[np.ix_(np.where(given, row, -1), column)]
        return labels

    def to_frame(self) -> pd.DataFrame:
        """Rows are cell types, columns markers: 1, 0 or NaN where undefined."""
        values = self.values.astype(np.float64)
        values[self.values == UNDEFINED] = np.nan
        index = pd.Index(list(self.cell_types), name="cell_type")
        return pd.DataFrame(values, index=index, columns=list(self.markers))


Assignment: TypeAlias = AssignmentMatrix | pd.DataFrame | str | Path
"""An assignment matrix, a data frame of one, or the CSV file that holds it."""


def read_assignment(given: Assignment) -> AssignmentMatrix:
    """The matrix as it is, of a data frame, or of a CSV file.

    Raises
    ------
    TypeError
        It is none of these: an array has no names.
    """
    if isinstance(given, AssignmentMatrix):
        return given
    if isinstance(given, pd.DataFrame):
        return AssignmentMatrix.from_frame(given)
    if isinstance(given, str | Path):
        return AssignmentMatrix.from_csv(given)
    raise TypeError(
        "the assignment must be a data frame with cell types as rows and markers as columns, the "
        f"path of a CSV file, or an AssignmentMatrix, not {told(given)}; of an array make "
        "pandas.DataFrame(array, index=cell_types, columns=markers)"
    )


def _places(there: Sequence[str], wanted: Sequence[str]) -> NDArray[np.intp]:
    """Place of each name; -1 where it is not there."""
    place = {name: k for k, name in enumerate(there)}
    return np.array([place.get(name, -1) for name in wanted], dtype=np.intp)


def csv_lines(text: str) -> list[list[str]]:
    """Rows of a CSV, parted by what its first line holds most of."""
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    return [cells for row in rows if any(cells := [cell.strip() for cell in row])]


def counts_rows(frame: pd.DataFrame) -> bool:
    """Whether the index of a data frame is that of its rows, and no names.

    Numbers that do not run 0, 1, ... count rows where the first column holds names.

    Examples
    --------
    >>> frame = pd.DataFrame({"cell_type": ["B", "T"], "CD3": [0, 1]})
    >>> counts_rows(frame), counts_rows(frame[::-1]), counts_rows(frame[["CD3"]].iloc[[1, 0]])
    (True, True, False)
    """
    if isinstance(frame.index, pd.RangeIndex) and (frame.index.start, frame.index.step) == (0, 1):
        return True
    if not (pd.api.types.is_integer_dtype(frame.index) and frame.shape[1]):
        return False
    return all(_known_meaning(entry_text(value)) is None for value in frame.iloc[:, 0])


def entry_text(value: object) -> str:
    """An entry of a data frame as it would stand in a file."""
    return "" if value is None or value is pd.NA else str(value).strip()


def is_blank(entry: str) -> bool:
    """Whether an entry says nothing."""
    return entry.lower() in _BLANK


def _meaning(entry: str, cell_type: str, marker: str) -> int:
    """What one entry says."""
    meaning = _known_meaning(entry)
    if meaning is None:
        raise ValueError(
            f"cell type {cell_type!r}, marker {marker!r}: {entry!r} is none of 1 (positive), 0 "
            "(negative) and blank (undefined)"
        )
    return meaning


def _known_meaning(entry: str) -> int | None:
    return UNDEFINED if is_blank(entry) else _MEANINGS.get(entry.removesuffix(".0"))
