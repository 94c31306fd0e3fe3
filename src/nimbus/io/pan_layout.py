"""Where the published training data keep images, masks and labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class PanLayout:
    """How one data set of Pan-Multiplex is laid out.

    ::

        folder/
          images/fov1/CD3.ome.tif ...     one file per channel
          masks/fov1.ome.tif              cell ids
          labels.csv                      in one of three forms

    ==========  ===============================================================================
    form        rows of `labels`
    ==========  ===============================================================================
    long        one for each cell and marker; `marker_key` and `value_key` are given
    types       one for each cell with its `cell_type_key`; `assignment` says what types express
    wide        one for each cell; column ``{marker}{suffix}`` holds the value; else
    ==========  ===============================================================================

    Parameters
    ----------
    images, masks
        Folders, relative to the folder of the data set.
    pattern
        How mask files are called.
    labels
        CSV of the labels, relative to the folder of the data set.
    fov_key, cell_key
        Columns of the field and of the cell's id.
    dataset_key
        Column that names the data set, where the CSV holds several.
    marker_key, value_key
        Columns of the long form.
    cell_type_key
        Column of the form by types.
    assignment
        CSV of cell types x markers, relative to the folder of the data set.
    suffix
        What follows the marker in a column of the wide form.

    Examples
    --------
    >>> layout = PanLayout("images", "masks", "{fov}.ome.tif", "labels.csv", suffix="_positive")
    >>> layout.pattern.format(fov="fov1"), "CD3" + layout.suffix
    ('fov1.ome.tif', 'CD3_positive')
    """

    images: str
    masks: str
    pattern: str
    labels: str
    fov_key: str = "fov"
    cell_key: str = "labels"
    dataset_key: str | None = None
    marker_key: str | None = None
    value_key: str | None = None
    cell_type_key: str | None = None
    assignment: str | None = None
    suffix: str = ""


_GOLD = PanLayout(
    images="fovs",
    masks="masks",
    pattern="{fov}.ome.tif",
    labels="../gold_standard_groundtruth.csv",
    cell_key="cell_id",
    dataset_key="dataset",
    marker_key="channel",
    value_key="activity",
)
_VECTRA = PanLayout(
    images="raw_structured",
    masks="segmentation",
    pattern="{fov}feature_0.ome.tif",
    labels="cell_table.csv",
    suffix="_gt",
)

LAYOUTS: Mapping[str, PanLayout] = MappingProxyType(
    {
        "gold": _GOLD,
        "vectra_colon": _VECTRA,
        "vectra_pancreas": PanLayout(
            _VECTRA.images, _VECTRA.masks, _VECTRA.pattern, _VECTRA.labels, suffix=""
        ),
        "mibi_decidua": PanLayout(
            images="image_data",
            masks="segmentation_data",
            pattern="{fov}_segmentation_labels.tiff",
            labels="Supplementary_table_3_single_cells_updated.csv",
            fov_key="Point",
            cell_key="cell_ID_in_Point",
            cell_type_key="lineage",
            assignment="conversion_matrix.csv",
        ),
        "mibi_breast": PanLayout(
            images="image_data/samples",
            masks="segmentation_data/deepcell_output",
            pattern="{fov}_feature_0.tif",
            labels="combined_cell_table_normalized_cell_labels_updated.csv",
            cell_key="label",
            cell_type_key="cell_meta_cluster",
            assignment="TONIC_conversion_matrix.csv",
        ),
    }
)
"""As the published scripts for training and readers of the gold standard expect the files."""
