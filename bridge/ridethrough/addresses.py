"""IP addresses as sockets word them: what they are, and who they belong to."""

from ipaddress import IPv4Address, IPv6Address, ip_address

type IpAddress = IPv4Address | IPv6Address


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


__all__ = ["IpAddress", "network", "plain"]
