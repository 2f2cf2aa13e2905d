"""The schemes of link URLs, and what each stands for: one line per protocol."""

from collections.abc import Iterable, Mapping
import os

from ridethrough.clock import SystemClock

from .bacs import BacsLink, BacsSnmpLink
from .base import Credentials, Link, LinkUrl
from .contacts import ContactsLink
from .context import LinkContext
from .megatec import MegatecLink
from .modbus import ModbusLink
from .module_bus import ModuleBusLink
from .nut import NutLink
from .snmp import SnmpLink

LINKS: Mapping[str, type[Link]] = {
    kind.scheme: kind
    for kind in (
        MegatecLink,
        NutLink,
        SnmpLink,
        ModbusLink,
        ContactsLink,
        ModuleBusLink,
        BacsLink,
        BacsSnmpLink,
    )
}


def open_link(url: str, credentials: Credentials, context: LinkContext) -> Link:
    """Make the link that a URL stands for; nothing is connected yet.

    Raises ValueError with a sentence when the URL is none, its scheme is unknown, or an option is wrong.
    """
    parsed = LinkUrl.parse(url)
    if parsed.scheme not in LINKS:
        examples = ", ".join(kind.example for kind in LINKS.values())
        raise ValueError(f"There is no link called {parsed.scheme}; permitted are, for example: {examples}.")
    return LINKS[parsed.scheme](parsed, credentials, context)


def check_link(url: str) -> str | None:
    """Return the kind of device that a link is to, None when that is not certain; nothing is opened.

    Raises ValueError with a sentence when a URL stands for no link.
    """
    link = open_link(url, Credentials(), LinkContext.alone(SystemClock()))
    return link.kind if link.kind_is_certain else None


def check_links(devices: Iterable[tuple[str, str | None, str | None]]) -> list[tuple[str, str]]:
    """Find out which devices would use one serial line. Nothing is opened.

    `devices` are key, link URL and, for a UPS whose line is piped through, the second port; a feed has no link, only
    a port. Returns the key of each that comes too late, with a sentence.
    """
    problems: list[tuple[str, str]] = []
    users: dict[str, tuple[str, str]] = {}
    for key, url, pipe in devices:
        try:
            parsed = None if url is None else LinkUrl.parse(url)
        except ValueError:
            continue
        kind = None if parsed is None else LINKS.get(parsed.scheme)
        own = None if parsed is None or kind is None else kind.line(parsed)
        for line, scheme in ((own, "" if parsed is None else parsed.scheme), (pipe, "pipe")):
            if line is None:
                continue
            user, used = users.setdefault(os.path.realpath(line) if line.startswith("/") else line, (key, scheme))
            shared = used == scheme and kind is not None and scheme != "pipe" and kind.shares_line
            if (user, used) != (key, scheme) and not shared:
                problems.append((key, f"{line} is already used by {user}; give each serial port to one link only."))
    return problems


__all__ = ["LINKS", "check_link", "check_links", "open_link"]
