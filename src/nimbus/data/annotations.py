"""What people say of pairs of cell and marker: tables of fov, instance_id, marker, label."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nimbus._check import listed, told, unknown_name

Likely = Literal["undetermined", "decided"]
"""How "likely positive" and "likely negative" count: like undetermined, or like the sure ones."""

FOV, INSTANCE, MARKER, LABEL = "fov", "instance_id", "marker", "label"

ANNOTATOR, ANNOTATIONS = "annotator", "annotations"
"""Column with who said it, and the key of the table of all in the record of a layer."""

PAIR = [FOV, INSTANCE, MARKER]
"""Columns that name a pair."""

POSITIVE, NEGATIVE, UNDETERMINED = "positive", "negative", "undetermined"

JUDGEMENTS = (POSITIVE, NEGATIVE, "likely positive", "likely negative", UNDETERMINED)
"""Labels that an annotation may have."""

CODES = {"1": POSITIVE, "0": NEGATIVE, "-1": UNDETERMINED} | {
    "2": "likely positive",
    "3": "likely negative",
}
"""Numbers that stand for them; 2 and 3 as in the published gold standard."""

Classes: TypeAlias = Mapping[str, str] | None
"""A user's own names of classes, and which of the five each is."""


def as_judgement(name: str, classes: Classes = None) -> str | None:
    """Which of the five labels a name or number stands for, whatever its case; ``None``: none.

    Examples
    --------
    >>> as_judgement("Likely_Positive"), as_judgement("0"), as_judgement("1.0"), as_judgement("hm")
    ('likely positive', 'negative', 'positive', None)
    >>> as_judgement("CD3+", {"CD3+": "positive"})
    'positive'
    """
    text = name.strip()
    if classes is not None and text in classes:
        return classes[text]
    plain = " ".join(text.casefold().replace("_", " ").replace("-", " -").split())
    plain = CODES.get(plain.removesuffix(".0"), plain)
    return plain if plain in JUDGEMENTS else None


def require_frame(what: str, given: object) -> None:
    """Raise ``TypeError`` for anything but a data frame.

    Examples
    --------
    >>> require_frame("cells", {"fov": ["a"]})
    Traceback (most recent call last):
    TypeError: cells must be a data frame of pandas, not {'fov': ['a']}
    """
    if not isinstance(given, pd.DataFrame):
        of_file = "; of a file: pandas.read_csv(path)" if isinstance(given, str | Path) else ""
        raise TypeError(f"{what} must be a data frame of pandas, not {told(given)}{of_file}")


def check_classes(classes: Classes) -> None:
    """Refuse classes that stand for none of the five labels.

    Raises
    ------
    ValueError
        It names the class.
    """
    for name, meaning in (classes or {}).items():
        if meaning not in JUDGEMENTS:
            raise ValueError(
                f"classes={{{name!r}: {meaning!r}}}: a class stands for one of {listed(JUDGEMENTS)}"
            )


def checked_annotations(frame: pd.DataFrame, *, classes: Classes = None) -> pd.DataFrame:
    """A table of annotations with clean columns; further columns are kept.

    Parameters
    ----------
    frame
        Columns ``fov``, ``instance_id``, ``marker`` and ``label``: one of the five names, or 1, 0,
        -1 (undetermined), 2 (likely positive), 3 (likely negative).
    classes
        Other names of labels, and what they stand for.

    Raises
    ------
    ValueError
        A column is missing, an id is no whole number above 0, a label is none of these, or a pair
        comes twice.

    Examples
    --------
    >>> frame = pd.DataFrame({"fov": "a", "instance_id": ["7"], "marker": "CD3", "label": [1]})
    >>> checked_annotations(frame)
      fov  instance_id marker     label
    0   a            7    CD3  positive
    """
    check_classes(classes)
    missing = [name for name in (*PAIR, LABEL) if name not in frame.columns]
    if missing:
        raise ValueError(
            f"annotations need the columns {listed((*PAIR, LABEL))}; there is no {listed(missing)} "
            f"among {listed(frame.columns)}"
        )
    clean = frame.copy().reset_index(drop=True)
    clean[INSTANCE] = whole_ids(clean[INSTANCE], what=f"column {INSTANCE!r} of the annotations")
    for name in (FOV, MARKER):
        if clean[name].isna().any():
            raise ValueError(f"annotations need a {name} in each row; row {_first(clean[name])}")
        clean[name] = clean[name].astype(str).str.strip()
    clean[LABEL] = _judgements(clean[LABEL], classes)
    twice = clean[clean.duplicated(PAIR, keep=False)]
    if len(twice):
        fov, cell, marker = twice.iloc[0][PAIR]
        raise ValueError(
            f"{len(twice)} rows are of pairs that come more than once, e.g. cell {cell} of field "
            f"{fov!r} for marker {marker!r}; keep one row of each, or pass each annotator as a "
            "table of its own"
        )
    return clean


def whole_ids(values: pd.Series, *, what: str) -> NDArray[np.int64]:
    """Cell ids as int64, whatever they were written as.

    Raises
    ------
    ValueError
        One that is no whole number above 0.
    """
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "iu" and (values > 0).all():
        return values.to_numpy(np.int64)  # of millions of cells not by way of objects
    numbers = pd.to_numeric(values.astype(object), errors="coerce").to_numpy(dtype=np.float64)
    wrong = ~(np.isfinite(numbers) & (numbers > 0) & (numbers < 2**53))
    wrong |= ~np.equal(np.floor(np.where(wrong, 0, numbers)), np.where(wrong, 0, numbers))
    if wrong.any():
        raise ValueError(
            f"{what} must hold cell ids, whole numbers above 0; it holds "
            f"{listed(pd.unique(values[wrong].astype(str)), at_most=5)}"
        )
    return numbers.astype(np.int64)


def labels_of(judgements: pd.Series, likely: Likely) -> NDArray[np.int8]:
    """1 positive, 0 negative, -1 undetermined; shape ``(n,)``.

    Examples
    --------
    >>> labels_of(pd.Series(["positive", "likely negative", "undetermined"]), "decided")
    array([ 1,  0, -1], dtype=int8)
    """
    if likely not in get_args(Likely):
        raise ValueError(f"likely={likely!r} is none of {listed(get_args(Likely))}")
    counts = judgements.str.removeprefix("likely ") if likely == "decided" else judgements
    numbers = counts.map({POSITIVE: 1, NEGATIVE: 0}).fillna(-1)
    return np.asarray(numbers, dtype=np.int8)


def _judgements(labels: pd.Series, classes: Classes) -> pd.Series:
    given = labels.astype(object).where(labels.notna(), "").astype(str)
    meaning = {name: as_judgement(name, classes) for name in given.unique()}
    strange = [name for name, judgement in meaning.items() if judgement is None]
    if strange:
        raise ValueError(
            unknown_name("label", strange[0], JUDGEMENTS)
            + f" Numbers stand for them: {CODES}. Name other classes with classes="
        )
    return given.map(meaning)


def _first(values: pd.Series) -> int:
    """Number of the first row without a value."""
    return int(np.flatnonzero(values.isna().to_numpy())[0])
