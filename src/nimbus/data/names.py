"""Names that SpatialData takes: checked before the work, not after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from anndata import AnnData
from spatialdata import SpatialData, sanitize_name

from nimbus._check import require_text

from .tables import find_table, table_of


def require_name(name: str, there: Iterable[str], *, what: str) -> None:
    """Raise ``ValueError`` for a name that SpatialData refuses.

    Parameters
    ----------
    name
        Of an element, or of a key of a table.
    there
        Names beside which it is to stand; it may be one of them.
    what
        How the message calls it.

    Examples
    --------
    >>> require_name("run_2", ["run_1", "run_2"], what="key_added='run_2'")
    """
    fitting = sanitize_name(name)
    if fitting != name:
        raise ValueError(
            f"{what}: SpatialData takes names of letters, digits, '_', '-' and '.' that do not "
            f"begin with '__'; {fitting!r} would do"
        )
    variants = [other for other in there if other != name and other.lower() == name.lower()]
    if variants:
        raise ValueError(
            f"{what}: there is {variants[0]!r}, and SpatialData takes no two names that differ in "
            "case alone; take that one or another name"
        )


def table_for_key(data: AnnData | SpatialData, table_key: str, key_added: str) -> AnnData:
    """The table, for a verb that adds to it what is called by `key_added`.

    Raises
    ------
    TypeError
        `data` is neither a table nor a SpatialData object.
    ValueError
        There is no such table, or a file with `key_added` in it could not be written or read again.

    Examples
    --------
    >>> table_for_key(AnnData(), "table", "T_cells").shape
    (0, 0)
    """
    table = table_of(data, table_key)
    require_text("key_added", key_added)
    if isinstance(data, SpatialData):
        require_name(key_added, (), what=f"key_added={key_added!r}")
    elif "/" in key_added:
        raise ValueError(
            f"key_added={key_added!r}: AnnData takes what stands before '/' for a folder, and "
            f"would not read its file again; {sanitize_name(key_added)!r} would do"
        )
    return table


def table_for_optional_key(
    data: AnnData | SpatialData, table_key: str, key_added: str | None
) -> AnnData:
    """The same for a verb that adds nothing where `key_added` is None."""
    if key_added is None:
        return table_of(data, table_key)
    return table_for_key(data, table_key, key_added)


def require_key_names(
    table: AnnData, keys: Mapping[str, Iterable[str]], *, key_added: str | None = None
) -> None:
    """Raise ``ValueError`` for a name in a table with which SpatialData cannot read its store.

    Parameters
    ----------
    table
        The table.
    keys
        Names by attribute, e.g. ``{"layers": ["nimbus"]}``.
    key_added
        Where these names come from, for the message; ``None``: the table has them.

    Examples
    --------
    >>> require_key_names(AnnData(), {"layers": ["nimbus"], "obs": ["my_column"]})
    """
    for attribute, names in keys.items():
        # Newer AnnData lists X among the layers, as None.
        there = [str(name) for name in getattr(table, attribute) if name is not None]
        _require_beside(there, attribute, names, key_added)


def _require_beside(
    there: Iterable[str], attribute: str, names: Iterable[str], key_added: str | None
) -> None:
    gives = "" if key_added is None else f"key_added={key_added!r} gives "
    for name in names:
        require_name(name, there, what=f"{gives}{attribute}[{name!r}]")


def require_new_element(sdata: SpatialData, name: str, *, what: str) -> None:
    """Raise ``ValueError`` for a name under which `sdata` takes no new element."""
    there = {key: kind for kind, key, _ in sdata.gen_elements()}
    require_name(name, there, what=what)
    if name in there:
        raise ValueError(
            f"{what}: that name is taken by one of the {there[name]} of sdata; choose another name"
        )


def require_table_names(
    sdata: SpatialData,
    table_key: str,
    keys: Mapping[str, Iterable[str]],
    *,
    key_added: str,
    new: Iterable[str] = (),
) -> None:
    """Raise ``ValueError`` where a table or one of its keys would be refused by SpatialData.

    Parameters
    ----------
    sdata
        Holds the table, or is to hold it.
    table_key
        Name of the table.
    keys
        What is to be written, e.g. ``{"layers": ["nimbus"], "uns": ["nimbus"]}``.
    key_added
        Where these names come from, for the message.
    new
        Keys that the table gets beside them where it is made.
    """
    table = find_table(sdata, table_key)
    if table_key not in sdata.tables:
        require_new_element(sdata, table_key, what=f"table_key={table_key!r}")
    if table is not None:
        require_key_names(table, keys, key_added=key_added)
        return
    for attribute, names in keys.items():
        _require_beside(new, attribute, names, key_added)
