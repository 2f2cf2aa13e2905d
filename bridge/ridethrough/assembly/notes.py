"""The notes about battery blocks, kept in the store and shown with each block as the point `module.note`."""

import asyncio
from collections.abc import Iterator
import logging

from ridethrough.battery.children import suffix
from ridethrough.battery.layout import block
from ridethrough.battery.records import RecordsError, Sheet
from ridethrough.site import Change, DeviceId, Lane, Site, Source
from ridethrough.store import Inventory

_LOGGER = logging.getLogger(__name__)
POINT = "module.note"


class Notes:
    """The inventory of all battery systems; what changes in it is shown at once."""

    def __init__(self, inventory: Inventory, site: Site) -> None:
        """Show nothing before `run`."""
        self._inventory = inventory
        self._site = site
        self._lanes: dict[DeviceId, Lane] = {}
        self._new = {device.id: None for device in site.devices.values() if device.kind == "battery_system"}
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Show the notes of every battery system that comes, for ever."""
        end = self._site.observe(self._look)
        try:
            while True:
                while self._new:
                    system = next(iter(self._new))
                    del self._new[system]
                    await self._show(system)
                self._wake.clear()
                await self._wake.wait()
        finally:
            end()

    async def sheet(self, system: DeviceId) -> Sheet:
        """Return everything that is noted of a system. Raises RecordsError."""
        return await self._inventory.sheet(system)

    async def note(self, system: DeviceId, module: int, column: int, text: str) -> None:
        """Note something about a block; an empty text takes it away. Raises RecordsError."""
        await self._inventory.note(system, module, column, text)
        await self._show(system)

    async def name(self, system: DeviceId, column: int, text: str) -> None:
        """Name a column. Raises RecordsError."""
        await self._inventory.name(system, column, text)
        await self._show(system)

    async def replace(self, system: DeviceId, sheet: Sheet) -> None:
        """Put this in the place of everything that was noted, all or nothing. Raises RecordsError."""
        await self._inventory.replace(system, sheet)
        await self._show(system)

    def _look(self, change: Change) -> None:
        for device_id, device in change.devices.items():
            if device is not None and device.kind == "battery_system":
                self._new[device_id] = None
                self._wake.set()

    async def _show(self, system: DeviceId) -> None:
        try:
            sheet = await self._inventory.sheet(system)
        except RecordsError as error:
            _LOGGER.warning("Notes about battery blocks are not shown: %s", error)
            return
        found = self._site.devices.get(system)
        if found is None:
            return
        blocks = {device.key: device.id for device in self._site.devices.values() if device.parent == system}
        noted = {
            identity: "\n".join(_lines(sheet, texts))
            for module, texts in sheet.notes.items()
            if (identity := blocks.get(f"{found.key}{suffix(block(module))}")) is not None
        }
        with self._site.transaction():
            for identity in {*noted, *(one for one in blocks.values() if one in self._lanes)}:
                lane = self._lanes.get(identity)
                if lane is None or not lane.alive:
                    lane = self._lanes[identity] = self._site.lane(identity, None, Source.CONFIGURED)
                lane.post({POINT: noted.get(identity)})


def _lines(sheet: Sheet, texts: tuple[str, ...]) -> Iterator[str]:
    for number, (name, text) in enumerate(zip(sheet.names, texts, strict=True), 1):
        if text:
            yield f"{name or f'Column {number}'}: {text}"


__all__ = ["Notes"]
