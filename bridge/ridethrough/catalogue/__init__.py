"""Which points, conditions and commands each kind of device has; data files and their reader."""

from .model import (
    Argument,
    Catalogue,
    CatalogueError,
    Category,
    CommandType,
    ConditionType,
    Point,
    Quantity,
    Role,
    Severity,
    Template,
)
from .reader import load_catalogue

__all__ = [
    "Argument",
    "Catalogue",
    "CatalogueError",
    "Category",
    "CommandType",
    "ConditionType",
    "Point",
    "Quantity",
    "Role",
    "Severity",
    "Template",
    "load_catalogue",
]
