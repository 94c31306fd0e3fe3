"""Sphinx settings: `make docs` builds the manual with warnings as errors, without a network."""

from __future__ import annotations

import importlib.metadata
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_extensions"))

project = "nimbus"
author = "The nimbus developers"
copyright = "The nimbus developers"
release = importlib.metadata.version("nimbus-spatial")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx_autodoc_typehints",  # after napoleon: it fills in the types
    "sphinx_copybutton",
    "sphinx_design",
    "command_line",
    "prose_returns",
]
exclude_patterns = ["_build", "**.ipynb_checkpoints"]
templates_path = ["_templates"]

# Docstrings
autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # sphinx_autodoc_typehints writes them
napoleon_google_docstring = False
napoleon_use_rtype = False
typehints_defaults = "braces"
typehints_use_rtype = False
typehints_document_rtype = False  # what is returned stands in the docstring, in words
always_use_bars_union = True

# Every reference to a name of nimbus must lead somewhere. Those to other libraries are left
# alone: their inventories are on the network, and a build must not need one.
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", rf"(?!nimbus\b){name}")
    for name in (
        r"(anndata|collections|dask|distributed|matplotlib|numpy|pandas|pathlib)\..*",
        r"(scipy|spatialdata|torch|typing|xarray|zarr)\..*",
        r"[A-Za-z]+",  # built-in types and type variables
    )
]
# Types that appear in signatures but are no part of the public interface.
nitpick_ignore_regex.append(("py:class", r"nimbus\.(cluster|core|data|engine|model|train)\..+"))

# Pages and tutorials
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_merge_streams = True

html_theme = "sphinx_book_theme"
html_title = f"nimbus {release}"
html_static_path = ["_static"]
html_theme_options = {"use_download_button": False, "home_page_in_toc": True}


def copy_tutorials() -> None:
    """The tutorials live beside `docs`, where users look for them; Sphinx reads only below it."""
    target = HERE / "tutorials"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(HERE.parent / "tutorials", target, ignore=shutil.ignore_patterns(".*"))


copy_tutorials()
