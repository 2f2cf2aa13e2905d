"""Modbus RTU frames: found by what their own bytes say of their length, and proved by their checksum.

The specification ends a frame by silence of 3.5 characters (MODBUS over Serial Line V1.02 §2.5.1.1). USB adapters hand
bytes over in bunches, some of them 16 ms apart, so silence within a frame is no end, and two frames may come as one
heap. On a line with several slaves there are also the answers of the others, and adapters that hear themselves. Pure.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

LONGEST = 256
"""Bytes of a frame."""
SHORTEST = 4
"""Unit, function and checksum."""
HIGHEST = 247
"""The last unit's number."""

_QUESTIONS: dict[int, Callable[[bytes], int]] = {
    **dict.fromkeys((1, 2, 3, 4, 5, 6, 8), lambda _: 8),
    **dict.fromkeys((7, 11, 12, 17), lambda _: 4),
    **dict.fromkeys((15, 16), lambda frame: 9 + frame[6]),
    **dict.fromkeys((20, 21), lambda frame: 5 + frame[2]),
    22: lambda _: 10,
    23: lambda frame: 13 + frame[10],
    24: lambda _: 6,
    43: lambda _: 7,
}
"""By function, the length of a request; IndexError while it cannot be told yet."""
_ANSWERS: dict[int, Callable[[bytes], int]] = {
    **dict.fromkeys((1, 2, 3, 4, 12, 17, 20, 21, 23), lambda frame: 5 + frame[2]),
    **dict.fromkeys((5, 6, 8, 11, 15, 16), lambda _: 8),
    7: lambda _: 5,
    22: lambda _: 10,
}
"""The same of an answer."""


def _table() -> Iterator[int]:
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
        yield value


_CRC = tuple(_table())


def checksum(content: bytes | bytearray) -> bytes:
    """Return the two bytes at the end of a frame (§2.5.1.2)."""
    table, value = _CRC, 0xFFFF
    for byte in content:
        value = value >> 8 ^ table[(value ^ byte) & 0xFF]
    return value.to_bytes(2, "little")


def framed(unit: int, pdu: bytes) -> bytes:
    """Frame what a unit says."""
    content = bytes((unit,)) + pdu
    return content + checksum(content)


@dataclass(frozen=True, slots=True)
class Found:
    """What the bytes of a line begin with."""

    question: bytes | None
    """A request, checksum included; None if there is none yet."""
    taken: int
    """Bytes that need not be kept."""
    noise: int
    """Bytes among them that are part of no frame."""


def find(heard: bytes, *, silent: bool) -> Found:
    """Look for the first request. `silent`: nothing more will come of what has begun."""
    at = noise = 0
    while len(heard) - at >= SHORTEST:
        if heard[at] > HIGHEST:
            at += 1
            noise += 1
            continue
        rest = heard[at : at + LONGEST]
        question, answer = _length(rest, _QUESTIONS), _length(rest, _ANSWERS, refusals=True)
        if question is not None and _sound(rest, question):
            return Found(rest[:question], at + question, noise)
        if answer is not None and _sound(rest, answer):
            at += answer
            continue
        if silent and noise == 0 and len(heard) - at <= LONGEST and _sound(rest, len(rest)):
            return Found(rest, len(heard), noise)  # a function that nobody knows the length of
        if not silent and (_awaited(rest, question) or _awaited(rest, answer) or (noise == 0 and _unknown(rest))):
            return Found(None, at, noise)
        at += 1
        noise += 1
    if silent:
        return Found(None, len(heard), noise + len(heard) - at)
    return Found(None, at, noise)


def _length(rest: bytes, lengths: dict[int, Callable[[bytes], int]], *, refusals: bool = False) -> int | None:
    """Return the length of the frame that may begin here; 0 when it cannot be told yet, None when none can."""
    function = rest[1]
    if function & 0x80:
        return 5 if refusals and function & 0x7F in lengths else None
    length = lengths.get(function)
    if length is None:
        return None
    try:
        found = length(rest)
    except IndexError:
        return 0
    return found if found <= LONGEST else None


def _sound(rest: bytes, length: int) -> bool:
    return SHORTEST <= length <= len(rest) and checksum(rest[: length - 2]) == rest[length - 2 : length]


def _awaited(rest: bytes, length: int | None) -> bool:
    return length is not None and (length == 0 or length > len(rest))


def _unknown(rest: bytes) -> bool:
    """Whether this may be a frame of a function that nobody knows the length of: silence will tell."""
    return rest[1] not in _QUESTIONS and rest[1] & 0x7F not in _ANSWERS and len(rest) < LONGEST


__all__ = ["LONGEST", "Found", "checksum", "find", "framed"]
