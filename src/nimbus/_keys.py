"""Names under which nimbus stores things: the one copy of each."""

from __future__ import annotations


class Layers:
    """Layers of the table, each of shape ``(cells, markers)``."""

    SCORE = "nimbus"
    INTEGRATED = "integrated"
    TRUTH = "truth"
    VISIBLE = "visible"
    SILVER = "silver"
    GOLD = "gold"


class Suffix:
    """What is appended to ``key_added``."""

    STD = "_std"
    POSITIVE = "_positive"
    SCALE = "_scale"
    CALIBRATED = "_calibrated"
    THRESHOLD = "_threshold"
    LOWER = "_lower"
    UPPER = "_upper"
    SOM = "_som"
    SOM_DISTANCE = "_som_distance"
    METACLUSTER = "_metacluster"
    CLUSTER = "_cluster"
    CELL_TYPE = "_cell_type"
    CELL_TYPE_CONFIDENCE = "_cell_type_confidence"
    COLORS = "_colors"


class Obs:
    """Columns of ``obs`` and keys of ``obsm``."""

    REGION = "region"
    INSTANCE = "instance_id"
    AREA = "area"
    SPATIAL = "spatial"


class Attrs:
    """Keys of ``SpatialData.attrs``."""

    SCALES = "nimbus_scales"
    UNITS = "nimbus_units"
    MAPS = "nimbus_maps"
    FOVS = "nimbus_fovs"


MICROMETER = "micrometer"
"""The unit under which a coordinate system is entered in ``attrs[Attrs.UNITS]``."""

ALL_MARKERS = "all markers"
"""Stands for the name of a marker where all of them are pooled."""

MACRO_AVERAGE = "macro average"
"""Stands for the name of a group where groups were averaged."""
