"""Colours, sizes and styles of the page."""

from __future__ import annotations

import numpy as np
from bokeh.palettes import RdBu11, Viridis256, interp_palette

ZSCORE_COLORS = list(interp_palette(RdBu11, 255))
SCORE_COLORS = list(Viridis256)
GREYS = [f"#{k:02x}{k:02x}{k:02x}" for k in range(256)]

INK, FAINT, LINE, PAPER, ACCENT = "#1f2933", "#66727f", "#d5dbe1", "#ffffff", "#d9480f"
INSIDE, OUTSIDE = "#d9480f", "#9aa5b1"
"""Of the histogram."""

FONT = "Inter, 'Helvetica Neue', Helvetica, Arial, sans-serif"

NAMES_WIDTH, TREE_WIDTH = 78, 46
"""Pixels for the names of markers, and for their tree."""

NODES_WIDTH = 210
"""Pixels of the heatmap of nodes with the names of its markers, at the least."""

NAME_LENGTH = 24
"""Characters of a name beside a heatmap; the pointer tells the whole name."""

CHARACTER_WIDTH = 7
"""Pixels of a character in a name, at the most."""

GROUPS_MARGIN = 64
"""Pixels beside the columns of metaclusters, for the bar of colours."""

COUNTS_HEIGHT, STRIP_HEIGHT, TREE_HEIGHT = 78, 34, 46
MARKER_HEIGHTS = (14, 38)
"""Least and largest height of a marker."""

HEAT_HEIGHT = 560
"""Pixels of the heatmaps, if the markers allow it."""


def heat_height(n_markers: int) -> int:
    """Height of the heatmaps.

    Examples
    --------
    >>> heat_height(10), heat_height(25), heat_height(60)
    (380, 560, 840)
    """
    low, high = MARKER_HEIGHTS
    return int(n_markers * np.clip(HEAT_HEIGHT / n_markers, low, high) + 0.5)


SHEET = f"""
:host, .bk-root {{ font-family: {FONT}; color: {INK}; }}
:host(.nimbus-page) {{ background: #f4f6f8; padding: 0 14px 14px 14px; box-sizing: border-box; }}
:host(.nimbus-bar) {{
  position: sticky; top: 0; z-index: 50; background: rgba(244, 246, 248, 0.97);
  border-bottom: 1px solid {LINE}; padding: 8px 0 6px 0; margin-bottom: 10px;
}}
:host(.nimbus-card) {{
  background: {PAPER}; border: 1px solid {LINE}; border-radius: 8px; padding: 10px 12px;
  box-sizing: border-box;
}}
"""

WRAPPED = ":host { flex-wrap: wrap; row-gap: 10px; }"
"""A row whose last parts stand below where they have no room beside."""

BUTTONS = f"""
:host {{ font-family: {FONT}; }}
.bk-btn-group .bk-btn {{ border-radius: 5px; }}
:host .bk-btn {{ border-radius: 5px; font-size: 12.5px; padding: 4px 10px; line-height: 18px; }}
:host .bk-btn.bk-btn-default {{ background: {PAPER}; border: 1px solid #c3ccd5; color: {INK}; }}
:host .bk-btn.bk-btn-default:hover {{ background: #eef2f5; }}
:host .bk-btn.bk-btn-default.bk-active {{
  background: #27455c; border-color: #27455c; color: white;
}}
:host .bk-btn.bk-btn-primary {{ background: #27455c; border: 1px solid #27455c; color: white; }}
:host .bk-btn.bk-btn-primary:hover {{ background: #1c3446; }}
"""

FIELDS = f"""
:host {{ font-family: {FONT}; font-size: 12.5px; color: {INK}; }}
.bk-input {{
  border-radius: 5px; border: 1px solid #c3ccd5; font-size: 12.5px; min-height: 28px; height: 28px;
  padding: 2px 8px; color: {INK};
}}
select.bk-input[multiple] {{ height: auto; padding: 4px; }}
label {{ font-size: 11px; color: {FAINT}; margin-bottom: 1px; }}
"""

TEXT = f"""
:host {{ font-family: {FONT}; font-size: 12.5px; color: {INK}; }}
.title {{ font-size: 16px; font-weight: 650; white-space: nowrap; }}
.what {{ color: {FAINT}; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }}
.faint {{ color: {FAINT}; }}
.head {{ font-weight: 650; font-size: 13px; }}
.wrong {{ color: #b42318; font-weight: 550; }}
.saved::before, .saving::before, .failed::before {{
  content: ''; display: inline-block; width: 8px; height: 8px; border-radius: 4px;
  margin-right: 6px;
}}
.saved::before {{ background: #2f9e44; }}
.saving::before {{ background: #f59f00; }}
.failed::before {{ background: #c92a2a; }}
.failed {{ color: #b42318; font-weight: 600; }}
"""


def groups_width(n_metaclusters: int) -> int:
    """Width of the heatmap of metaclusters: wide enough that names fit below, to a limit.

    Examples
    --------
    >>> groups_width(14), groups_width(40), groups_width(90)
    (400, 504, 560)
    """
    return int(np.clip(GROUPS_MARGIN + 11 * n_metaclusters, 400, 560))


def shortened(name: str) -> str:
    """A name as it fits beside a heatmap: of a long one both ends, where names differ.

    Examples
    --------
    >>> shortened("CD8"), shortened("Histone H3 (tri methyl K27) C36B11")
    ('CD8', 'Histone H3 (t…27) C36B11')
    """
    return name if len(name) <= NAME_LENGTH else f"{name[:13]}…{name[-10:]}"


def counted(n: int, what: str) -> str:
    """A number and its noun.

    Examples
    --------
    >>> counted(1, "cell"), counted(1200, "cell")
    ('1 cell', '1,200 cells')
    """
    return f"{n:,} {what}{'' if n == 1 else 's'}"
