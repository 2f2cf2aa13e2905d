"""Battery modules, current sensors and boxes on an RS-485 bus of the bridge's own, by the open module protocol."""

from .link import ModuleBusLink

__all__ = ["ModuleBusLink"]
