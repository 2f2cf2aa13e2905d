"""SNMP v1 and v2c messages as bytes and back: the simulator's own codec (RFC 1157, RFC 3416, X.690)."""

from dataclasses import dataclass
from enum import IntEnum

type Oid = tuple[int, ...]


class Tag(IntEnum):
    """The types a value can have, and what stands in the place of one."""

    INTEGER = 0x02
    OCTETS = 0x04
    NULL = 0x05
    OID = 0x06
    ADDRESS = 0x40
    COUNTER = 0x41
    GAUGE = 0x42
    TICKS = 0x43
    NO_OBJECT = 0x80
    NO_INSTANCE = 0x81
    END = 0x82


class Pdu(IntEnum):
    """What a message asks or says."""

    GET = 0xA0
    GET_NEXT = 0xA1
    RESPONSE = 0xA2
    SET = 0xA3
    GET_BULK = 0xA5
    TRAP = 0xA7


class Version(IntEnum):
    """Versions whose messages are alike."""

    V1 = 0
    V2C = 1


@dataclass(frozen=True, slots=True)
class Value:
    """A typed value: a number, bytes, a name, or nothing."""

    tag: Tag
    content: int | bytes | Oid | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A message with one PDU. For GET_BULK the two numbers are non-repeaters and max-repetitions."""

    version: Version
    community: bytes
    pdu: Pdu
    request_id: int
    error: int = 0
    index: int = 0
    variables: tuple[tuple[Oid, Value], ...] = ()

    def encode(self) -> bytes:
        """Make the bytes."""
        rows = b"".join(
            _element(0x30, _element(Tag.OID, _oid_bytes(name)) + _value_bytes(value)) for name, value in self.variables
        )
        numbers = b"".join(_integer(number) for number in (self.request_id, self.error, self.index))
        pdu = _element(self.pdu, numbers + _element(0x30, rows))
        return _element(0x30, _integer(self.version) + _element(Tag.OCTETS, self.community) + pdu)

    @classmethod
    def decode(cls, data: bytes) -> Message:
        """Read bytes. Raises ValueError for what is no such message."""
        outer = _Reader(data).enter(0x30)
        version, community = Version(outer.integer()), outer.take(Tag.OCTETS)
        tag, content = outer.next()
        body = _Reader(content)
        numbers = body.integer(), body.integer(), body.integer()
        rows, variables = body.enter(0x30), []
        while rows:
            row = rows.enter(0x30)
            name = _oid(row.take(Tag.OID))
            kind, content = row.next()
            variables.append((name, _value(Tag(kind), content)))
        return cls(version, community, Pdu(tag), *numbers, tuple(variables))


class _Reader:
    """Takes elements off the front of some bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __bool__(self) -> bool:
        return bool(self._data)

    def next(self) -> tuple[int, bytes]:
        """Tag and content of the next element."""
        data = self._data
        if len(data) < 2:
            raise ValueError("cut off")
        length, start = data[1], 2
        if length >= 0x80:
            start += length & 0x7F
            length = int.from_bytes(data[2:start])
        if start + length > len(data):
            raise ValueError("cut off")
        self._data = data[start + length :]
        return data[0], data[start : start + length]

    def take(self, tag: int) -> bytes:
        """Content of the next element, which must have this tag."""
        found, content = self.next()
        if found != tag:
            raise ValueError(f"{found:#04x} where {tag:#04x} is due")
        return content

    def enter(self, tag: int) -> _Reader:
        """Go into the next element."""
        return _Reader(self.take(tag))

    def integer(self) -> int:
        """Take an INTEGER."""
        return int.from_bytes(self.take(Tag.INTEGER), signed=True)


def _element(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    size = (length.bit_length() + 7) // 8
    return bytes((tag, 0x80 | size)) + length.to_bytes(size) + content


def _integer(number: int, tag: int = Tag.INTEGER) -> bytes:
    return _element(tag, number.to_bytes(number.bit_length() // 8 + 1, signed=True))


def _oid_bytes(name: Oid) -> bytes:
    # The first two parts share a number; a name of fewer is only ever the root of a walk.
    first, second, *rest = (*name, 0, 0)[: max(2, len(name))]
    out = bytearray()
    for part in (first * 40 + second, *rest):
        groups = [part & 0x7F]
        while part := part >> 7:
            groups.append(0x80 | (part & 0x7F))
        out += bytes(reversed(groups))
    return bytes(out)


def _oid(content: bytes) -> Oid:
    parts, part = [], 0
    for byte in content:
        part = part << 7 | byte & 0x7F
        if byte < 0x80:
            parts.append(part)
            part = 0
    if not parts:
        return ()
    first = min(2, parts[0] // 40)
    return (first, parts[0] - 40 * first, *parts[1:])


def _value_bytes(value: Value) -> bytes:
    match value.content:
        case int():
            return _integer(value.content, value.tag)
        case bytes():
            return _element(value.tag, value.content)
        case tuple():
            return _element(value.tag, _oid_bytes(value.content))
    return _element(value.tag, b"")


def _value(tag: Tag, content: bytes) -> Value:
    match tag:
        case Tag.INTEGER | Tag.COUNTER | Tag.GAUGE | Tag.TICKS:
            return Value(tag, int.from_bytes(content, signed=True))
        case Tag.OID:
            return Value(tag, _oid(content))
        case Tag.OCTETS | Tag.ADDRESS:
            return Value(tag, content)
    return Value(tag)
