"""The live state of everything the bridge knows, its revisions and its observers."""

from ridethrough.logic.derivation import Derivation, Derived

from .commands import Arguments, CommandError, CommandResult, Commands
from .device import Device
from .expiry import keep_expiring
from .memory import Alert, Memories
from .reading import ConditionState, DeviceId, Quality, Reading, Source, Value
from .site import Change, DeviceView, Edge, Lane, Site

__all__ = [
    "Alert",
    "Arguments",
    "Change",
    "CommandError",
    "CommandResult",
    "Commands",
    "ConditionState",
    "Derivation",
    "Derived",
    "Device",
    "DeviceId",
    "DeviceView",
    "Edge",
    "Lane",
    "Memories",
    "Quality",
    "Reading",
    "Site",
    "Source",
    "Value",
    "keep_expiring",
]
