"""What the site knows, as the numbers and texts of a MIB's objects: the way back from `maps.objects`. Pure."""

from collections.abc import Mapping
from datetime import datetime
import math

from ridethrough.catalogue import slug
from ridethrough.maps.objects import ObjectRow
from ridethrough.site import Value

from .ber import Tag, integer, octets

type Held = Mapping[str, bool | None]
"""Conditions that somebody has told of; None for one that is not known now."""

LONGEST_TEXT = 63
"""Bytes of a text: the size of nearly every DisplayString of RFC 1628."""
_LONGEST: Mapping[str, int] = {
    "upsIdentManufacturer": 31,
    "upsTestResultsDetail": 255,
    **dict.fromkeys(("sysDescr", "sysContact", "sysName", "sysLocation"), 255),
}
_TAGS: Mapping[str, Tag] = {
    "upsInputLineBads": Tag.COUNTER,
    "upsInputAuxBads": Tag.COUNTER,
}
"""Numbers that are no INTEGER."""
_OTHERWISE = ("other", "unknown")
"""What enumerations call a state that they have no word for."""
_YES, _NO = ("yes", "on", "enabled", "true"), ("no", "off", "disabled", "false")


def number(amount: int, tag: Tag = Tag.INTEGER) -> bytes:
    """Encode a number, or the nearest one that its type can have."""
    low, high = (-(2**31), 2**31 - 1) if tag is Tag.INTEGER else (0, 2**32 - 1)
    return integer(max(low, min(high, amount)), tag)


def text(words: str, of: str = "") -> bytes:
    """Encode a text of an object, cut between two characters where it is too long for that."""
    longest = _LONGEST.get(of, LONGEST_TEXT)
    return octets(words.encode()[:longest].decode(errors="ignore").encode())


def ticks(seconds: float) -> bytes:
    """Encode a time in hundredths of a second; it begins again after 497 days (RFC 2578 §7.1.8)."""
    return integer(int(max(0.0, seconds) * 100) & 0xFFFFFFFF, Tag.TICKS)


def encoded(row: ObjectRow, value: Value | None, held: Held, up: float, now: datetime) -> bytes | None:
    """Encode what is known of an object, None for nothing.

    `value` is that of its point, `held` are its conditions, `up` says for how many seconds the agent has run.
    """
    if row.values or row.conditions:
        said = enumerated(row, value, held)
        return None if said is None else number(said)
    if value is None:
        return None
    match row.syntax:
        case "text":
            return text(str(value), row.name)
        case "stamp":
            return _stamp(value, up, now)
        case "oid":
            return None
    amount = _amount(row, value)
    return None if amount is None else number(amount, _TAGS.get(row.name, Tag.INTEGER))


def enumerated(row: ObjectRow, value: Value | None, held: Held) -> int | None:
    """Find the number of an enumeration that says what is known; None if none does.

    What a condition says goes before the word of the UPS: an alarm must not be hidden by it.
    """
    told = {key: state for key, state in held.items() if key in row.conditions}
    said = _worded(row, value)
    if not told:
        return said if said is not None else _otherwise(row, value)
    if not row.values:
        return _flag(row, told)
    possible = {one for one in row.values if one not in row.absent or one in _meant(row)}
    for key, state in told.items():
        if state is not None:
            possible = possible & row.conditions[key] if state else possible - row.conditions[key]
    if said is not None and (said in possible or not possible):
        return said
    # A number with a condition of its own is only said when that holds.
    own = {
        one for key, numbers in row.conditions.items() if len(numbers) == 1 for one in numbers if told.get(key) is None
    }
    if any(state is None and len(row.conditions[key]) == 1 for key, state in told.items()):
        # It may be any of those, as far as is known now.
        return said if said in possible else None
    likely = possible - own or possible
    if len(likely) == 1:
        return next(iter(likely))
    return said if said is not None else _otherwise(row, value)


def flags(held: Held, masks: Mapping[str, int]) -> int | None:
    """Put a status word together of the conditions that its bits stand for; None while none of them is known."""
    if not any(held.get(key) is not None for key in masks):
        return None
    word = 0
    for key, mask in masks.items():
        word |= mask & 0xFFFFFFFF if held.get(key) else 0
    # The highest of 32 bits is the sign of an INTEGER.
    return word - (word >> 31 << 32)


def _meant(row: ObjectRow) -> frozenset[int]:
    """Numbers that the agent may say although readers take them for unknown: those a condition is about."""
    return frozenset(one for numbers in row.conditions.values() for one in numbers)


def _flag(row: ObjectRow, told: Held) -> int | None:
    """Say yes or no where the map has only conditions: 1 for one that holds, 0 for none."""
    for key, state in told.items():
        if state:
            return min(row.conditions[key])
    return None if None in told.values() else 0


def _worded(row: ObjectRow, value: Value | None) -> int | None:
    """Find the number of a word, or of yes and no."""
    if value is None:
        return None
    if isinstance(value, bool):
        words = _YES if value else _NO
        return next((one for one, word in row.values.items() if word in words), None)
    word = slug(str(value))
    found = next((one for one, known in row.values.items() if slug(known) == word), None)
    if found is None and len(row.values) == 1:
        # One of several objects of which each stands for a word: this one does not.
        return 0
    return found


def _otherwise(row: ObjectRow, value: Value | None) -> int | None:
    """Find the number for a state that the enumeration has no word for."""
    if value is None:
        return None
    return next((one for one, word in row.values.items() if word in _OTHERWISE), None)


def _amount(row: ObjectRow, value: Value) -> int | None:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if row.syntax == "fahrenheit":
        value = value * 1.8 + 32
    amount = value / row.scale
    if not math.isfinite(amount):
        return None
    # Minutes that are left or needed: never more than there are.
    return math.floor(amount + 1e-9) if row.scale > 1 else math.floor(amount + 0.5)


def _stamp(value: Value, up: float, now: datetime) -> bytes | None:
    """Say when something was, as the agent's clock was then; 0 for what was before it started (RFC 2579)."""
    try:
        ago = (now - datetime.fromisoformat(str(value))).total_seconds()
    except ValueError, TypeError:
        return None
    return ticks(up - ago) if 0 <= ago < up else ticks(0.0)


__all__ = ["LONGEST_TEXT", "Held", "encoded", "enumerated", "flags", "number", "text", "ticks"]
