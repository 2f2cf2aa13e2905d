"""What a register holds: from what the site knows of a device to the words of its map. Pure.

A register always holds something, so these rules say what it holds when the site does not know (DESIGN §4.2):

- A number that is unknown, stale or lost, that the map gives no point, or that the register cannot hold takes the map's
  own value for it (`absent`). Where the map has none, it is one of the two that the manual has (-1 and -9999, M:11443)
  in the form that can be taken for no measurement: 65535 without a sign, -9999 with one. A number that is too large
  is not clamped: a clamped one would be a lie. One that happens to be the map's word for "no value" moves by one step.
- A text that is unknown is empty; a float is NaN.
- An alarm, a bit of a status word, a coil or a discrete input has no third state: the maps print `1 = active; 0 = not
  active`. It is set when the site knows that it is so, and is 0 otherwise. That the device is lost is what
  `communications_lost` says (register 134 and bit 0x4000 of the default map); it is set unless the site knows that
  there is communication.
- A phase that a device does not have, while its only one is known, has 0 V and 0 A: by that, masters tell one from
  three.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
import math
import struct

from ridethrough.catalogue import Catalogue
from ridethrough.feeds.directory import Need, Part, Subject
from ridethrough.maps.phases import PHASE, siblings
from ridethrough.maps.registers import Match, Register, RegisterType, WordOrder
from ridethrough.site import Value

type Raw = int | float | str

LOST = "communications_lost"
_SIGNED = -9999
"""What stands for no value in a register with a sign: a number that nothing measures (M:11443)."""


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """A register of a map, with what it needs of the site; equal only to itself."""

    register: Register
    point: Need | None
    conditions: tuple[tuple[Need, int], ...]
    """Of a status word: each with its bits."""
    condition: Need | None
    options: Mapping[Value, int]
    """Of an enum: the raw number of each value."""
    flag: bool
    """Whether it says yes or no and nothing else."""
    phase: tuple[Need, tuple[Need, ...]] | None
    """Of a value of the second or third phase: the same of the first, and what only devices with several have."""
    needs: tuple[Need, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Gather what it depends on."""
        found = [need for need in (self.point, self.condition) if need is not None]
        found += [need for need, _ in self.conditions]
        if self.phase is not None:
            found += [self.phase[0], *self.phase[1]]
        object.__setattr__(self, "needs", tuple(dict.fromkeys(found)))


def field_of(register: Register, kind: str, catalogue: Catalogue) -> Field:
    """Make the field of a register of a map for this kind of device."""
    part = None if register.device is None else Part(register.device.kind, register.device.number)
    definition = None
    if register.point is not None:
        definition = catalogue.point(kind if part is None else part.kind, register.point)
    options = {} if definition is None else {definition.coerce(word): raw for raw, word in register.values.items()}
    yes_or_no = definition is not None and definition.quantity.type == "bool"
    return Field(
        register,
        None if register.point is None else Need(part, register.point),
        tuple((Need(part, bit.condition, condition=True), bit.mask) for bit in register.bits),
        None if register.condition is None else Need(part, register.condition, condition=True),
        options,
        yes_or_no or (register.condition is not None and register.point is None),
        _phase(register, part),
    )


def _phase(register: Register, part: Part | None) -> tuple[Need, tuple[Need, ...]] | None:
    found = None if register.point is None else PHASE.search(register.point)
    if register.point is None or found is None or found[1] == "1":
        return None
    first = register.point.replace(f"L{found[1]}", "L1", 1)
    return Need(part, first), tuple(Need(part, key) for key in siblings(first))


def words(one: Field, subject: Subject) -> bytes:
    """Return what a register holds now, as it goes over the wire."""
    return packed(one.register, raw(one, subject))


def bit(one: Field, subject: Subject) -> bool:
    """Return what a coil or a discrete input is now."""
    if one.register.is_bit:
        return raw(one, subject) == 1
    return _said(one, subject) or False


def raw(one: Field, subject: Subject) -> Raw | None:
    """Return the raw number or text of a register; None when there is no value."""
    register = one.register
    if one.conditions and not one.options:
        return _status_word(one, subject)
    if one.flag:
        if register.absent and _is_missing(one, subject):
            return None
        said = _said(one, subject)
        return None if said is None else _matching(register.match, holds=said)
    if one.point is not None:
        value = _value(one, subject)
        found = None if value is None else raw_of(one, value)
        if found is None and any(subject.holds(need) is not None for need, _ in one.conditions):
            return _status_word(one, subject)
        return found
    return None


def raw_of(one: Field, value: Value) -> Raw | None:
    """Turn a value of a field's point into a raw number or text; None when the register cannot hold it."""
    register = one.register
    if register.type is RegisterType.TEXT:
        return str(value)
    if one.options:
        return one.options.get(value)
    if isinstance(value, bool):
        return _matching(register.match, holds=value)
    if isinstance(value, str):
        return None
    number = (value - register.offset) / register.scale
    if register.type is RegisterType.F32:
        return number
    whole = math.floor(number + 0.5)
    low, high = _span(register)
    if not low <= whole <= high:
        return None
    step = -1 if whole > 0 else 1
    while whole in register.absent:
        whole += step
    return whole


def packed(register: Register, number: Raw | None) -> bytes:
    """Turn a raw number or text into the bytes of its registers; None into what stands for no value."""
    match register.type:
        case RegisterType.TEXT:
            return _text(number if isinstance(number, str) else "", 2 * register.count)
        case RegisterType.F32:
            try:
                coded = struct.pack(">f", math.nan if number is None else number)
            except OverflowError:
                coded = struct.pack(">f", math.nan)
        case _:
            size = 2 * register.count
            whole = absent(register) if number is None or isinstance(number, str) else int(number)
            coded = (whole & ((1 << 8 * size) - 1)).to_bytes(size)
    return coded[2:] + coded[:2] if register.order is WordOrder.LOW and register.count == 2 else coded


def absent(register: Register) -> int:
    """Return the raw number by which a register says that there is no value."""
    low, high = _span(register)
    own = [number for number in register.absent if low <= number <= high]
    if own:
        return min(own)
    return _SIGNED if register.type.signed else high


def _span(register: Register) -> tuple[int, int]:
    bits = 16 * register.count
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if register.type.signed else (0, (1 << bits) - 1)


def _text(text: str, size: int) -> bytes:
    """Cut a text to a length in bytes, not within a character."""
    return text.encode()[:size].decode("utf-8", "ignore").encode().ljust(size, b"\x00")


def _value(one: Field, subject: Subject) -> Value | None:
    assert one.point is not None
    value = subject.value(one.point)
    if value is not None or one.phase is None or subject.reading(one.point) is not None:
        return value
    first, others = one.phase
    known = [subject.value(need) for need in others]
    several = any(found is not None for found in known[:-1]) or (isinstance(known[-1], int) and known[-1] > 1)
    return None if several or subject.value(first) is None else 0


def _said(one: Field, subject: Subject) -> bool | None:
    """Whether it is so, by the point or else by the condition; None where a point is not known."""
    if one.point is not None:
        value = subject.value(one.point)
        if isinstance(value, bool):
            return value
    if one.condition is None:
        return None
    return _holds(one.condition, subject) if one.point is None else subject.holds(one.condition)


def _is_missing(one: Field, subject: Subject) -> bool:
    """Whether the part that a register is about does not exist, which such a register has a word for."""
    part = next((need.part for need in one.needs), None)
    return part is not None and subject.part(part) is None


def _holds(need: Need, subject: Subject) -> bool:
    known = subject.holds(need)
    if known is None:
        return need.key == LOST and need.part is None
    return known


def _status_word(one: Field, subject: Subject) -> int:
    """Set the bits of the conditions that hold; of several bits the lowest, unless another condition has set one."""
    word = 0
    for need, mask in sorted(one.conditions, key=lambda pair: pair[1].bit_count()):
        if not word & mask and _holds(need, subject):
            word |= mask & -mask
    return word


def _matching(match: Match, *, holds: bool) -> int:
    """Return the number that a register has when its condition holds, or does not."""
    return next(number for number in _candidates(match) if match.holds(number) is holds)


def _candidates(match: Match) -> Iterator[int]:
    if match.mask is not None:
        yield match.mask
    if match.equal is not None:
        yield match.equal
    yield from (0, 1)


__all__ = ["LOST", "Field", "Raw", "absent", "bit", "field_of", "packed", "raw", "raw_of", "words"]
