"""The part of the basic encoding rules that SNMP uses (X.690, RFC 3417 §8), both ways. Pure.

What comes from outside is read strictly: definite lengths, nothing cut off, nothing left over.
"""

from enum import IntEnum

type Oid = tuple[int, ...]

LONGEST_OID = 128
"""Numbers of a name (RFC 3416 §4.1)."""
_HIGHEST = 0xFFFFFFFF
"""The greatest number in a name."""


class Tag(IntEnum):
    """The types that a value can have, and what stands in the place of one."""

    INTEGER = 0x02
    OCTETS = 0x04
    NULL = 0x05
    OID = 0x06
    SEQUENCE = 0x30
    ADDRESS = 0x40
    COUNTER = 0x41
    GAUGE = 0x42
    TICKS = 0x43
    OPAQUE = 0x44
    COUNTER64 = 0x46
    NO_OBJECT = 0x80
    NO_INSTANCE = 0x81
    END = 0x82


VALUES = frozenset({*Tag} - {Tag.SEQUENCE, Tag.NO_OBJECT, Tag.NO_INSTANCE, Tag.END})
"""What may stand in a request as a value."""
UNSIGNED = frozenset({Tag.COUNTER, Tag.GAUGE, Tag.TICKS})


class BerError(ValueError):
    """These bytes are not what they should be."""


def element(tag: int, content: bytes) -> bytes:
    """Encode one element."""
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    if length < 0x100:
        return bytes((tag, 0x81, length)) + content
    if length < 0x10000:
        return bytes((tag, 0x82, length >> 8, length & 0xFF)) + content
    return bytes((tag, 0x83)) + length.to_bytes(3) + content


def overhead(length: int) -> int:
    """How many bytes stand before a content of this length."""
    return 2 if length < 0x80 else 3 if length < 0x100 else 4 if length < 0x10000 else 5


def integer(number: int, tag: int = Tag.INTEGER) -> bytes:
    """Encode a number; also of the types without a sign, which have the same form."""
    size = (number if number >= 0 else ~number).bit_length() // 8 + 1
    return bytes((tag, size)) + number.to_bytes(size, signed=True)


def octets(content: bytes) -> bytes:
    """Encode a string of bytes."""
    return element(Tag.OCTETS, content)


def name(oid: Oid) -> bytes:
    """Encode a name; one of a single number, such as the root of a walk, gets a second one."""
    first, second, *rest = oid if len(oid) > 1 else (*oid, 0, 0)[:2]
    out = bytearray()
    for part in (first * 40 + second, *rest):
        if part < 0x80:
            out.append(part)
            continue
        groups = [part & 0x7F]
        while part := part >> 7:
            groups.append(0x80 | (part & 0x7F))
        out += bytes(reversed(groups))
    return element(Tag.OID, bytes(out))


def read_integer(content: bytes, size: int = 4) -> int:
    """Read the content of a signed number of so many bytes. Raises BerError."""
    if not 0 < len(content) <= size:
        raise BerError("a number of an impossible length")
    return int.from_bytes(content, signed=True)


def read_unsigned(content: bytes, size: int = 4) -> int:
    """Read the content of a number without a sign; the first of its bytes may be a zero. Raises BerError."""
    if not 0 < len(content) <= size + 1:
        raise BerError("a number of an impossible length")
    number = int.from_bytes(content, signed=len(content) > size)
    if not 0 <= number < 1 << (8 * size):
        raise BerError("a number out of its range")
    return number


def read_name(content: bytes) -> Oid:
    """Read the content of a name. Raises BerError."""
    if not content or content[-1] >= 0x80:
        raise BerError("a name that is cut off")
    parts: list[int] = []
    part = 0
    for byte in content:
        if byte < 0x80:
            parts.append(part << 7 | byte if part else byte)
            part = 0
            continue
        part = part << 7 | byte & 0x7F
        if part > _HIGHEST >> 7:
            raise BerError("a number in a name that is too great")
    if len(parts) >= LONGEST_OID or max(parts) > _HIGHEST:
        raise BerError("a name that is too long")
    first = parts[0]
    head = (0, first) if first < 40 else (1, first - 40) if first < 80 else (2, first - 80)
    return (*head, *parts[1:])


class Reader:
    """Takes elements off the front of some bytes."""

    __slots__ = ("data", "end", "place")

    def __init__(self, data: bytes, place: int = 0, end: int | None = None) -> None:
        """Read `data` from `place` to `end`."""
        self.data = data
        self.place = place
        self.end = len(data) if end is None else end

    def __bool__(self) -> bool:
        """Whether there is anything left."""
        return self.place < self.end

    def next(self) -> tuple[int, int, int]:
        """Give the tag of the next element, and where its content begins and ends. Raises BerError."""
        data, start = self.data, self.place + 2
        if start > self.end:
            raise BerError("cut off")
        tag, length = data[start - 2], data[start - 1]
        if length >= 0x80:
            size = length & 0x7F
            if not 0 < size <= 4:
                raise BerError("a length that SNMP does not use")
            length = int.from_bytes(data[start : start + size])
            start += size
        if start + length > self.end:
            raise BerError("cut off")
        self.place = start + length
        return tag, start, start + length

    def take(self, tag: int) -> bytes:
        """Give the content of the next element, which must have this tag. Raises BerError."""
        found, start, end = self.next()
        if found != tag:
            raise BerError(f"{found:#04x} where {tag:#04x} is due")
        return self.data[start:end]

    def enter(self, tag: int = Tag.SEQUENCE) -> Reader:
        """Go into the next element, which must have this tag. Raises BerError."""
        found, start, end = self.next()
        if found != tag:
            raise BerError(f"{found:#04x} where {tag:#04x} is due")
        return Reader(self.data, start, end)

    def integer(self) -> int:
        """Take a number of 32 bits. Raises BerError."""
        return read_integer(self.take(Tag.INTEGER))

    def done(self) -> None:
        """Raise BerError unless everything has been read."""
        if self.place != self.end:
            raise BerError("something is left over")


__all__ = [
    "LONGEST_OID",
    "UNSIGNED",
    "VALUES",
    "BerError",
    "Oid",
    "Reader",
    "Tag",
    "element",
    "integer",
    "name",
    "octets",
    "overhead",
    "read_integer",
    "read_name",
    "read_unsigned",
]
