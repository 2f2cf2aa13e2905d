"""One module per field protocol, and the owner of each port."""

from .base import Credentials, Link, LinkError, LinkUrl
from .context import LinkContext
from .ports import SerialPorts
from .runner import LinkRunner, LinkState, Parts
from .schemes import LINKS, check_link, check_links, open_link
from .trace import Subscription, Trace
from .traps import TrapListener

__all__ = [
    "LINKS",
    "Credentials",
    "Link",
    "LinkContext",
    "LinkError",
    "LinkRunner",
    "LinkState",
    "LinkUrl",
    "Parts",
    "SerialPorts",
    "Subscription",
    "Trace",
    "TrapListener",
    "check_link",
    "check_links",
    "open_link",
]
