"""Libraries that are imported late: extras, and those that are slow to load."""

from __future__ import annotations

import importlib
from types import ModuleType


def optional_module(name: str) -> ModuleType | None:
    """The module `name`, or ``None`` where it is not installed.

    Examples
    --------
    >>> optional_module("a_library_that_is_not_there") is None
    True
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and name.split(".")[0] != error.name.split(".")[0]:
            raise  # the library is there but one of its own is missing
        return None


def required_module(name: str, *, extra: str) -> ModuleType:
    """The module `name`, or an error that says which extra brings it.

    Raises
    ------
    ImportError
        It is not installed.
    """
    module = optional_module(name)
    if module is None:
        raise ImportError(
            f"this needs {name!r}, which is not installed; "
            f"install it with: pip install 'nimbus-spatial[{extra}]'"
        )
    return module
