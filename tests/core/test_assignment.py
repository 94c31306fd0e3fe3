from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from nimbus.core.assignment import AssignmentMatrix, read_assignment

#            CD3  CD20  CD3/CD8
ROWS = {
    "B": (0, 1, -1),
    "T": (1, 0, 1),
    "Treg": (1, 0, 0),
}
MARKERS = ("CD3", "CD20", "CD3/CD8")


def matrix():
    return AssignmentMatrix(tuple(ROWS), MARKERS, np.array(list(ROWS.values())))


def csv_of(text, tmp_path, encoding="utf-8"):
    path = tmp_path / "matrix für uns.csv"
    path.write_text(text, encoding=encoding)
    return path


def test_cells_get_the_row_of_their_type_and_nothing_where_either_is_unknown():
    labels = matrix().labels_of(["Treg", None, "B", np.nan, "Treg"], ["CD20", "DAPI", "CD3/CD8"])
    assert labels.dtype == np.int8
    np.testing.assert_array_equal(
        labels, [[0, -1, 0], [-1, -1, -1], [1, -1, -1], [-1, -1, -1], [0, -1, 0]]
    )


def test_categories_and_numbers_are_types_too():
    numbered = AssignmentMatrix(("1", "2"), ("CD3",), np.array([[0], [1]]))
    np.testing.assert_array_equal(
        numbered.labels_of(pd.Series([2, 1, 2]).astype("category"), ["CD3"]), [[1], [0], [1]]
    )


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("type,CD3,CD20,CD3/CD8\nB,0,1,\nT,1.0,0,1\nTreg,1,0,0\n", "utf-8"),
        ("type;CD3;CD20;CD3/CD8\r\nB;0;1;\r\nT;1;0;1\r\nTreg;1;0;0\r\n", "utf-8-sig"),
        ("type\tCD3\tCD20\tCD3/CD8\n B \t0\t1\tNA\n\t\t\t\nT\t1\t0\t1\nTreg\t1\t0\t0", "utf-8"),
        ('"type","CD3","CD20","CD3/CD8"\n"B",0,1,2\n"T",1,0,1\n"Treg",1,0,0\n', "utf-8"),
    ],
    ids=["plain", "spreadsheet", "tabs", "published"],
)
def test_files_of_several_programs_give_the_same_matrix(text, encoding, tmp_path):
    read = read_assignment(csv_of(text, tmp_path, encoding))
    assert (read.cell_types, read.markers) == (tuple(ROWS), MARKERS)
    np.testing.assert_array_equal(read.values, matrix().values)


def test_a_frame_and_back_gives_an_equal_matrix():
    frame = matrix().to_frame()
    assert np.isnan(frame.loc["B", "CD3/CD8"])
    for given in (frame, frame.reset_index()):
        again = read_assignment(given)
        assert (again.cell_types, again.markers) == (tuple(ROWS), MARKERS)
        np.testing.assert_array_equal(again.values, matrix().values)


def test_what_is_left_out_becomes_undefined_and_the_rest_stays():
    less = matrix().without(markers=["CD20"], cell_types=["T"])
    np.testing.assert_array_equal(less.values, [[0, -1, -1], [-1, -1, -1], [1, -1, 0]])


def test_a_matrix_cannot_be_changed():
    values = np.array(list(ROWS.values()), dtype=np.int8)
    made = AssignmentMatrix(tuple(ROWS), MARKERS, values)
    values[:] = 0
    assert made.values[0, 1] == 1, "it keeps a copy"
    with pytest.raises(ValueError, match="read-only"):
        made.values[0, 0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.markers = ()


def test_a_missing_type_is_named_with_the_nearest_and_how_many_cells_have_it():
    with pytest.raises(
        ValueError, match=r"cell type 'Tregs' does not exist; did you mean 'Treg'.*'NK'\. 2 cells"
    ):
        matrix().labels_of(["Tregs", "B", "Tregs", "NK"], ["CD3"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("type,CD3\nB,0\nT,1\nB,1\n", r"für uns.csv'.* cell type once; .*twice: 'B'"),
        ("type,CD3,CD20,CD3\nB,0,1,0\n", "marker once; these come twice: 'CD3'"),
        ("type,CD3\nB,0\nT,yes\n", "cell type 'T', marker 'CD3': 'yes' is none of 1"),
        ("type,CD3\nB,0.5\n", "'0.5' is none of 1"),
        ("type,CD3,CD20\nB,0\n", "row 2 has 2 entries, not 3"),
        ("type,CD3\nB,0\n,1\n", "a cell type has no name among 'B', ''"),
        ("type,CD3,\nB,0,1\n", "a marker has no name"),
        ("type,CD3\n", "no row of a cell type"),
        ("", "no row of a cell type"),
    ],
)
def test_a_matrix_that_cannot_be_is_refused_by_name(text, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        AssignmentMatrix.from_csv(csv_of(text, tmp_path))


def test_a_file_that_is_no_text_is_refused_and_an_absent_one_is_absent(tmp_path):
    path = tmp_path / "m.csv"
    path.write_bytes(b"type,CD3\n\xff\xfe\x00,1\n")
    with pytest.raises(ValueError, match=r"m.csv': .*utf-8"):
        AssignmentMatrix.from_csv(path)
    with pytest.raises(FileNotFoundError):
        AssignmentMatrix.from_csv(tmp_path / "none.csv")


def test_a_frame_whose_rows_were_sorted_or_left_out_still_counts_them():
    frame = matrix().to_frame()
    counted = frame.reset_index()
    for rows in ([2, 0, 1], [1, 2], [1]):
        part = AssignmentMatrix.from_frame(counted.iloc[rows])
        pd.testing.assert_frame_equal(part.to_frame(), frame.iloc[rows])


def test_clusters_with_numbers_for_names_are_rows_of_a_frame():
    frame = pd.DataFrame({"CD3": [0, 1, None], "CD20": [1, 0, 2]}, index=[7, 3, 11])
    found = AssignmentMatrix.from_frame(frame)
    assert (found.cell_types, found.markers) == (("7", "3", "11"), ("CD3", "CD20"))


def test_twice_the_same_row_in_a_frame_is_refused():
    frame = pd.DataFrame({"CD3": [0, 1]}, index=["B", "B"])
    with pytest.raises(ValueError, match="come twice: 'B'"):
        AssignmentMatrix.from_frame(frame)
