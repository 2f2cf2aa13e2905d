"""Batteries block by block: what chemistry does, strings of blocks in series, and the direct current plant around them."""

from .chemistry import CHEMISTRIES, BlockDesign, CellDesign
from .plant import Block, Charger, Failure, Plant, StringReading

__all__ = [
    "CHEMISTRIES",
    "Block",
    "BlockDesign",
    "CellDesign",
    "Charger",
    "Failure",
    "Plant",
    "StringReading",
]
