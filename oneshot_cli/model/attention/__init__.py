"""Attention: where images are read and the canvas is written."""

from oneshot_cli.model.attention.base import Attention
from oneshot_cli.model.attention.filterbank import GaussianFilters, filters
from oneshot_cli.model.attention.heads import Reader, Writer
from oneshot_cli.model.attention.joint import JointReader
from oneshot_cli.model.attention.spatial_transformer import SpatialTransformer, inverse, windows
from oneshot_cli.model.attention.whole import FullyConnected, at_size, whole_image

__all__ = [
    "Attention",
    "FullyConnected",
    "GaussianFilters",
    "JointReader",
    "Reader",
    "SpatialTransformer",
    "Writer",
    "at_size",
    "filters",
    "inverse",
    "whole_image",
    "windows",
]
