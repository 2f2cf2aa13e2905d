"""Announces the API on the local network by DNS-SD, so that Home Assistant finds it (RFC 6763)."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
import logging
import re
import socket

import ifaddr
from zeroconf import Error as ZeroconfError, InterfaceChoice, IPVersion
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from ridethrough.clock import Clock

from .limits import API_VERSION

_LOGGER = logging.getLogger(__name__)

SERVICE = "_ridethrough._tcp.local."
RETRY = 60.0
"""Seconds until the next attempt when announcing failed, e.g. because the network is not up yet."""
LONGEST_LABEL = 63
"""Bytes of one label of a DNS name (RFC 1035 §2.3.4)."""
LONGEST_TEXT = 255
"""Bytes of one TXT entry, key included."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """What is announced."""

    id: str
    name: str
    version: str
    listen: str
    port: int
    fingerprint: str | None
    """None without TLS."""

    @property
    def instance(self) -> str:
        """The service's name; with a part of the id, since two bridges may bear one name."""
        suffix = f" ({self.id[:8]})"
        name = re.sub(r"[\x00-\x1f\x7f.\\]+", " ", self.name).strip() or "Ridethrough"
        return f"{_cut(name, LONGEST_LABEL - len(suffix))}{suffix}.{SERVICE}"

    @property
    def text(self) -> Mapping[str, str]:
        """The TXT record (contract)."""
        text = {
            "id": self.id,
            "name": _cut(self.name, LONGEST_TEXT - len("name=")),
            "version": self.version,
            "api": str(API_VERSION),
            "tls": "0" if self.fingerprint is None else "1",
        }
        return text if self.fingerprint is None else text | {"fingerprint": self.fingerprint}

    @property
    def addresses(self) -> list[str]:
        """Where the API can be reached: the address it listens on, or all of this computer's."""
        if self.listen == "localhost":
            return ["127.0.0.1"]
        try:
            address = ip_address(self.listen.strip("[]"))
        except ValueError:
            return sorted(
                {row[4][0] for row in socket.getaddrinfo(self.listen, self.port) if isinstance(row[4][0], str)}
            )
        if not address.is_unspecified:
            return [str(address)]
        found = [ip for adapter in ifaddr.get_adapters() for ip in adapter.ips]
        own = [ip.ip for ip in found if isinstance(ip.ip, str)]
        if isinstance(address, IPv6Address):
            # Those with a scope are of use only to whoever knows the name of our network card.
            own += [ip.ip[0] for ip in found if isinstance(ip.ip, tuple) and ip.ip[2] == 0]
        return [ip for ip in own if not ip_address(ip).is_loopback]

    @property
    def everywhere(self) -> bool:
        """Whether it is announced on all networks, not only on the one it listens on."""
        return self.listen.strip("[]") in {"0.0.0.0", "::"}  # compared, not bound


def _cut(text: str, size: int) -> str:
    """As much of the text as fits into so many bytes of UTF-8."""
    return text.encode("utf-8", "replace")[:size].decode("utf-8", "ignore")


async def announce(announcement: Announcement, clock: Clock) -> None:
    """Announce until cancelled, then say goodbye. Without a network it is tried again once a minute."""
    failing = False
    while True:
        try:
            await _announce_once(announcement)
        except (OSError, ZeroconfError) as error:
            if not failing:
                _LOGGER.warning("The API cannot be announced on the network: %s", error or type(error).__name__)
            failing = True
            await clock.sleep(RETRY)


async def _announce_once(announcement: Announcement) -> None:
    addresses = await asyncio.to_thread(lambda: announcement.addresses)
    if not addresses:
        raise OSError("this computer has no address on a network")
    version = IPVersion.All if any(":" in address for address in addresses) else IPVersion.V4Only
    zeroconf = AsyncZeroconf(
        interfaces=InterfaceChoice.All if announcement.everywhere else addresses, ip_version=version
    )
    service = AsyncServiceInfo(
        SERVICE,
        announcement.instance,
        port=announcement.port,
        properties=dict(announcement.text),
        # A name of its own: the computer's may be announced by someone else, with other addresses.
        server=f"ridethrough-{announcement.id}.local.",
        parsed_addresses=addresses,
    )
    try:
        await (await zeroconf.async_register_service(service, allow_name_change=True))
        _LOGGER.info("The API is announced as %s", service.name)
        await asyncio.Event().wait()
    finally:
        await (await zeroconf.async_unregister_service(service))
        await zeroconf.async_close()


__all__ = ["SERVICE", "Announcement", "announce"]
