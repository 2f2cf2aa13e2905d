"""Magic packets: six octets FF and sixteen times the hardware address of who is to wake (manual M:2586)."""

import re

from wakeonlan import create_magic_packet

from ridethrough.config.actions import WakeOnLanAction
from ridethrough.events.steps import ActionError, Occasion

from .context import JobContext
from .udp import send

TIMES = 3
"""Nobody confirms one, and a switch that is just starting again drops what it does not know the way for."""
_MAC = re.compile(r"[0-9a-f]{2}(?:([:-]?)[0-9a-f]{2})(?:\1[0-9a-f]{2}){4}|[0-9a-f]{4}(?:\.[0-9a-f]{4}){2}")


def mac_of(text: str) -> str:
    """Read a hardware address with colons, dashes, dots or nothing between its digits; raises ValueError."""
    word = text.strip().lower()
    if _MAC.fullmatch(word) is None:
        raise ValueError(f"{text!r} is no hardware address, as 00:11:22:33:44:55 or 00-11-22-33-44-55 is")
    digits = re.sub(r"[^0-9a-f]", "", word)
    return ":".join(digits[index : index + 2] for index in range(0, 12, 2))


class WakeOnLan:
    """Sends magic packets."""

    def __init__(self, context: JobContext) -> None:
        """Send by way of `context`."""
        self._context = context

    async def perform(self, action: WakeOnLanAction, occasion: Occasion) -> str:
        """See `Performer`."""
        try:
            packets = [create_magic_packet(mac_of(mac)) for mac in action.macs]
        except ValueError as error:
            raise ActionError(f"{error}.") from error
        for turn in range(TIMES):
            if turn:
                await self._context.clock.sleep(self._context.limits.wake_gap)
            await send(self._context, action.broadcast, action.port, packets)
        who = ", ".join(mac_of(mac) for mac in action.macs)
        return f"Magic packets for {who} were sent to {action.broadcast}:{action.port}; nobody confirms them."


__all__ = ["TIMES", "WakeOnLan", "mac_of"]
