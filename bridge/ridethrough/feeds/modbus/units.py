"""Which unit ids there are, and what each shows."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
import logging

from ridethrough.config.feeds import DEFAULT_MAP, ModbusConfig, ModbusUnitConfig
from ridethrough.feeds.base import FeedContext
from ridethrough.feeds.directory import Subject
from ridethrough.maps.registers import load_profile
from ridethrough.site import Change

from .image import Image, laid_out
from .unit import Unit

_LOGGER = logging.getLogger(__name__)

MAPS = {"ups": "default", "transfer_switch": "transfer_switch", "battery_system": "bacs"}
"""The map of a device whose unit is not configured, by its kind."""
MOST = 247
"""The highest unit id (MODBUS over Serial Line V1.02 §2.2)."""
DIRECT = (0, 255)
"""What a master on TCP calls a device that is no gateway (MODBUS Messaging on TCP/IP V1.0b §4.4.2.1)."""
_SCOPE = "modbus.unit"


class Units:
    """The units by their number, following the site from `open` to `close`."""

    def __init__(self, config: ModbusConfig, context: FeedContext) -> None:
        """There are none before `open`."""
        self._config = config
        self._context = context
        self._units: dict[int, Unit] = {}
        self._answering: dict[int, Unit] = {}
        self._moved = asyncio.Event()
        self._crowded = False
        self._end: Callable[[], None] = lambda: None
        self.find = self._answering.get
        """The unit of a number, as far as its device is there; None if there is none such."""
        self.direct: Unit | None = None
        """What shows where a master on TCP names no unit: the one of the lowest number."""

    def __iter__(self) -> Iterator[Unit]:
        """Give the units whose devices are there."""
        return iter(self._answering.values())

    async def open(self) -> None:
        """Have the units that there are."""
        self._end = self._context.site.observe(self._follow)
        await self._have()

    def close(self) -> None:
        """Follow the site no more."""
        self._end()

    async def keep(self) -> None:
        """Let units come and go with their devices, until cancelled."""
        while True:
            await self._moved.wait()
            await self._have()

    async def _have(self) -> None:
        self._moved.clear()
        for one in await self._wanted():
            known = self._units.get(one.unit)
            if known is None or (known.image.subject.key, known.image.profile.name) != (one.device, one.map):
                self._units[one.unit] = await self._made(one)
        self._count()

    async def _made(self, one: ModbusUnitConfig) -> Unit:
        """Make a unit, letting others run in between: a map may have thousands of registers."""
        context = self._context
        profile = await asyncio.to_thread(load_profile, one.map)
        laid_out(profile, context.site.catalogue)
        await asyncio.sleep(0)
        image = Image(context.directory, Subject(context.directory, one.device), profile)
        return Unit(one.unit, image, self._config.allow if one.allow is None else one.allow, context)

    async def _wanted(self) -> tuple[ModbusUnitConfig, ...]:
        if self._config.units:
            return tuple(map(self._mapped, self._config.units))
        devices = sorted(
            (device for device in self._context.site.devices.values() if device.kind in MAPS),
            key=lambda device: device.key,
        )
        numbers = await self._context.numbers.assign(_SCOPE, [device.id for device in devices])
        found = [ModbusUnitConfig(numbers[device.id], device.key, MAPS[device.kind]) for device in devices]
        left = [one.device for one in found if one.unit > MOST]
        if left and not self._crowded:
            _LOGGER.warning(
                "Modbus has no unit id left for %s; name the devices that are to be served in units:", ", ".join(left)
            )
        self._crowded = bool(left)
        return tuple(one for one in found if one.unit <= MOST)

    def _mapped(self, one: ModbusUnitConfig) -> ModbusUnitConfig:
        """Choose the map of a unit for which none is named: that of a UPS says nothing of other devices."""
        device = self._context.site.device_by_key(one.device)
        if device is None or one.map != DEFAULT_MAP:
            return one
        return replace(one, map=MAPS.get(device.kind, one.map))

    def _follow(self, change: Change) -> None:
        for unit in self._units.values():
            unit.image.follow(change)
        if change.devices:
            self._count()
            self._moved.set()

    def _count(self) -> None:
        present = {number: unit for number, unit in sorted(self._units.items()) if unit.present}
        self._answering.clear()
        self._answering.update(present)
        self.direct = next(iter(present.values()), None)


__all__ = ["DIRECT", "MAPS", "MOST", "Units"]
