"""What the numbers and texts of an agent mean, its quirks considered. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
import math
import re

from ridethrough.catalogue import Catalogue, load_catalogue
from ridethrough.maps.objects import ObjectRow, QuirkRow
from ridethrough.site import Value

type Raw = int | float | bytes | str | None
"""A value as it comes off the wire."""

TEXT_LIMIT = 255
"""Characters of a text that are kept."""
_NUMBER = re.compile(r"\s*([+-]?\d+(?:\.\d+)?)\s*([^\d\s]{0,8})\s*", re.ASCII)
_NOTHING = frozenset({"", "-", "--", "n/a", "na", "none", "null", "unknown", "unavailable", "not available", "invalid"})


@dataclass(frozen=True, slots=True)
class Reading:
    """What one object comes to."""

    value: Value | None
    """In the unit of the point; None: not known."""
    number: float | None = None
    """As it was sent."""
    conditions: Mapping[str, bool] | None = None
    malformed: bool = False
    """It was no value of its object at all."""


NOTHING = Reading(None)


class Converter:
    """Makes readings of what one agent says."""

    def __init__(self, agent: str, descr: str, quirks: tuple[QuirkRow, ...]) -> None:
        """`agent` is its sysObjectID, `descr` its sysDescr."""
        self._quirks = tuple(quirk for quirk in quirks if quirk.fits(agent, descr))
        self._of: dict[str, tuple[QuirkRow, ...]] = {}
        self._catalogue: Catalogue = load_catalogue()

    def setting(self, action: str) -> str | None:
        """Return what a quirk of the whole agent says, None if there is none."""
        return next((quirk.value for quirk in self._quirks if quirk.action == action), None)

    def idle(self, row: ObjectRow) -> bool:
        """Tell whether a zero of this object is not to be believed while there is a load."""
        return any(quirk.action == "idle" for quirk in self._about(row))

    def read(self, row: ObjectRow, raw: Raw, uptime: float | None = None, now: datetime | None = None) -> Reading:
        """Read an object. `uptime` (hundredths of a second) and `now` are needed for what is a `stamp`."""
        if raw is None:
            return NOTHING
        match row.syntax:
            case "text":
                return Reading(clean(raw))
            case "oid":
                return Reading(raw if isinstance(raw, str) else None)
        number = number_of(raw)
        if number is None:
            return Reading(None, malformed=clean(raw) is not None)
        if row.syntax == "stamp":
            return Reading(_instant(number, uptime, now), number)
        return self._number(row, number, pointed=isinstance(raw, bytes | str) and b"." in _bytes(raw))

    def _number(self, row: ObjectRow, number: float, *, pointed: bool) -> Reading:
        if number in row.absent:
            return Reading(None, number)
        scale = row.scale
        for quirk in self._about(row):
            if quirk.low <= number <= quirk.high:
                if quirk.action == "absent":
                    return Reading(None, number)
                if quirk.action == "scale":
                    scale = float(quirk.value)
                    break
        conditions = {key: number in values for key, values in row.conditions.items()} or None
        if row.values:
            word = row.values.get(int(number)) if number.is_integer() else None
            return Reading(None if word is None else self._coerced(row, word), number, conditions)
        # A text with a point in it is not in tenths: `230.4`.
        value = number if pointed and scale < 1 else number * scale
        if row.syntax == "fahrenheit":
            value = (value - 32) / 1.8
        return Reading(self._coerced(row, _rounded(value)), number, conditions)

    def _coerced(self, row: ObjectRow, value: Value) -> Value | None:
        """Make it a value of its point; None if it cannot be one, such as a charge of 300 %."""
        if row.key is None:
            return value
        point = self._catalogue.point("ups" if row.child is None else row.child.kind, row.key)
        assert point is not None, row.key
        try:
            return point.coerce(value)
        except ValueError:
            return None

    def _about(self, row: ObjectRow) -> tuple[QuirkRow, ...]:
        found = self._of.get(row.name)
        if found is None:
            found = tuple(quirk for quirk in self._quirks if quirk.objects.fullmatch(row.name))
            self._of[row.name] = found
        return found


def clean(raw: Raw) -> str | None:
    """Make a text of what came, None for none: up to the first control character, without blanks around it."""
    if raw is None:
        return None
    text = _bytes(raw).decode("utf-8", "replace")
    text = re.split(r"[\x00-\x1f\x7f]", text, maxsplit=1)[0].strip()[:TEXT_LIMIT].strip()
    empty = text.lower() in _NOTHING or not any(character.isalnum() and character != "0" for character in text)
    return None if empty or "\N{REPLACEMENT CHARACTER}" in text else text


def number_of(raw: Raw) -> float | None:
    """Make a number of what came; agents also send `230`, `23.5` and `230 V` as texts. None if it is none."""
    if isinstance(raw, int | float):
        return float(raw) if math.isfinite(raw) else None
    match = _NUMBER.fullmatch(_bytes(raw).decode("ascii", "replace").rstrip("\x00")) if raw is not None else None
    return None if match is None else float(match[1])


def shown(raw: Raw) -> str:
    """Write a value as the agent does."""
    if isinstance(raw, bytes):
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            return raw.hex(" ")
        return text.rstrip("\x00")
    return "" if raw is None else str(raw)


def _bytes(raw: Raw) -> bytes:
    return raw if isinstance(raw, bytes) else str(raw).encode()


def _rounded(value: float) -> float | int:
    """Take off what the multiplication by 0.1 leaves behind."""
    rounded = round(value, 6)
    return int(rounded) if rounded.is_integer() else rounded


def _instant(stamp: float, uptime: float | None, now: datetime | None) -> str | None:
    if uptime is None or now is None or not 0 < stamp <= uptime:
        return None
    return (now - timedelta(seconds=(uptime - stamp) / 100)).replace(microsecond=0).isoformat()


__all__ = ["NOTHING", "Converter", "Raw", "Reading", "clean", "number_of", "shown"]
