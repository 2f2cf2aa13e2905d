"""What a datagram on the trap port is: an SNMP trap, an inform with its answer, or nothing of the kind. Pure.

    30 len | 02 version 0 | 04 community | a4 len | enterprise, agent, generic, specific, time, variables    v1 trap
    30 len | 02 version 1 | 04 community | a7 len | request id, 0, 0, variables                              v2c trap
    30 len | 02 version 1 | 04 community | a6 len | request id, 0, 0, variables                              v2c inform
    30 len | 02 version 3 | 30 id, size, flags, model | 04 security | 30 or 04 …                             v3, perhaps encrypted

Only the frame is read (RFC 1157 §4, RFC 3416 §3, RFC 3412 §6): the variables decide nothing here.
"""

from dataclasses import dataclass
from enum import StrEnum

_INTEGER, _OCTETS, _OBJECT, _SEQUENCE, _ADDRESS, _TICKS = 0x02, 0x04, 0x06, 0x30, 0x40, 0x43
_RESPONSE = 0xA2
_V3 = b"\x03"
_V3_HEADER = (_INTEGER, _INTEGER, _OCTETS, _INTEGER)


class TrapKind(StrEnum):
    """What has been heard."""

    V1 = "v1"
    V2C = "v2c"
    INFORM = "inform"
    V3 = "v3"
    """Any v3 message: what it is, only its keys would tell."""


_PDUS = {
    (b"\x00", 0xA4): (TrapKind.V1, (_OBJECT, _ADDRESS, _INTEGER, _INTEGER, _TICKS, _SEQUENCE)),
    (b"\x01", 0xA7): (TrapKind.V2C, (_INTEGER, _INTEGER, _INTEGER, _SEQUENCE)),
    (b"\x01", 0xA6): (TrapKind.INFORM, (_INTEGER, _INTEGER, _INTEGER, _SEQUENCE)),
}
"""By version and tag, what a message without encryption is, and the tags of what is in it."""


@dataclass(frozen=True, slots=True)
class TrapMessage:
    """A message that was meant for a trap port."""

    kind: TrapKind
    response: bytes = b""
    """What an inform is answered with, so that its sender is content; empty for the others."""

    @classmethod
    def parse(cls, data: bytes) -> TrapMessage:
        """Read a datagram; bytes after the message are let pass. Raises ValueError when it is no trap."""
        body, end = _enter(data, 0, len(data), _SEQUENCE)
        version, at = _value(data, body, end, _INTEGER)
        if version == _V3:
            header, after = _enter(data, at, end, _SEQUENCE)
            _check(data, header, after, _V3_HEADER)
            _, at = _value(data, after, end, _OCTETS)
            if at >= end or data[at] not in (_SEQUENCE, _OCTETS):
                raise ValueError("a v3 message without content")
            _element(data, at, end)
            return cls(TrapKind.V3)
        _, at = _value(data, at, end, _OCTETS)
        tag, start, after = _element(data, at, end)
        if (version, tag) not in _PDUS:
            raise ValueError(f"no trap but a message {tag:#04x} of version {version.hex()}")
        kind, fields = _PDUS[version, tag]
        _check(data, start, after, fields)
        if kind is not TrapKind.INFORM:
            return cls(kind)
        # A response repeats the request with another tag; both of an inform's error fields are 0 (RFC 3416 §4.2.7).
        return cls(kind, data[:at] + bytes([_RESPONSE]) + data[at + 1 : end])


def _element(data: bytes, at: int, limit: int) -> tuple[int, int, int]:
    """Tag, begin and end of the content at `at`. Raises ValueError unless it ends by `limit`."""
    if at + 2 > limit:
        raise ValueError("cut off")
    tag, length, start = data[at], data[at + 1], at + 2
    if length >= 0x80:
        count = length & 0x7F
        if not 1 <= count <= 4 or start + count > limit:
            raise ValueError("a length that cannot be")
        length = int.from_bytes(data[start : start + count])
        start += count
    if start + length > limit:
        raise ValueError("cut off")
    return tag, start, start + length


def _enter(data: bytes, at: int, limit: int, wanted: int) -> tuple[int, int]:
    """Begin and end of the content of an element with this tag."""
    tag, start, end = _element(data, at, limit)
    if tag != wanted:
        raise ValueError(f"{tag:#04x} where {wanted:#04x} is due")
    return start, end


def _value(data: bytes, at: int, limit: int, wanted: int) -> tuple[bytes, int]:
    """Content of an element with this tag, and where the next one begins."""
    start, end = _enter(data, at, limit, wanted)
    return data[start:end], end


def _check(data: bytes, at: int, limit: int, tags: tuple[int, ...]) -> None:
    """Raise ValueError unless exactly these elements are there."""
    for tag in tags:
        _, at = _enter(data, at, limit, tag)
    if at != limit:
        raise ValueError("more than there should be")
