"""Names of fields and markers as names of files, and back."""

from __future__ import annotations

import re
from urllib.parse import unquote

_FORBIDDEN = re.compile(r'[<>:"/\\|?*%\x00-\x1f]|^\.|[. ]$')
"""Characters that a file name may not have on one of the usual systems."""


def safe_name(name: str) -> str:
    """The name with ``%2F`` and the like for what no file may be called; never two alike.

    Examples
    --------
    >>> safe_name("CD3/CD8 ε"), safe_name(".hidden")
    ('CD3%2FCD8 ε', '%2Ehidden')
    """
    return _FORBIDDEN.sub(lambda match: f"%{ord(match[0]):02X}", name)


def original_name(name: str) -> str:
    """The name that :func:`safe_name` was given.

    Examples
    --------
    >>> original_name("CD3%2FCD8 ε")
    'CD3/CD8 ε'
    """
    return unquote(name)
