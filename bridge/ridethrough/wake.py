"""Magic packets: six octets FF and sixteen times the hardware address of the computer that is to start (manual M:2586)."""

import asyncio
from collections.abc import Sequence
import socket

from wakeonlan import create_magic_packet

from .addresses import hardware_address
from .clock import Clock

TIMES = 3
"""Nobody confirms one, and a switch that is just starting again drops what it does not know the way for."""
GAP = 0.25
"""Seconds between two packets to the same computer: what is lost in one moment of a switch is not in the next."""


async def wake(macs: Sequence[str], broadcast: str, port: int, clock: Clock, gap: float = GAP) -> None:
    """Send magic packets for hardware addresses, written in any way, to a network's broadcast address.

    Raises ValueError for what is no hardware address, OSError when they cannot be sent; whether one arrived nobody can
    tell.
    """
    packets = [create_magic_packet(hardware_address(mac)) for mac in macs]
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(broadcast, port, type=socket.SOCK_DGRAM)
    family, kind, protocol, _, address = found[0]
    with socket.socket(family, kind, protocol) as sender:
        sender.setblocking(False)
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for turn in range(TIMES):
            if turn:
                await clock.sleep(gap)
            for packet in packets:
                await loop.sock_sendto(sender, packet, address)


__all__ = ["GAP", "TIMES", "wake"]
