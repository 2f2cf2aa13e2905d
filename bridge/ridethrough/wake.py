"""Magic packets, which start a computer that is off (wake-on-LAN, manual M:2586)."""

import asyncio

import wakeonlan

TIMES = 3
"""Packets for one order: nobody answers them, and a lost one is a computer that stays off."""


async def wake(mac: str, broadcast: str, port: int) -> None:
    """Send magic packets for the hardware address `00:11:22:33:44:55` to a network's broadcast address.

    Raises OSError when they cannot be sent; whether one arrived nobody can tell.
    """
    await asyncio.to_thread(wakeonlan.wake, *[mac] * TIMES, host=broadcast, port=port)


__all__ = ["wake"]
