"""A thousand UPS cards in one process: v2c agents on the loopback that answer as cheaply as they can.

    async with Cards(1000) as cards:
        … cards.addresses: host and port of each …
        await cards.requests()     how many they have answered so far

Each has an address of its own (127.1.0.1, 127.1.0.2, …), as cards have. They all serve `ROWS`: a three-phase UPS.
"""

import asyncio
from asyncio.subprocess import PIPE, Process
from bisect import bisect_right
import os
from pathlib import Path
import selectors
import socket
import sys
from typing import Self

from ridethrough.sim.snmp_message import Message, Oid, Pdu, Tag, Value

from .snmpd import CARD, UPS, Rows
from .snmpd_table import oid

PORT = 20161
ROWS: Rows = {
    **CARD,
    **{f"{UPS}.1.{table}.0": ("integer", "3") for table in ("3.2", "4.3", "5.2")},
    **{
        f"{UPS}.1.3.3.1.{column}.{line}": ("integer", f"2{column}{line}")
        for column in (2, 3, 4, 5)
        for line in (1, 2, 3)
    },
    **{
        f"{UPS}.1.4.4.1.{column}.{line}": ("integer", f"2{column}{line}")
        for column in (2, 3, 4, 5)
        for line in (1, 2, 3)
    },
    **{f"{UPS}.1.5.3.1.{column}.{line}": ("integer", f"2{column}{line}") for column in (2, 3, 4) for line in (1, 2, 3)},
}
_KINDS = {"integer": Tag.INTEGER, "counter": Tag.COUNTER, "gauge": Tag.GAUGE, "timeticks": Tag.TICKS}


def host(number: int) -> str:
    """Address of the card with this number, from 0."""
    return f"127.1.{number // 250}.{number % 250 + 1}"


class Cards:
    """The process with the cards."""

    def __init__(self, count: int, port: int = PORT) -> None:
        self.addresses = [(host(number), port) for number in range(count)]
        self._process: Process | None = None

    async def __aenter__(self) -> Self:
        root = Path(__file__).parents[2]
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.peers.snmp_cards", str(len(self.addresses)), str(self.addresses[0][1])),
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(root), str(root / "bridge")])},
            stdin=PIPE,
            stdout=PIPE,
        )
        await self.requests()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            await self._process.wait()

    async def requests(self) -> int:
        """Ask how many requests they have answered."""
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"\n")
        return int(await self._process.stdout.readline())


class _Card:
    """Answers that have been given once are kept: only their request id changes."""

    def __init__(self) -> None:
        self._rows: dict[Oid, Value] = {(1, 3, 6, 1, 2, 1, 1, 2, 0): Value(Tag.OID, (1, 3, 6, 1, 4, 1, 32473, 1))}
        for name, (kind, text) in ROWS.items():
            self._rows[oid(name)] = _value(kind, text)
        self._order = sorted(self._rows)
        self._kept: dict[Message, Message] = {}

    def answer(self, data: bytes) -> bytes:
        """Answer GET, GETNEXT and GETBULK."""
        request = Message.decode(data)
        asked = Message(request.version, b"", request.pdu, 0, request.error, request.index, request.variables)
        kept = self._kept.get(asked)
        if kept is None:
            kept = self._kept[asked] = self._make(asked)
        return Message(
            kept.version, request.community, Pdu.RESPONSE, request.request_id, variables=kept.variables
        ).encode()

    def _make(self, asked: Message) -> Message:
        names = [name for name, _ in asked.variables]
        rows: list[tuple[Oid, Value]] = []
        if asked.pdu is Pdu.GET:
            rows = [(name, self._rows.get(name, Value(Tag.NO_INSTANCE))) for name in names]
        else:
            for _ in range(asked.index if asked.pdu is Pdu.GET_BULK else 1):
                found = [self._following(name) for name in names]
                rows += found
                names = [name for name, _ in found]
        return Message(asked.version, b"", Pdu.RESPONSE, 0, variables=tuple(rows))

    def _following(self, name: Oid) -> tuple[Oid, Value]:
        place = bisect_right(self._order, name)
        if place == len(self._order):
            return name, Value(Tag.END)
        return self._order[place], self._rows[self._order[place]]


def _value(kind: str, text: str) -> Value:
    if kind == "objectid":
        return Value(Tag.OID, oid(text))
    if kind == "string":
        return Value(Tag.OCTETS, text.encode())
    return Value(_KINDS[kind], int(text))


def main() -> None:
    """Serve until the input ends; a line of it asks for the count."""
    count, port = int(sys.argv[1]), int(sys.argv[2])
    card, answered = _Card(), 0
    selector = selectors.DefaultSelector()
    selector.register(sys.stdin.buffer, selectors.EVENT_READ)
    for number in range(count):
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        opened.bind((host(number), port))
        selector.register(opened, selectors.EVENT_READ, opened)
    while True:
        for key, _ in selector.select():
            if key.data is not None:
                data, origin = key.data.recvfrom(65535)
                key.data.sendto(card.answer(data), origin)
                answered += 1
            elif os.read(sys.stdin.fileno(), 100):
                sys.stdout.write(f"{answered}\n")
                sys.stdout.flush()
            else:
                return


if __name__ == "__main__":
    main()
