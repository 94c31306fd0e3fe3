"""Checks at the door, and the wording of their errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any, Protocol, SupportsFloat, TypeVar, runtime_checkable

Value = TypeVar("Value")
Held = TypeVar("Held", covariant=True)


@runtime_checkable
class Named(Protocol[Held]):
    """Values by name: a mapping, or a series of pandas, which not all of nimbus may import."""

    def keys(self) -> Iterable[Any]:
        """Names."""

    def items(self) -> Iterable[tuple[Any, Held]]:
        """Names and values."""


def listed(names: Iterable[object], *, at_most: int = 12) -> str:
    """Names for an error message, quoted, shortened after `at_most`.

    Examples
    --------
    >>> listed(["CD3", "CD8"])
    "'CD3', 'CD8'"
    >>> listed([])
    'none'
    """
    every = [repr(str(name)) for name in names]
    if not every:
        return "none"
    more = f" and {len(every) - at_most} more" if len(every) > at_most else ""
    return ", ".join(every[:at_most]) + more


def unknown_name(what: str, given: str, there: Sequence[str]) -> str:
    """Sentence for a name that does not exist: what was given, the nearest, what there is.

    Examples
    --------
    >>> unknown_name("channel", "CD33", ["CD3", "DAPI"])
    "channel 'CD33' does not exist; did you mean 'CD3'? There is: 'CD3', 'DAPI'."
    >>> unknown_name("cell type", "tcell", ["BCELL", "TCELL"])
    "cell type 'tcell' does not exist; did you mean 'TCELL'? There is: 'BCELL', 'TCELL'."
    """
    near = get_close_matches(given, there, n=1, cutoff=0.5)
    if not near:  # names may differ in case alone
        folded = {name.casefold(): name for name in there}
        near = [folded[k] for k in get_close_matches(given.casefold(), folded, n=1, cutoff=0.5)]
    hint = f"; did you mean {near[0]!r}? There is" if near else "; there is"
    return f"{what} {given!r} does not exist{hint}: {listed(there)}."


def one_or_more(names: object) -> list[str]:
    """A list of names as text, also of a single one: text is one name and not its letters.

    Channels that nobody named are numbers in SpatialData.

    Examples
    --------
    >>> one_or_more("CD3"), one_or_more(("CD3", "CD8"))
    (['CD3'], ['CD3', 'CD8'])
    >>> one_or_more(0), one_or_more([0, 1])
    (['0'], ['0', '1'])
    """
    if isinstance(names, str) or not isinstance(names, Iterable):
        return [str(names)]
    return [str(name) for name in names]


def by_name(what: str, values: Named[Value]) -> dict[str, Value]:
    """A mapping, or a series by its index, whose names are text as those of :func:`one_or_more`.

    Raises
    ------
    TypeError
        Values without names.
    ValueError
        A name that comes twice.

    Examples
    --------
    >>> by_name("thresholds", {0: 0.3, "CD3": 0.5})
    {'0': 0.3, 'CD3': 0.5}
    """
    if not isinstance(values, Named):
        raise TypeError(f"{what} must be {{name: value}} or a series by name, not {told(values)}")
    require_once(f"names of {what}", values.keys())
    return {str(name): value for name, value in values.items()}


def told(given: object) -> str:
    """A value for an error message: its type alone where it is long.

    Examples
    --------
    >>> told(None), told("nope"), told(list(range(100)))
    ('None', "'nope'", 'a list')
    """
    text = repr(given)
    return text if len(text) <= 60 and "\n" not in text else f"a {type(given).__name__}"


def require_text(what: str, given: object) -> None:
    """Raise ``TypeError`` for a name that is no text.

    Examples
    --------
    >>> require_text("key_added", None)
    Traceback (most recent call last):
    TypeError: key_added must be a name, as text, not None
    """
    if not isinstance(given, str):
        raise TypeError(f"{what} must be a name, as text, not {told(given)}")


def require_number(what: str, given: object) -> None:
    """Raise ``TypeError`` for anything but one real number, also as an array without axes.

    Examples
    --------
    >>> require_number("confidence", "0.9")
    Traceback (most recent call last):
    TypeError: confidence must be a number, not '0.9'
    """
    scalar = isinstance(given, SupportsFloat) and getattr(given, "shape", None) == ()
    if not (isinstance(given, Real) or scalar):
        raise TypeError(f"{what} must be a number, not {told(given)}")


def require_whole(what: str, given: object) -> None:
    """Raise ``TypeError`` for anything but one whole number, of Python or NumPy.

    Examples
    --------
    >>> require_whole("n_jobs", 2.5)
    Traceback (most recent call last):
    TypeError: n_jobs must be a whole number, not 2.5
    """
    if not isinstance(given, Integral):
        raise TypeError(f"{what} must be a whole number, not {told(given)}")


def require_several(what: str, given: object) -> None:
    """Raise ``TypeError`` for text where settings hold several names."""
    if isinstance(given, str):
        raise TypeError(f"{what} must be a tuple of names, as in ({given!r},), not {given!r} alone")


def require_once(what: str, names: Iterable[object]) -> None:
    """Raise ``ValueError`` for names that come more than once.

    Examples
    --------
    >>> require_once("markers of the table", ["CD3", "CD8"])
    """
    twice = [name for name, n in Counter(map(str, names)).items() if n > 1]
    if twice:
        raise ValueError(f"{what} must differ; these come twice: {listed(twice)}")


def require_known(what: str, given: Iterable[str], there: Sequence[str]) -> None:
    """Raise ``ValueError`` for the first of `given` that is not among `there`.

    Raises
    ------
    TypeError
        One of them is no text: ``None``, a number, a list.
    """
    for name in given:
        if not isinstance(name, str):
            raise TypeError(
                f"{what} must be named by text, not {told(name)}; there is: {listed(there)}"
            )
        if name not in there:
            raise ValueError(unknown_name(what, name, there))
