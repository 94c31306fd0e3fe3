"""Finds and writes elements of SpatialData; knows no PyTorch."""
