"""What the words of a register mean: from words to the raw number or text, and from that to a point's value."""

from collections.abc import Sequence
import math
import struct

from ridethrough.catalogue import Point
from ridethrough.maps.registers import Register, RegisterType, WordOrder
from ridethrough.site import Value

type Raw = int | float | str

_DIGITS = 7
"""Decimals kept of a scaled number; more are the noise of binary fractions."""
_BELIEVABLE = {"voltage": (-1500.0, 2000.0), "ratio": (-200.0, 1000.0), "frequency": (0.0, 500.0)}
"""By quantity, what a UPS can have; a number beyond it comes from a register that means something else."""
_MAINS = ((30.0, 80.0), (320.0, 480.0))
"""Hz that a mains, a generator or an inverter can have for longer than a moment."""


def is_mains(frequency: float) -> bool:
    """Whether this can be the frequency of any supply: railways, ships and aircraft included."""
    return any(low <= frequency <= high for low, high in _MAINS)


def raw_of(register: Register, words: Sequence[int]) -> Raw | None:
    """Read the words of a register; None when it says that there is no value.

    A text is cut at its first NUL and trimmed, and what cannot be printed is left out of it.
    """
    match register.type:
        case RegisterType.TEXT:
            text = struct.pack(f">{len(words)}H", *words).partition(b"\x00")[0].decode("utf-8", "ignore")
            return "".join(character for character in text if character.isprintable()).strip() or None
        case RegisterType.F32:
            (number,) = struct.unpack(">f", _long(register, words).to_bytes(4))
            return number if math.isfinite(number) else None
        case RegisterType.U16 | RegisterType.U32:
            raw = _long(register, words)
        case RegisterType.S16 | RegisterType.S32:
            raw = _long(register, words)
            bits = 16 * register.count
            raw -= (raw >> (bits - 1)) << bits
    return None if raw in register.absent else raw


def value_of(register: Register, raw: Raw, point: Point) -> Value:
    """Turn a raw value into one of its point. Raises ValueError when the point cannot have it."""
    if isinstance(raw, str):
        return point.coerce(raw)
    if register.values:
        option = register.values.get(int(raw))
        if option is None:
            raise ValueError(f"{raw} is none of the known values of {register.name}")
        return point.coerce(option)
    if point.quantity.type == "bool":
        return register.match.holds(int(raw))
    value = point.coerce(scaled(register, raw))
    low, high = _BELIEVABLE.get(point.quantity.name, (-math.inf, math.inf))
    if not isinstance(value, str) and not low <= value <= high:
        raise ValueError(f"{value:g} {point.unit} is not between {low:g} and {high:g}")
    return value


def scaled(register: Register, raw: float) -> float:
    """Bring a raw number into the catalogue's unit."""
    if register.scale == 1 and register.offset == 0:
        return raw
    number = round(raw * register.scale + register.offset, _DIGITS)
    return int(number) if register.type is not RegisterType.F32 and number.is_integer() else number


def _long(register: Register, words: Sequence[int]) -> int:
    if len(words) == 1:
        return words[0]
    high, low = words if register.order is WordOrder.HIGH else reversed(words)
    return high << 16 | low


__all__ = ["Raw", "raw_of", "scaled", "value_of"]
