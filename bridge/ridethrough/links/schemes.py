"""The schemes of link URLs, and what each stands for: one line per protocol."""

from collections.abc import Callable

from ridethrough.clock import Clock, SystemClock

from .base import Credentials, Link, LinkUrl
from .megatec import MegatecLink
from .nut import NutLink
from .port import SerialPorts

type Factory = Callable[[LinkUrl, Credentials, Clock, SerialPorts], Link]

LINKS: dict[str, tuple[type[Link], Factory]] = {
    MegatecLink.scheme: (MegatecLink, MegatecLink),
    NutLink.scheme: (NutLink, lambda url, credentials, clock, _: NutLink(url, credentials, clock)),
}


def open_link(url: str, credentials: Credentials, clock: Clock, ports: SerialPorts | None = None) -> Link:
    """Make the link that a URL stands for; nothing is connected yet.

    Links that share serial ports, as all of a bridge do, are given the same `ports`.
    Raises ValueError with a sentence when the URL is none, its scheme is unknown, or an option is wrong.
    """
    parsed = LinkUrl.parse(url)
    if parsed.scheme not in LINKS:
        examples = ", ".join(kind.example for kind, _ in LINKS.values())
        raise ValueError(f"There is no link called {parsed.scheme}; permitted are, for example: {examples}.")
    _, factory = LINKS[parsed.scheme]
    return factory(parsed, credentials, clock, ports or SerialPorts(clock))


def check_link(url: str) -> None:
    """Raise ValueError with a sentence when a URL stands for no link; nothing is opened."""
    open_link(url, Credentials(), SystemClock())


__all__ = ["LINKS", "check_link", "open_link"]
