"""Notifications as bytes: BER, the PDUs of all three versions, and the messages of v1 and v2c. Pure.

    30 len | 02 version 0 | 04 community | a4 enterprise, agent, generic, specific, time, variables    v1 trap
    30 len | 02 version 1 | 04 community | a7 request id, 0, 0, variables                              v2c trap
    30 len | 02 version 1 | 04 community | a6 request id, 0, 0, variables                              inform
    30 len | 02 version 1 | 04 community | a2 request id, status, index, variables                     its answer

The variables of v2c and v3 begin with sysUpTime and snmpTrapOID (RFC 3416 §4.2.6); v1 has fields for them (RFC 3584 §3).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache


class Tag(IntEnum):
    """What an element is (X.690 §8, RFC 2578 §7)."""

    INTEGER = 0x02
    OCTETS = 0x04
    OID = 0x06
    SEQUENCE = 0x30
    ADDRESS = 0x40
    TICKS = 0x43


class Pdu(IntEnum):
    """What a message is for (RFC 1157 §4.1, RFC 3416 §3)."""

    GET = 0xA0
    RESPONSE = 0xA2
    V1_TRAP = 0xA4
    INFORM = 0xA6
    TRAP = 0xA7
    REPORT = 0xA8


UP_TIME = "1.3.6.1.2.1.1.3.0"
TRAP_OID = "1.3.6.1.6.3.1.1.4.1.0"
STANDARD = "1.3.6.1.6.3.1.1.5"
"""snmpTraps: what coldStart, warmStart and the four others lie below."""
_ENTERPRISE_SPECIFIC = 6
_TICKS = 2**32


@dataclass(frozen=True, slots=True)
class Variable:
    """An object with its instance and its value: a number, a text, or an OID."""

    oid: str
    tag: Tag
    value: int | str | bytes


@dataclass(frozen=True, slots=True)
class Notification:
    """Something that managers are told."""

    name: str
    """As its MIB calls it."""
    oid: str
    uptime: int
    """Hundredths of a second for which the agent had run when it happened."""
    variables: tuple[Variable, ...] = ()
    persistent: bool = False
    """Sent again and again as long as something is so: of those that wait, only the last one still matters."""


class MessageError(ValueError):
    """Bytes are not the message that is due."""


# Out


def element(tag: int, content: bytes) -> bytes:
    """Make an element with a definite length."""
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    size = (length.bit_length() + 7) // 8
    return bytes((tag, 0x80 | size)) + length.to_bytes(size) + content


def sequence(*elements: bytes) -> bytes:
    """Put elements into a sequence."""
    return element(Tag.SEQUENCE, b"".join(elements))


def integer(number: int, tag: int = Tag.INTEGER) -> bytes:
    """Make an element with a number."""
    return element(tag, number.to_bytes(number.bit_length() // 8 + 1, signed=True))


def octets(content: bytes) -> bytes:
    """Make an element with bytes."""
    return element(Tag.OCTETS, content)


@lru_cache(maxsize=1024)
def object_id(oid: str) -> bytes:
    """Make an element with an OID."""
    first, second, *rest = (int(part) for part in oid.split("."))
    out = bytearray()
    for part in (first * 40 + second, *rest):
        groups = [part & 0x7F]
        while part := part >> 7:
            groups.append(0x80 | part & 0x7F)
        out += bytes(reversed(groups))
    return element(Tag.OID, bytes(out))


def object_content(oid: str) -> bytes:
    """Give an OID as it stands in the element."""
    return Reader(object_id(oid)).take(Tag.OID)


def v1_message(community: str, notification: Notification, agent: bytes) -> bytes:
    """Make a trap of version 1; `agent` is the IPv4 address of ours, four zeros where it has none."""
    above, _, last = notification.oid.rpartition(".")
    if above == STANDARD:
        generic, specific = int(last) - 1, 0
    else:
        # An enterprise's traps may lie below a zero, which v1 leaves out (RFC 3584 §3.2).
        above = above.removesuffix(".0")
        generic, specific = _ENTERPRISE_SPECIFIC, int(last)
    pdu = element(
        Pdu.V1_TRAP,
        object_id(above)
        + element(Tag.ADDRESS, agent)
        + integer(generic)
        + integer(specific)
        + integer(notification.uptime % _TICKS, Tag.TICKS)
        + _variables(notification.variables),
    )
    return sequence(integer(0), octets(community.encode()), pdu)


def v2c_message(community: str, pdu: bytes) -> bytes:
    """Make a message of version 2c."""
    return sequence(integer(1), octets(community.encode()), pdu)


def notification_pdu(kind: Pdu, request_id: int, notification: Notification) -> bytes:
    """Make the PDU of a trap or an inform of v2c and v3."""
    head = (
        Variable(UP_TIME, Tag.TICKS, notification.uptime % _TICKS),
        Variable(TRAP_OID, Tag.OID, notification.oid),
    )
    return element(kind, integer(request_id) + integer(0) + integer(0) + _variables((*head, *notification.variables)))


def empty_pdu(kind: Pdu, request_id: int) -> bytes:
    """Make a PDU without variables, such as one that only asks who is there."""
    return element(kind, integer(request_id) + integer(0) + integer(0) + sequence())


def _variables(variables: Iterable[Variable]) -> bytes:
    return sequence(*(sequence(object_id(one.oid), _value(one)) for one in variables))


def _value(variable: Variable) -> bytes:
    match variable.value:
        case int():
            return integer(variable.value, variable.tag)
        case bytes():
            return element(variable.tag, variable.value)
        case str() if variable.tag is Tag.OID:
            return object_id(variable.value)
    return element(variable.tag, variable.value.encode())


# In


class Reader:
    """Takes elements off the front of some bytes. Everything raises MessageError when it is not what is due."""

    def __init__(self, data: bytes, at: int = 0, end: int | None = None) -> None:
        """Read `data` from one place to another."""
        self._data = data
        self.at = at
        self._end = len(data) if end is None else end

    def __bool__(self) -> bool:
        """Whether there is more."""
        return self.at < self._end

    def next(self) -> tuple[int, int, int]:
        """Tag, begin and end of the content of the next element."""
        data, at = self._data, self.at
        if at + 2 > self._end:
            raise MessageError("cut off")
        length, start = data[at + 1], at + 2
        if length >= 0x80:
            size = length & 0x7F
            if not 1 <= size <= 4 or start + size > self._end:
                raise MessageError("a length that cannot be")
            length = int.from_bytes(data[start : start + size])
            start += size
        if start + length > self._end:
            raise MessageError("cut off")
        self.at = start + length
        return data[at], start, start + length

    def span(self, tag: int) -> tuple[int, int]:
        """Where the content of the next element lies, which must have this tag."""
        found, start, end = self.next()
        if found != tag:
            raise MessageError(f"{found:#04x} where {tag:#04x} is due")
        return start, end

    def any(self) -> tuple[int, Reader]:
        """Tag of the next element, and its content to go into."""
        tag, start, end = self.next()
        return tag, Reader(self._data, start, end)

    def take(self, tag: int) -> bytes:
        """Content of the next element."""
        start, end = self.span(tag)
        return self._data[start:end]

    def enter(self, tag: int) -> Reader:
        """Go into the next element."""
        return Reader(self._data, *self.span(tag))

    def integer(self) -> int:
        """Take the number of the next element."""
        content = self.take(Tag.INTEGER)
        if not 1 <= len(content) <= 5:
            raise MessageError("a number that cannot be")
        return int.from_bytes(content, signed=True)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver has answered an inform with."""

    kind: Pdu
    """RESPONSE or REPORT."""
    request_id: int
    first: bytes
    """The name of the first variable as it stands in the message, which is what a report is about."""


def read_pdu(reader: Reader) -> Answer:
    """Read the PDU of an answer. Raises MessageError."""
    tag, body = reader.any()
    if tag not in (Pdu.RESPONSE, Pdu.REPORT):
        raise MessageError(f"no answer but {tag:#04x}")
    request_id, _, _ = body.integer(), body.integer(), body.integer()
    variables = body.enter(Tag.SEQUENCE)
    return Answer(Pdu(tag), request_id, variables.enter(Tag.SEQUENCE).take(Tag.OID) if variables else b"")


def read_v2c_answer(data: bytes) -> Answer:
    """Read what may be the answer to an inform of version 2c. Raises MessageError."""
    message = Reader(data).enter(Tag.SEQUENCE)
    if message.integer() != 1:
        raise MessageError("another version")
    message.take(Tag.OCTETS)
    return read_pdu(message)


__all__ = [
    "STANDARD",
    "Answer",
    "MessageError",
    "Notification",
    "Pdu",
    "Reader",
    "Tag",
    "Variable",
    "element",
    "empty_pdu",
    "integer",
    "notification_pdu",
    "object_content",
    "octets",
    "read_pdu",
    "read_v2c_answer",
    "sequence",
    "v1_message",
    "v2c_message",
]
