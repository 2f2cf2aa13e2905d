"""An SNMP agent that serves recorded objects over UDP; v1 and v2c, written from RFC 1157 and RFC 3416.

It shares nothing with the bridge or with the libraries that the bridge reads SNMP with, and it can be told to be as
bad as real cards are.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

INTEGER, OCTETS, NULL, OID, SEQUENCE = 0x02, 0x04, 0x05, 0x06, 0x30
IP_ADDRESS, COUNTER32, GAUGE32, TIMETICKS, COUNTER64 = 0x40, 0x41, 0x42, 0x43, 0x46
NO_SUCH_OBJECT, NO_SUCH_INSTANCE, END_OF_VIEW = 0x80, 0x81, 0x82
GET, GETNEXT, RESPONSE, SET, GETBULK = 0xA0, 0xA1, 0xA2, 0xA3, 0xA5

TOO_BIG, NO_SUCH_NAME, BAD_VALUE, READ_ONLY, GEN_ERR, NO_ACCESS = 1, 2, 3, 4, 5, 6
WRONG_TYPE, WRONG_VALUE, INCONSISTENT_VALUE, AUTHORIZATION_ERROR, NOT_WRITABLE = 7, 10, 12, 16, 17

type Oid = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Datum:
    """A value as it lies on the wire."""

    tag: int
    content: bytes

    @classmethod
    def integer(cls, value: int, tag: int = INTEGER) -> Self:
        return cls(tag, _integer(value))

    @classmethod
    def text(cls, value: str) -> Self:
        return cls(OCTETS, value.encode())

    @property
    def number(self) -> int:
        return int.from_bytes(self.content, signed=True)


@dataclass(slots=True)
class Manners:
    """How the agent behaves; every field is a fault that some card has."""

    community: str | None = None
    """None: anything will do. With a wrong one an agent is silent."""
    silent: bool = False
    versions: frozenset[int] = frozenset({0, 1})
    most: int = 1000
    """Variables in one request; more are answered with `overflow`."""
    overflow: int = TOO_BIG
    bulk: bool = True
    """False: a GETBULK is never answered."""
    crashes_on_bulk: bool = False
    """A GETBULK is the last thing it hears."""
    fragile: frozenset[Oid] = frozenset()
    """Asked for one of these it answers genErr for the whole request."""
    writes: Mapping[Oid, int] = field(default_factory=dict)
    """What a SET of an object is answered with, when it is no success."""
    ignores: frozenset[Oid] = frozenset()
    """A SET of these succeeds and changes nothing."""
    delay: float = 0.0
    garbage: bool = False
    loops: bool = False
    """GETNEXT gives the same object for ever."""


class SnmpAgent:
    """Serves objects on a free UDP port of the loopback interface."""

    def __init__(self, objects: Mapping[str, Datum], manners: Manners | None = None) -> None:
        self.manners = manners or Manners()
        self.objects = {parse_oid(oid): datum for oid, datum in objects.items()}
        self.requests: list[tuple[int, list[Oid]]] = []
        self.written: list[tuple[Oid, Datum]] = []
        self.effects: dict[Oid, dict[Oid, Datum]] = {}
        """What else changes when an object is written."""
        self.host = "127.0.0.1"
        self.port = 0
        self._transport: asyncio.DatagramTransport | None = None

    @classmethod
    def of_recording(cls, recording: Path, manners: Manners | None = None) -> Self:
        return cls(read_recording(recording), manners)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: _Endpoint(self), local_addr=(self.host, self.port)
        )
        self.port = self._transport.get_extra_info("sockname")[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket: from now on the machine refuses what is sent here."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def put(self, oid: str, datum: Datum) -> None:
        self.objects[parse_oid(oid)] = datum

    def answer(self, packet: bytes) -> bytes | None:
        manners = self.manners
        if manners.silent:
            return None
        try:
            version, community, tag, request, first, second, names = _decode(packet)
        except ValueError, IndexError:
            return None
        if version not in manners.versions or (manners.community is not None and community != manners.community):
            return None
        self.requests.append((tag, [oid for oid, _ in names]))
        if manners.garbage:
            return b"\x30\x05no"
        if tag == GETBULK:
            if manners.crashes_on_bulk:
                manners.silent = True
            if version == 0 or not manners.bulk or manners.crashes_on_bulk:
                return None
            return _encode(version, community, request, 0, 0, self._bulk(names, first, second))
        error, index, variables = self._perform(version, tag, names)
        return _encode(version, community, request, error, index, variables)

    def _perform(
        self, version: int, tag: int, names: list[tuple[Oid, Datum]]
    ) -> tuple[int, int, list[tuple[Oid, Datum]]]:
        if len(names) > self.manners.most:
            return self.manners.overflow, 0, names
        answered: list[tuple[Oid, Datum]] = []
        for index, (oid, datum) in enumerate(names, 1):
            if oid in self.manners.fragile:
                return GEN_ERR, index, names
            if tag == SET:
                if error := self.manners.writes.get(oid, 0 if oid in self.objects else NOT_WRITABLE):
                    return error, index, names
                answered.append((oid, datum))
                continue
            found = self._following(oid) if tag == GETNEXT else (oid, self.objects.get(oid))
            value = found[1]
            if value is None or value.tag == NULL:
                if version == 0:
                    return NO_SUCH_NAME, index, names
                value = Datum(END_OF_VIEW if tag == GETNEXT else NO_SUCH_INSTANCE, b"")
            answered.append((found[0], value))
        if tag == SET:
            for oid, datum in answered:
                self.written.append((oid, datum))
                if oid not in self.manners.ignores:
                    self.objects[oid] = datum
                    self.objects |= self.effects.get(oid, {})
        return 0, 0, answered

    def _bulk(self, names: list[tuple[Oid, Datum]], single: int, repetitions: int) -> list[tuple[Oid, Datum]]:
        answered: list[tuple[Oid, Datum]] = []
        for position, (oid, _) in enumerate(names):
            at = oid
            for _ in range(1 if position < single else min(repetitions, 60)):
                at, value = self._following(at)
                answered.append((at, value or Datum(END_OF_VIEW, b"")))
                if value is None:
                    break
        return answered

    def _following(self, oid: Oid) -> tuple[Oid, Datum | None]:
        order = sorted(key for key, datum in self.objects.items() if datum.tag != NULL)
        if self.manners.loops:
            order = [key for key in order if key[: len(oid) - 1] == oid[:-1]][:1] or order[:1]
            return order[0], self.objects[order[0]]
        position = bisect_right(order, oid)
        return (order[position], self.objects[order[position]]) if position < len(order) else (oid, None)


class _Endpoint(asyncio.DatagramProtocol):
    def __init__(self, agent: SnmpAgent) -> None:
        self._agent = agent
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.DatagramTransport)
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self._agent.answer(data)
        if answer is not None and self._transport is not None:
            delay = self._agent.manners.delay
            asyncio.get_running_loop().call_later(delay, self._send, answer, addr)

    def _send(self, answer: bytes, addr: tuple[str, int]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(answer, addr)


def read_recording(path: Path) -> dict[str, Datum]:
    """Read `oid|type|value` lines; `x` behind the type says that the value is in hexadecimal digits."""
    objects: dict[str, Datum] = {}
    for line in path.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        oid, kind, value = line.split("|", 2)
        tag = int(kind.rstrip("x"))
        if kind.endswith("x"):
            content = bytes.fromhex(value)
        elif tag == OCTETS:
            content = value.encode("utf-8", "surrogateescape")
        elif tag == OID:
            content = _oid(parse_oid(value))
        elif tag == IP_ADDRESS:
            content = bytes(int(part) for part in value.split("."))
        elif tag == NULL:
            content = b""
        else:
            content = _integer(int(value))
        objects[oid] = Datum(tag, content)
    return objects


def without_zero(objects: Mapping[str, Datum], under: str) -> dict[str, Datum]:
    """Serve scalars under an OID as a CS121 does: without the `.0` at their end."""
    return {oid[:-2] if oid.startswith(under) and oid.endswith(".0") else oid: datum for oid, datum in objects.items()}


def as_texts(objects: Mapping[str, Datum], under: str) -> dict[str, Datum]:
    """Serve numbers under an OID as texts."""
    return {
        oid: Datum.text(str(datum.number)) if oid.startswith(under) and datum.tag == INTEGER else datum
        for oid, datum in objects.items()
    }


def parse_oid(text: str) -> Oid:
    return tuple(int(part) for part in text.strip(".").split("."))


# BER


def _length(length: int) -> bytes:
    if length < 0x80:
        return bytes([length])
    content = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes([0x80 | len(content)]) + content


def _tlv(tag: int, content: bytes) -> bytes:
    return bytes([tag]) + _length(len(content)) + content


def _integer(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, signed=True)


def _oid(oid: Oid) -> bytes:
    content = bytearray()
    for arc in (oid[0] * 40 + oid[1], *oid[2:]) if len(oid) > 1 else (oid[0] * 40,):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(0x80 | (arc & 0x7F))
        content += bytes(reversed(groups))
    return bytes(content)


def _read(data: bytes, at: int) -> tuple[int, bytes, int]:
    tag, length, at = data[at], data[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        length, at = int.from_bytes(data[at : at + count]), at + count
    if at + length > len(data):
        raise ValueError("short")
    return tag, data[at : at + length], at + length


def _parts(data: bytes) -> Iterable[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        tag, content, at = _read(data, at)
        yield tag, content


def _read_oid(content: bytes) -> Oid:
    arcs: list[int] = []
    arc = 0
    for byte in content:
        arc = arc << 7 | byte & 0x7F
        if not byte & 0x80:
            arcs.append(arc)
            arc = 0
    return (*divmod(min(arcs[0], 119), 40), *arcs[1:])


def _decode(packet: bytes) -> tuple[int, str, int, int, int, int, list[tuple[Oid, Datum]]]:
    _, message, _ = _read(packet, 0)
    (_, version), (_, community), (tag, pdu) = _parts(message)
    (_, request), (_, first), (_, second), (_, bindings) = _parts(pdu)
    names = []
    for _, binding in _parts(bindings):
        (_, oid), (kind, content) = _parts(binding)
        names.append((_read_oid(oid), Datum(kind, content)))
    numbers = [int.from_bytes(part, signed=True) for part in (version, request, first, second)]
    return numbers[0], community.decode(errors="replace"), tag, numbers[1], numbers[2], numbers[3], names


def _encode(
    version: int, community: str, request: int, error: int, index: int, variables: list[tuple[Oid, Datum]]
) -> bytes:
    bindings = b"".join(
        _tlv(SEQUENCE, _tlv(OID, _oid(oid)) + _tlv(datum.tag, datum.content)) for oid, datum in variables
    )
    head = b"".join(_tlv(INTEGER, _integer(number)) for number in (request, error, index))
    pdu = _tlv(RESPONSE, head + _tlv(SEQUENCE, bindings))
    body = _tlv(INTEGER, _integer(version)) + _tlv(OCTETS, community.encode()) + pdu
    return _tlv(SEQUENCE, body)


__all__ = ["Datum", "Manners", "SnmpAgent", "as_texts", "parse_oid", "read_recording", "replace", "without_zero"]
