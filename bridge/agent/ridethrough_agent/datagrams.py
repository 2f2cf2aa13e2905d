"""The public datagrams of older UPS cards (UDP 6003): two known texts, and nothing else.

    CONNECT TO RCCMD (SEND) MSG_EXECUTE MSG_TEXT Powerfail on SLC-20 (5): Autonomietime 42.00 min.
    CONNECT TO RCCMD (SEND) MSG_EXECUTE MSG_TEXT Powerfail on SLC-20 (5): restored.

They are neither encrypted nor signed, and the address that they seem to come from can be forged. So they are off until
the configuration switches them on, are taken from listed addresses only, and can do two things: show a message, and,
when the configuration gives a limit, count as that sender's wish to shut down, which the second text withdraws.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
import logging
import re
import time

from .commands import Refusal
from .computer import Computer
from .configuration import Configuration, Datagrams, listed
from .limits import Rate
from .performer import Performer
from .texts import clean

_LOGGER = logging.getLogger(__name__)

_TEXT = re.compile(
    r"CONNECT TO RCCMD \(SEND\) MSG_EXECUTE MSG_TEXT Powerfail on (?P<model>.{1,80}): "
    r"(?:Autonomietime (?P<minutes>[0-9]{1,6}(?:\.[0-9]{1,3})?) min\.|(?P<restored>restored\.))[\r\n\0 ]{0,4}",
    re.ASCII,
)
RATE = 10
"""Datagrams in a second; more are dropped."""
_WAITING = 20
"""Datagrams that wait for their turn; more are dropped."""


@dataclass(frozen=True)
class Datagram:
    """What one says."""

    model: str
    minutes: float | None
    """Runtime left; nothing when power is back."""


def read_datagram(content: bytes) -> Datagram | None:
    """Understand one of the two texts; nothing else means anything."""
    if len(content) > 512:
        return None
    found = _TEXT.fullmatch(content.decode("latin-1"))
    if found is None:
        return None
    model = clean(found["model"], 80)
    return Datagram(model, None if found["restored"] else float(found["minutes"]))


def sender(address: str) -> str:
    """Name a sender of datagrams among the others."""
    return f"datagrams {address}"


def is_sender(name: str, rows: Datagrams) -> bool:
    """Tell whether `name` is a sender of datagrams that the configuration still lets shut down."""
    kind, _, address = name.partition(" ")
    allowed = rows.enabled and rows.shutdown_below is not None
    return kind == "datagrams" and allowed and listed(address, rows.senders)


class DatagramListener(asyncio.DatagramProtocol):
    """Takes datagrams from listed addresses."""

    def __init__(self, configuration: Configuration, computer: Computer, performer: Performer) -> None:
        """Act on `computer` and show messages by `performer`."""
        self._rows: Datagrams = configuration.datagrams
        self._computer = computer
        self._performer = performer
        self._queue: asyncio.Queue[tuple[Datagram, str]] = asyncio.Queue(_WAITING)
        self._rate = Rate(RATE)
        # What strangers send must not hide what happens to those who are listed.
        self._strangers, self._lines = Rate(10, 60.0), Rate(10, 60.0)
        self._shown: dict[str, Datagram] = {}

    async def run(self) -> None:
        """Listen until cancelled; a port that is taken is tried for again."""
        loop = asyncio.get_running_loop()
        told = False
        while True:
            try:
                transport, _ = await loop.create_datagram_endpoint(lambda: self, (self._rows.listen, self._rows.port))
                break
            except OSError as error:
                if not told:
                    told = True
                    _LOGGER.error("Cannot listen for datagrams on port %d (%s): trying again", self._rows.port, error)
                await asyncio.sleep(2.0)
        _LOGGER.info("Listening for datagrams on %s port %d", self._rows.listen, self._rows.port)
        try:
            while True:
                await self._act(*await self._queue.get())
        finally:
            transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Take one, if it is from a listed address and one of the two texts."""
        address = str(addr[0])
        now = time.monotonic()
        if not listed(address, self._rows.senders):
            if self._strangers.allows(now):
                _LOGGER.warning("Datagram refused: %s is not listed%s", address, self._strangers.told())
            return
        found = read_datagram(data)
        if found is None or not self._rate.allows(now) or self._queue.full():
            if self._lines.allows(now):
                why = "not one of the two known texts" if found is None else "too many"
                _LOGGER.warning("Datagram from %s dropped: %s%s", address, why, self._lines.told())
            return
        self._queue.put_nowait((found, address))

    async def _act(self, datagram: Datagram, address: str) -> None:
        below = self._rows.shutdown_below
        minutes = datagram.minutes
        _LOGGER.info("Datagram from %s: %s, %s", address, datagram.model, "restored" if minutes is None else minutes)
        if minutes is None:
            text = f"Power is back at {datagram.model}."
            if below is not None:
                try:
                    await self._computer.withdraw(sender(address))
                except Refusal as refusal:
                    _LOGGER.warning("Datagram from %s: %s", address, refusal.message)
        else:
            text = f"Power failure at {datagram.model}: {minutes:g} minutes left."
            if below is not None and minutes < below:
                reason = f"{minutes:g} minutes left at {datagram.model}"
                try:
                    answer = await self._computer.ask(sender(address), f"datagrams from {address}", 0.0, reason)
                except Refusal as refusal:
                    answer = refusal.message
                _LOGGER.warning("Datagram from %s: %s", address, answer)
        await self._show(address, datagram, text)

    async def _show(self, address: str, datagram: Datagram, text: str) -> None:
        """Tell the users when something is new: a card repeats itself, often twice in a row."""
        before = self._shown.get(address)
        if before is not None and (before.minutes is None) == (datagram.minutes is None):
            return
        if len(self._shown) >= 64:  # a whole network may be listed
            self._shown.clear()
        self._shown[address] = datagram
        try:
            await self._performer.show(text)
        except Refusal as refusal:
            _LOGGER.warning("%s", refusal.message)


__all__ = ["Datagram", "DatagramListener", "is_sender", "read_datagram", "sender"]
