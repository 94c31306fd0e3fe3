"""What the files of a Mantis Viewer project are called."""

from __future__ import annotations

SEGMENTATION = "cell_segmentation"
"""Stem of the TIFF with cell ids in the folder of each field, as ark-analysis calls it."""

POPULATION_MASK = "population_mask"
"""Stem of the TIFF with the number of the group of each pixel, and of the CSV that names them."""

POPULATIONS = "populations.csv"
"""Beside the folders: field, cell and group, without a header."""

FEATURES = "segment_features.csv"
"""Beside the folders: field, cell and numbers, with a header."""

REGION_COLUMNS = ["region_id", "region_name"]
"""Header of the CSV beside a population mask."""

FIELD_COLUMN, CELL_COLUMN = "Image Set Name", "Segment ID"
