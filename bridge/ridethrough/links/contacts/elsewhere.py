"""Contacts that are points or conditions of other devices of the site."""

import asyncio
from collections.abc import Iterable

from ridethrough.links.base import LinkError
from ridethrough.site import Change, DeviceId, Quality, Site

from .cables import Contact


class Elsewhere:
    """Watches the contacts of other devices until it is left; an asynchronous context."""

    def __init__(self, site: Site, contacts: Iterable[Contact]) -> None:
        """Nothing is watched yet."""
        self._site = site
        self._contacts = tuple(contacts)
        self._places: frozenset[tuple[DeviceId, str]] = frozenset()
        self.changed = asyncio.Event()
        """Set when one of them may have changed."""
        self._leave = site.observe(self._see)

    def close(self) -> None:
        """Watch no longer."""
        self._leave()

    def read(self) -> frozenset[str]:
        """Tell which contacts are closed, by their names. Raises LinkError when one cannot be told."""
        places: set[tuple[DeviceId, str]] = set()
        closed = {contact.name for contact in self._contacts if self._closed(contact, places)}
        self._places = frozenset(places)
        return frozenset(closed)

    def _closed(self, contact: Contact, places: set[tuple[DeviceId, str]]) -> bool:
        name, key = contact.place
        device = self._site.device_by_key(name)
        if device is None:
            raise LinkError(f"There is no device {name}, which {contact.name} is to be read from.")
        places.add((device.id, key))
        condition = self._site.conditions(device.id).get(key)
        if condition is not None:
            self._good(contact, condition.quality)
            return condition.active
        reading = self._site.reading(device.id, key)
        if reading is None:
            raise LinkError(f"{device.name} ({name}) tells neither a point nor a condition {key}.")
        self._good(contact, reading.quality)
        if not isinstance(reading.value, bool) and reading.value not in (0, 1):
            raise LinkError(f"{contact.name} is no contact: it is {reading.value!r}, neither yes nor no.")
        return bool(reading.value)

    def _good(self, contact: Contact, quality: Quality) -> None:
        if quality is not Quality.GOOD:
            raise LinkError(f"{contact.name} is not known at the moment ({quality}).")

    def _see(self, change: Change) -> None:
        """Look no closer at what concerns others."""
        changed = change.points.keys() | change.conditions.keys()
        if change.devices or not self._places or not self._places.isdisjoint(changed):
            self.changed.set()


__all__ = ["Elsewhere"]
