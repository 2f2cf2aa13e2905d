"""IP addresses as sockets word them, and hardware addresses as people write them."""

from ipaddress import IPv4Address, IPv6Address, ip_address
import re

type IpAddress = IPv4Address | IPv6Address

_MAC = re.compile(r"[0-9a-f]{2}([:-]?)[0-9a-f]{2}(?:\1[0-9a-f]{2}){4}|[0-9a-f]{4}(?:\.[0-9a-f]{4}){2}")


def plain(host: str) -> IpAddress:
    """Return the address without its zone; IPv4 in IPv6's clothes is IPv4. Raises ValueError for what is no address."""
    address = ip_address(host.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def network(host: str) -> str:
    """Return the address, or for IPv6 the /64 that one owner has to himself; what is no address stays as it is."""
    try:
        address = plain(host)
    except ValueError:
        return host
    return str(IPv6Address(int(address) >> 64 << 64)) if isinstance(address, IPv6Address) else str(address)


def hardware_address(text: str) -> str:
    """Read a network card's address with colons, dashes, dots or nothing between its digits: `00:11:22:33:44:55`.

    Raises ValueError for what is none, or is that of several cards or of none at all (IEEE 802, §8.2.2).
    """
    word = text.strip().lower()
    if _MAC.fullmatch(word) is None:
        raise ValueError(f"{text!r} is no hardware address, as 00:11:22:33:44:55 or 00-11-22-33-44-55 is")
    digits = re.sub(r"[^0-9a-f]", "", word)
    if int(digits[:2], 16) & 1 or not int(digits, 16):
        raise ValueError(f"{text!r} is no address of a single network card")
    return ":".join(digits[place : place + 2] for place in range(0, 12, 2))


__all__ = ["IpAddress", "hardware_address", "network", "plain"]
