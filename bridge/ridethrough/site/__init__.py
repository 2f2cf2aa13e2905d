"""The live state of everything the bridge knows, its revisions and its observers."""

from .commands import CommandError, CommandResult, Commands
from .device import Device
from .expiry import keep_expiring
from .reading import ConditionState, DeviceId, Quality, Reading, Source, Value
from .site import Change, Derived, DeviceView, Edge, Lane, Site

__all__ = [
    "Change",
    "CommandError",
    "CommandResult",
    "Commands",
    "ConditionState",
    "Derived",
    "Device",
    "DeviceId",
    "DeviceView",
    "Edge",
    "Lane",
    "Quality",
    "Reading",
    "Site",
    "Source",
    "Value",
    "keep_expiring",
]
