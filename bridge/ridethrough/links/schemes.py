"""The schemes of link URLs, and what each stands for: one line per protocol."""

from collections.abc import Mapping

from ridethrough.clock import SystemClock

from .base import Credentials, Link, LinkUrl
from .context import LinkContext
from .megatec import MegatecLink
from .nut import NutLink
from .snmp import SnmpLink

LINKS: Mapping[str, type[Link]] = {kind.scheme: kind for kind in (MegatecLink, NutLink, SnmpLink)}


def open_link(url: str, credentials: Credentials, context: LinkContext) -> Link:
    """Make the link that a URL stands for; nothing is connected yet.

    Raises ValueError with a sentence when the URL is none, its scheme is unknown, or an option is wrong.
    """
    parsed = LinkUrl.parse(url)
    if parsed.scheme not in LINKS:
        examples = ", ".join(kind.example for kind in LINKS.values())
        raise ValueError(f"There is no link called {parsed.scheme}; permitted are, for example: {examples}.")
    return LINKS[parsed.scheme](parsed, credentials, context)


def check_link(url: str) -> None:
    """Raise ValueError with a sentence when a URL stands for no link; nothing is opened."""
    open_link(url, Credentials(), LinkContext.alone(SystemClock()))


__all__ = ["LINKS", "check_link", "open_link"]
