"""One module per field protocol, and the owner of each port."""

from .port import SerialPorts
from .runner import LinkRunner, LinkState
from .schemes import LINKS, open_link

__all__ = ["LINKS", "LinkRunner", "LinkState", "SerialPorts", "open_link"]
