"""Frames of the open module protocol (PROTOCOL.md): questions are put together, what was heard is cut into answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct

ADDRESS = 0xF7
GROUP = 128
"""Most modules that one request may name."""
NUMBERS = 512
"""The highest number of a module."""
SENSORS, BOXES = 16, 4
ECHO = 64
"""Most bytes of a line check."""


class Function(IntEnum):
    """What a frame is about."""

    READ = 65
    VOLTAGE = 66
    IDENTITY = 67
    DUTY = 68
    MEASURE = 69
    BLINK = 70
    ANNOUNCE = 71
    TAKEN = 72
    CHANGE = 100
    RESET = 101
    CHECK = 102
    COUNT = 103
    CURRENT = 104
    BOX = 105
    SWITCH = 106
    SAFE = 107


class Status(IntEnum):
    """Bits of a module's status."""

    MEASURING = 0x0001
    IMPEDANCE_NEW = 0x0002
    FUSE_BLOWN = 0x0004
    NOT_CALIBRATED = 0x0008
    HOT = 0x0010
    STARTED = 0x0020
    BLINKING = 0x0040
    BUTTON = 0x0080
    FAULT = 0x0100


NO_VOLTAGE = 0xFFFF
NO_TEMPERATURE = 0x7FFF
NO_IMPEDANCE = 0xFFFE
"""From here on: too high to measure, or none yet."""

READING = Struct(">2xHHHhHB2x")
"""number, status, voltage, temperature, impedance, duty"""
VOLTAGE = Struct(">2xHH2x")
"""number, voltage"""
IDENTITY = Struct(">2xHBBBBBIB2x")
"""number, type, hardware (two), firmware (two), serial, calibration"""
SERIAL = Struct(">2xHI2x")
"""number, serial; answers to 72, 100 and 103"""
CURRENT = Struct(">2xBBiH2x")
"""number, status, direct, alternating"""
BOX = Struct(">2xBBB2x")
"""number, inputs, outputs"""

COLLISION = 4
"""Bytes without a frame that are more than a disturbance."""

LENGTHS: Mapping[int, int] = {
    Function.READ: READING.size,
    Function.VOLTAGE: VOLTAGE.size,
    Function.IDENTITY: IDENTITY.size,
    Function.BLINK: 7,
    Function.TAKEN: SERIAL.size,
    Function.CHANGE: SERIAL.size,
    Function.COUNT: SERIAL.size,
    Function.CURRENT: CURRENT.size,
    Function.BOX: BOX.size,
    Function.SWITCH: BOX.size,
    Function.SAFE: 9,
}
"""Characters of each answer, but for those to a line check, which tell their length themselves."""
_EXCEPTION = 5
_CHECK = 9
"""Characters of an answer to a line check, besides what it echoes."""
REFUSALS = {2: "no such thing", 3: "value not permitted", 4: "failed", 6: "busy measuring an impedance"}


def _table() -> tuple[int, ...]:
    def entry(value: int) -> int:
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
        return value

    return tuple(map(entry, range(256)))


_CRC = _table()


def crc(data: bytes | bytearray | memoryview) -> int:
    """CRC-16 of Modbus; 0 for a whole frame with its own CRC at its end."""
    value = 0xFFFF
    for byte in data:
        value = value >> 8 ^ _CRC[(value ^ byte) & 0xFF]
    return value


def sealed(function: int, data: bytes) -> bytes:
    """Make a frame."""
    body = bytes((ADDRESS, function)) + data
    return body + crc(body).to_bytes(2, "little")


@dataclass(frozen=True, slots=True)
class Question:
    """A frame of the master, and what may follow it."""

    frame: bytes
    function: int
    first: int = 0
    """The number in the first slot, for group answers."""
    slots: int = 0
    """Answers that may come; 0: nobody answers."""
    length: int = 0
    """Characters of each."""
    last: bytes = b""
    """How the answer in the last slot begins; with it everything has been said."""
    expects_itself: bool = False
    """Whether the answer may be the same as the question."""


def group(function: int, first: int, count: int) -> Question:
    """Ask modules one after the other: READ, VOLTAGE or IDENTITY."""
    data = first.to_bytes(2) + bytes((count,))
    last = bytes((ADDRESS, function)) + (first + count - 1).to_bytes(2)
    return Question(sealed(function, data), function, first, count, LENGTHS[function], last)


def currents(first: int, count: int) -> Question:
    """Ask current sensors one after the other."""
    last = bytes((ADDRESS, Function.CURRENT, first + count - 1))
    frame = sealed(Function.CURRENT, bytes((first, count)))
    return Question(frame, Function.CURRENT, first, count, CURRENT.size, last)


def how_many(number: int) -> Question:
    """Ask which modules have this number, in slots by their serial numbers."""
    frame = sealed(Function.COUNT, number.to_bytes(2))
    return Question(frame, Function.COUNT, number, 8, SERIAL.size)


def duties(first: int, values: Sequence[int]) -> Question:
    """Tell modules what to draw, in percent; nobody answers."""
    return _told(Function.DUTY, first.to_bytes(2) + bytes((len(values),)) + bytes(values))


def measure(first: int, count: int = 1) -> Question:
    """Have impedances measured; nobody answers."""
    return _told(Function.MEASURE, first.to_bytes(2) + bytes((count,)))


def announce(number: int, *, sound: bool = False) -> Question:
    """Offer a number to the module whose button is pressed next; 0 ends that. Nobody answers."""
    return _told(Function.ANNOUNCE, number.to_bytes(2) + bytes((sound,)))


def reset(first: int, last: int) -> Question:
    """Take the numbers away from modules; nobody answers."""
    return _told(Function.RESET, first.to_bytes(2) + last.to_bytes(2))


def who_took_it() -> Question:
    """Ask who has taken the number that was announced."""
    return _single(Function.TAKEN, b"", b"")


def change(old: int, new: int) -> Question:
    """Give the modules with a number another one."""
    return _single(Function.CHANGE, old.to_bytes(2) + new.to_bytes(2), new.to_bytes(2))


def blink(number: int, *, on: bool) -> Question:
    """Have a module blink until its button is pressed, or end that."""
    name = number.to_bytes(2)
    return _single(Function.BLINK, name + bytes((on,)), name, expects_itself=True)


def check(number: int, sequence: int, data: bytes) -> Question:
    """Have a module echo something; number 0 has all modules show the last bit of `sequence` instead."""
    body = number.to_bytes(2) + sequence.to_bytes(2) + bytes((len(data),)) + data
    frame = sealed(Function.CHECK, body)
    if number == 0:
        return Question(frame, Function.CHECK)
    return Question(frame, Function.CHECK, number, 1, len(frame), frame[:6], expects_itself=True)


def read_box(number: int) -> Question:
    """Ask how the contacts of a box stand."""
    return _single(Function.BOX, bytes((number,)), bytes((number,)))


def switch(number: int, mask: int, state: int) -> Question:
    """Set those outputs of a box that are in `mask`."""
    return _single(Function.SWITCH, bytes((number, mask, state)), bytes((number,)))


def safe_state(number: int, mask: int, state: int, seconds: int) -> Question:
    """Tell a box how to set its outputs when it has heard nothing for so long."""
    data = bytes((number, mask, state)) + seconds.to_bytes(2)
    return _single(Function.SAFE, data, bytes((number,)), expects_itself=True)


def _told(function: Function, data: bytes) -> Question:
    return Question(sealed(function, data), function)


def _single(function: Function, data: bytes, name: bytes, *, expects_itself: bool = False) -> Question:
    """Ask one; `name` is how the data of its answer begin."""
    head = bytes((ADDRESS, function)) + name
    return Question(
        sealed(function, data), function, slots=1, length=LENGTHS[function], last=head, expects_itself=expects_itself
    )


@dataclass(slots=True)
class Heard:
    """What was on the line after a question."""

    frames: list[bytes]
    """Whole ones with a good CRC, in their order; the second byte is the function."""
    noise: list[tuple[int, int]]
    """Bytes that are no frame: how many frames came before them, and how many bytes they are."""
    refusal: int | None = None
    """Code of an exception."""

    @property
    def broken(self) -> int:
        """How many times there were bytes that are no frame."""
        return len(self.noise)


def cut(received: bytes) -> Heard:
    """Take frames out of what was heard; a frame is believed by its function, length and CRC alone."""
    heard = Heard([], [])
    position, end, lost = 0, len(received), 0
    while position < end:
        length = _length(received, position)
        if length and position + length <= end and crc(received[position : position + length]) == 0:
            if lost:
                heard.noise.append((len(heard.frames), lost))
                lost = 0
            if received[position + 1] & 0x80:
                heard.refusal = received[position + 2]
            else:
                heard.frames.append(received[position : position + length])
            position += length
            continue
        following = received.find(ADDRESS, position + 1)
        following = end if following < 0 else following
        lost += following - position
        position = following
    if lost:
        heard.noise.append((len(heard.frames), lost))
    return heard


def _length(received: bytes, position: int) -> int:
    """Characters of the frame that seems to begin here; 0 where none can."""
    if received[position] != ADDRESS or position + 2 > len(received):
        return 0
    function = received[position + 1]
    if function & 0x80:
        return _EXCEPTION
    if function == Function.CHECK:
        echoed = received[position + 6] if position + 6 < len(received) else ECHO + 1
        return _CHECK + echoed if echoed <= ECHO else 0
    return LENGTHS.get(function, 0)


__all__ = [
    "BOX",
    "BOXES",
    "COLLISION",
    "CURRENT",
    "ECHO",
    "GROUP",
    "IDENTITY",
    "LENGTHS",
    "NO_IMPEDANCE",
    "NO_TEMPERATURE",
    "NO_VOLTAGE",
    "NUMBERS",
    "READING",
    "REFUSALS",
    "SENSORS",
    "SERIAL",
    "VOLTAGE",
    "Function",
    "Heard",
    "Question",
    "Status",
    "announce",
    "blink",
    "change",
    "check",
    "crc",
    "currents",
    "cut",
    "duties",
    "group",
    "how_many",
    "measure",
    "read_box",
    "reset",
    "safe_state",
    "sealed",
    "switch",
    "who_took_it",
]
