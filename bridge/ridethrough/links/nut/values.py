"""Turns one answer to LIST VAR after another into values of points; works only on what has changed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ridethrough.catalogue import Catalogue
from ridethrough.links.base import RawValue
from ridethrough.site import Value

from .names import Place, place_variable
from .units import unit_of

NAME_LIMIT = 4096
"""Different names that one upsd may send in the life of a connection; more are ignored."""

type Owner = str | None
"""The number of an outlet, None for the UPS itself."""


@dataclass(frozen=True, slots=True)
class Known:
    """A variable as it was last read."""

    text: str
    place: Place
    unit: str
    catalogued: bool
    value: Value | None
    """None when the catalogue does not know it or the text is no value of its kind."""


@dataclass(slots=True)
class Reading:
    """What one answer comes to."""

    points: dict[Owner, dict[str, Value]] = field(default_factory=dict)
    """By owner; one that has nothing the catalogue knows has none."""
    dropped: dict[Owner, list[str]] = field(default_factory=dict)
    """Points that were in the answer before and are no longer."""
    malformed: int = 0
    """Texts that have newly turned out to be no value of their point."""


class Values:
    """Remembers the last answer."""

    def __init__(self, catalogue: Catalogue) -> None:
        """Nothing has been read yet."""
        self._catalogue = catalogue
        self._known: dict[str, Known] = {}
        self._posted: dict[Owner, set[str]] = {}
        self._names: set[str] = set()

    def read(self, variables: Mapping[str, str]) -> Reading:
        """Take the next answer. A text that is no value of its point is left out, never guessed at."""
        reading = Reading()
        known: dict[str, Known] = {}
        for name, text in variables.items():
            before = self._known.get(name)
            if before is None or before.text != text:
                if name not in self._names and len(self._names) >= NAME_LIMIT:
                    reading.malformed += 1
                    continue
                self._names.add(name)
                before = self._convert(name, text)
                reading.malformed += before.catalogued and before.value is None and bool(text.strip())
            known[name] = before
            points = reading.points.setdefault(before.place.outlet, {})
            if before.value is not None:
                # `outlet.desc` goes before `outlet.0.desc`, which means the same.
                if name == before.place.key or before.place.key not in points or before.place.outlet is not None:
                    points[before.place.key] = before.value
        posted = {owner: set(points) for owner, points in reading.points.items()}
        for owner, keys in self._posted.items():
            if gone := keys - posted.get(owner, set()):
                reading.dropped[owner] = sorted(gone)
        self._known, self._posted = known, posted
        return reading

    def raw(self) -> tuple[RawValue, ...]:
        """Give the last answer in NUT's own names and words."""
        return tuple(
            RawValue(
                name,
                known.text,
                known.unit,
                known.place.key if known.catalogued else None,
                None if known.place.outlet is None else ("outlet", known.place.outlet),
            )
            for name, known in self._known.items()
        )

    def _convert(self, name: str, text: str) -> Known:
        place = place_variable(name)
        point = self._catalogue.point(place.kind, place.key)
        if point is None:
            return Known(text, place, unit_of(name), catalogued=False, value=None)
        value: Value | None
        try:
            # A device that sends nothing for a name or a serial number has said nothing.
            value = point.coerce(text.strip()) if text.strip() else None
        except ValueError, OverflowError:
            value = None
        return Known(text, place, point.unit, catalogued=True, value=value)


__all__ = ["Reading", "Values"]
