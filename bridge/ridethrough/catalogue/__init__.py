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
    SwitchType,
    Template,
    Value,
    slug,
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
    "SwitchType",
    "Template",
    "Value",
    "load_catalogue",
    "slug",
]
