"""What comes back when the master asks: frames in slots, and what is left of them when two want the same slot."""

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from random import Random
import struct

from .frames import (
    ANNOUNCE,
    BLINK,
    CHANGE,
    CHECK,
    COUNT,
    MEASURE,
    OUTPUTS,
    READ,
    READ_IDENTITY,
    READ_VOLTAGE,
    RESET,
    SAFE_STATE,
    SENSORS,
    SET_DUTY,
    WHO,
    Request,
    frame,
)
from .installation import Box, Installation
from .module import Module

HIGHEST_NUMBER = 512
GROUP = 128
_LONGEST_CHECK = 64
_COUNT_SLOTS = 8
_NOT_PERMITTED, _BUSY = 3, 6
_SENSORS = 16
_LENGTHS = {READ: 15, READ_VOLTAGE: 8, READ_IDENTITY: 16, COUNT: 10, SENSORS: 12}
"""Characters of an answer that has a slot."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A frame, and the slot in which it begins."""

    slot: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Answers:
    """All answers to one request, in the order of their slots."""

    length: int
    """Characters of a frame; a slot is longer by the silence."""
    frames: tuple[Answer, ...] = ()


NOBODY = Answers(0)


class Bench:
    """The devices on one cable, and what they do with a request that those in reach have heard."""

    def __init__(self, installation: Installation) -> None:
        """Serve the devices of `installation`."""
        self._installation = installation
        self._chance = Random(installation.seed)
        self._rows: dict[int, Callable[[Request, list[Module], float], Answers]] = {
            READ: self._group(lambda module, now: module.report(now)),
            READ_VOLTAGE: self._group(lambda module, _: struct.pack(">HH", module.number, module.voltage())),
            READ_IDENTITY: self._group(lambda module, _: module.introduce()),
            SET_DUTY: self._set_duty,
            MEASURE: self._measure,
            BLINK: self._blink,
            ANNOUNCE: self._announce,
            WHO: self._who,
            CHANGE: self._change,
            RESET: self._reset,
            CHECK: self._check,
            COUNT: self._count,
        }

    def answer(self, request: Request, reach: Container[int], now: float) -> Answers:
        """Let the devices in reach answer; `reach` has the blocks of the modules, and 0 for sensors and boxes."""
        self._installation.hear(reach, now)
        if request.function in self._rows:
            heard = [module for module in self._installation.modules if not module.lost and module.block in reach]
            return self._rows[request.function](request, heard, now)
        if 0 not in reach:
            return NOBODY
        return self._sensors(request) if request.function == SENSORS else self._box(request)

    def _group(self, tell: Callable[[Module, float], bytes]) -> Callable[[Request, list[Module], float], Answers]:
        def read(request: Request, heard: list[Module], now: float) -> Answers:
            span = _span(request.data)
            given = [
                (module.number - span.start, frame(request.function, tell(module, now)))
                for module in heard
                if module.number in span
            ]
            return self._slots(request.function, given)

        return read

    def _slots(self, function: int, given: Iterable[tuple[int, bytes]]) -> Answers:
        slots: dict[int, bytes] = {}
        for slot, data in given:
            slots[slot] = self._collide(slots[slot], data) if slot in slots else data
        return Answers(_LENGTHS[function], tuple(Answer(slot, slots[slot]) for slot in sorted(slots)))

    def _single(self, given: list[bytes]) -> Answers:
        """Let one answer at once, or several over one another."""
        if not given:
            return NOBODY
        data = given[0]
        for other in given[1:]:
            data = self._collide(data, other)
        return Answers(len(data), (Answer(0, data),))

    def _collide(self, one: bytes, other: bytes) -> bytes:
        """Send two frames at once: the line carries neither."""
        mixed = bytearray(mine & yours for mine, yours in zip(one, other, strict=False))
        for _ in range(3):
            mixed[self._chance.randrange(len(mixed))] ^= self._chance.randint(1, 255)
        return bytes(mixed)

    def _set_duty(self, request: Request, heard: list[Module], now: float) -> Answers:
        first, count = struct.unpack_from(">HB", request.data)
        duties = request.data[3:]
        if first >= 1 and count <= GROUP and max(duties, default=0) <= 100:
            for module in heard:
                if first <= module.number < first + count:
                    module.order_duty(duties[module.number - first], now)
        return NOBODY

    def _measure(self, request: Request, heard: list[Module], now: float) -> Answers:
        span = _span(request.data)
        for module in heard:
            if module.number in span:
                module.measure(now)
        return NOBODY

    def _blink(self, request: Request, heard: list[Module], _: float) -> Answers:
        number, mode = struct.unpack(">HB", request.data)
        asked = _numbered(heard, number)
        if mode > 1:
            return self._single([_refusal(BLINK, _NOT_PERMITTED) for _ in asked])
        for module in asked:
            module.blinking = mode == 1
        return self._single([frame(BLINK, request.data) for _ in asked])

    def _announce(self, request: Request, heard: list[Module], _: float) -> Answers:
        number, _sound = struct.unpack(">HB", request.data)
        for module in heard:
            module.taken = False
            if module.number == 0 and number <= HIGHEST_NUMBER:
                module.offered = number or None
        return NOBODY

    def _who(self, _: Request, heard: list[Module], __: float) -> Answers:
        took = [module for module in heard if module.taken]
        if len(took) == 1:  # the others hear that the number is taken
            for module in heard:
                module.offered = None
        return self._single([frame(WHO, module.sign()) for module in took])

    def _change(self, request: Request, heard: list[Module], now: float) -> Answers:
        old, new = struct.unpack(">HH", request.data)
        given = []
        for module in _numbered(heard, old):
            module.look(now)
            if not 1 <= new <= HIGHEST_NUMBER:
                given.append(_refusal(CHANGE, _NOT_PERMITTED))
            elif module.measuring:
                given.append(_refusal(CHANGE, _BUSY))
            else:
                module.number = new
                given.append(frame(CHANGE, module.sign()))
        return self._single(given)

    def _reset(self, request: Request, heard: list[Module], _: float) -> Answers:
        first, last = struct.unpack(">HH", request.data)
        for module in heard:
            if max(first, 1) <= module.number <= last:
                module.number, module.taken, module.offered = 0, False, None
        return NOBODY

    def _check(self, request: Request, heard: list[Module], _: float) -> Answers:
        number, sequence, length = struct.unpack_from(">HHB", request.data)
        if length > _LONGEST_CHECK:
            return NOBODY
        if number == 0:
            for module in heard:
                module.light = bool(sequence & 1)
            return NOBODY
        return self._single([frame(CHECK, request.data) for _ in _numbered(heard, number)])

    def _count(self, request: Request, heard: list[Module], _: float) -> Answers:
        (number,) = struct.unpack(">H", request.data)
        asked = _numbered(heard, number)
        return self._slots(
            COUNT, ((module.identity.serial % _COUNT_SLOTS, frame(COUNT, module.sign())) for module in asked)
        )

    def _sensors(self, request: Request) -> Answers:
        first, count = request.data
        room = self._installation
        given = []
        for number in range(max(first, 1), min(first + count, room.sensors + 1, _SENSORS + 1)):
            if number in room.lost_sensors:
                continue
            broken = number in room.broken_sensors
            reading = room.plant.string(number)
            direct = 0 if broken else round(reading.current * 1000.0)
            ripple = 0 if broken else min(round(reading.ripple * 100.0), 0xFFFF)
            data = struct.pack(">BBiH", number, int(broken), direct, ripple)
            given.append((number - first, frame(SENSORS, data)))
        return self._slots(SENSORS, given)

    def _box(self, request: Request) -> Answers:
        function, data = request.function, request.data
        box = next((box for box in self._installation.boxes if box.number == data[0] and not box.lost), None)
        if box is None:
            return NOBODY
        if any(bits > 0x0F for bits in data[1:3]):
            return self._single([_refusal(function, _NOT_PERMITTED)])
        if function == SAFE_STATE:
            box.safe_mask, box.safe_state = data[1], data[2]
            box.patience = float(int.from_bytes(data[3:5]))
            return self._single([frame(function, data)])
        if function == OUTPUTS:
            box.switch(data[1], data[2])
        return self._single([frame(function, _contacts(box))])


def _contacts(box: Box) -> bytes:
    return bytes((box.number, box.inputs, box.outputs))


def _span(data: bytes) -> range:
    first, count = struct.unpack(">HB", data)
    permitted = count <= GROUP and (first >= 1 or count == 1)
    return range(first, min(first + count, HIGHEST_NUMBER + 1)) if permitted else range(0)


def _numbered(heard: list[Module], number: int) -> list[Module]:
    return [module for module in heard if module.number == number] if number <= HIGHEST_NUMBER else []


def _refusal(function: int, code: int) -> bytes:
    return frame(function + 128, bytes((code,)))
