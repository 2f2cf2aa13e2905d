"""What a mail can carry (manual M:2524): the end of the event log and the values of all devices, as CSV.

Values are those at the moment, each with its quality and its time: one that is not good is recognisable as such.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Protocol

from ridethrough.catalogue import Catalogue
from ridethrough.config.actions import Attachment
from ridethrough.site import Device, Quality, Reading, Site

from .event import Event
from .sheets import EVENT_COLUMNS, cell, event_row, lines

MOST_EVENTS = 1000
MOST_VALUES = 20_000
"""512 battery modules have some 5,000."""
LARGEST = 1_000_000
"""Bytes; mail servers take ten times as much, people do not."""
VALUE_COLUMNS = ("device", "device_name", "point", "name", "value", "unit", "quality", "measured_at")
_SLICE = 500
"""Readings that are looked at before others may go on."""


class EventHistory(Protocol):
    """The part of `events.Journal` that is read here. Both methods raise JournalError."""

    async def after(self, seq: int, limit: int = 1000) -> list[Event]:
        """Return events with a higher number than `seq`, oldest first, at most `limit`."""

    async def last(self) -> int:
        """Return the highest number so far, 0 if there is none."""


class Attachments:
    """Makes the files; with a byte order mark, by which spreadsheets know that they are UTF-8."""

    def __init__(self, site: Site, history: EventHistory) -> None:
        """Events come from `history`, values from `site`."""
        self._site = site
        self._history = history

    async def make(self, kind: Attachment) -> tuple[str, bytes]:
        """Return a file's name and content. Raises JournalError when the event log cannot be read."""
        if kind == "events":
            return "events.csv", await self._events()
        return "values.csv", await self._values()

    async def _events(self) -> bytes:
        last = await self._history.last()
        events = await self._history.after(max(0, last - MOST_EVENTS), MOST_EVENTS)
        names = {device.id: device.key for device in self._site.devices.values()}

        def write() -> bytes:
            return _sheet(EVENT_COLUMNS, [event_row(event, names) for event in events], newest_last=True)

        return await asyncio.to_thread(write)

    async def _values(self) -> bytes:
        found: list[tuple[Device, str, Reading]] = []
        for device in list(self._site.devices.values()):
            before = len(found)
            found += [
                (device, key, reading)
                for key, reading in self._site.readings(device.id).items()
                if reading.quality is not Quality.UNSUPPORTED and reading.value is not None
            ]
            if before // _SLICE != len(found) // _SLICE:
                await asyncio.sleep(0)
        catalogue = self._site.catalogue

        def write() -> bytes:
            return _sheet(
                VALUE_COLUMNS, [_value_row(*one, catalogue) for one in found[:MOST_VALUES]], newest_last=False
            )

        return await asyncio.to_thread(write)


def _value_row(device: Device, key: str, reading: Reading, catalogue: Catalogue) -> tuple[object, ...]:
    point = catalogue.point(device.kind, key)
    value = cell(reading.value) if isinstance(reading.value, str) else reading.value
    return (
        cell(device.key),
        cell(device.name),
        cell(key),
        "" if point is None else point.name,
        value,
        "" if point is None else point.unit,
        reading.quality,
        reading.measured_at.isoformat(timespec="seconds"),
    )


def _sheet(columns: Sequence[str], rows: Sequence[Sequence[object]], *, newest_last: bool) -> bytes:
    """Write as many rows as may be, leaving out the oldest where there is an order."""
    written = [lines([row]).encode("utf-8", "replace") for row in rows]
    kept = _within(LARGEST, reversed(written) if newest_last else written)
    if newest_last:
        kept.reverse()
    return b"\xef\xbb\xbf" + lines([columns]).encode() + b"".join(kept)


def _within(size: int, rows: Iterable[bytes]) -> list[bytes]:
    kept: list[bytes] = []
    for row in rows:
        size -= len(row)
        if size < 0:
            break
        kept.append(row)
    return kept


__all__ = ["LARGEST", "MOST_EVENTS", "MOST_VALUES", "VALUE_COLUMNS", "Attachments", "EventHistory"]
