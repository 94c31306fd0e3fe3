"""Plain NumPy: boxes, grids, tiles, masks, intensities and sums."""
