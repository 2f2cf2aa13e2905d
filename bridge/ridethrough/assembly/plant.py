"""The equipment of the bridge: all configured devices, which come, change and go while the others run."""

from collections.abc import AsyncIterable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
import os
from types import MappingProxyType

from ridethrough.battery.children import children, suffix
from ridethrough.battery.keeper import Services
from ridethrough.battery.layout import SYSTEM
from ridethrough.clock import Clock
from ridethrough.config import DeviceConfig
from ridethrough.config.battery import BatteryConfig
from ridethrough.links import LinkContext
from ridethrough.site import Commands, Device, DeviceId, Memories, Site, Source
from ridethrough.store import Charge

from .charges import computed_charges
from .unit import Unit, build_link


class Plant:
    """Owns every link. Whatever is done to one device, the others do not lose a poll."""

    def __init__(
        self,
        bridge: Device,
        site: Site,
        commands: Commands,
        context: LinkContext,
        *,
        memories: Memories | None = None,
        mint: Callable[[str], DeviceId],
        known: frozenset[DeviceId] = frozenset(),
        charges: Mapping[DeviceId, Charge] = MappingProxyType({}),
        services: Services | None = None,
    ) -> None:
        """Begin without devices. `known` are those that have been connected in earlier runs of the bridge.

        `charges` are the last ones of batteries whose charge is worked out, `services` are what battery systems
        need of the bridge.
        """
        self._bridge = bridge
        self._site = site
        self._commands = commands
        self._memories = memories or Memories(site)
        self.context = context
        self._clock: Clock = context.clock
        self._mint = mint
        self._known = known
        self._charges = dict(charges)
        self._services = services or Services()
        self._kept = dict(self._services.kept)
        self._units: dict[str, Unit] = {}

    @property
    def site(self) -> Site:
        """Where the devices are."""
        return self._site

    @property
    def units(self) -> Mapping[str, Unit]:
        """All devices by the key that the configuration gives them."""
        return self._units

    def identity(self, key: str) -> DeviceId:
        """Return the identity of a device by its key; it has the same one whether it exists or not."""
        return self._mint(key)

    def add(self, config: DeviceConfig) -> Unit:
        """Add a device; its link runs when it is started. Raises ValueError with a sentence when it has no link."""
        unit = self._unit(config, Device(self._mint(config.key), config.key, config.kind, config.name), known=False)
        self._units[config.key] = unit
        return unit

    async def change(self, config: DeviceConfig) -> Unit:
        """Let a device be as configured now, and run it. It keeps its identity and what is raised.

        Raises ValueError with a sentence when it can have no such link; then it runs on as it was.
        """
        build_link(config, LinkContext.alone(self._clock))
        old = self._units[config.key]
        self._charges |= computed_charges(self._site, self._clock.utc(), [old.id])
        self._kept[old.id] = await old.stop()
        # From here on nothing is awaited: clients see the device go and come in one moment, and ask for it anew.
        device = self._site.devices[old.id]
        staying = self._staying(config)
        raised = []
        for one in self._raised(old.id):
            if staying is None or one[0] in staying:
                raised.append(one)
            else:
                self._end(one[0], one[1])
        self._site.remove(old.id)
        for owner, condition, since in raised:
            self._site.restore(owner, condition, since)
        fresh = Device(old.id, config.key, config.kind, config.name)
        if old.config.link == config.link:
            fresh = replace(device, name=config.name, commands=frozenset())
        unit = self._units[config.key] = self._unit(config, fresh, known=old.known)
        unit.start()
        return unit

    async def remove(self, key: str) -> None:
        """End a device's link and take it out of the site; what was raised ends with it."""
        unit = self._units.pop(key)
        self._kept[unit.id] = await unit.stop()
        with self._site.transaction():
            for owner, condition, _ in list(self._raised(unit.id)):
                self._end(owner, condition)
        self._site.remove(unit.id)

    async def stop(self) -> None:
        """End all links."""
        for unit in list(self._units.values()):
            await unit.stop()

    def at_port(self, path: str) -> Unit | None:
        """Find the device that uses this serial port, under whatever name."""
        real = os.path.realpath(path)
        return next(
            (
                unit
                for unit in self._units.values()
                if unit.config.enabled and unit.port is not None and os.path.realpath(unit.port) == real
            ),
            None,
        )

    def trace(self, device: str) -> AbstractContextManager[AsyncIterable[object]] | None:
        """Listen to the line of the device of this key; None when it is not on a serial line."""
        unit = self._units.get(device)
        port = None if unit is None else unit.port
        trace = None if port is None else self.context.ports.trace(port)
        return None if trace is None else trace.subscribe()

    def parts(self, unit: Unit) -> Iterator[Device]:
        """Give a device and what belongs to it."""
        reached = [unit.id]
        for owner in reached:
            yield self._site.devices[owner]
            reached += [device.id for device in self._site.devices.values() if device.parent == owner]

    def _unit(self, config: DeviceConfig, device: Device, *, known: bool) -> Unit:
        link = build_link(config, self.context)
        return Unit(
            config,
            link,
            replace(device, parent=self._bridge.id),
            self._site,
            self._commands,
            self._clock,
            memories=self._memories,
            mint=self._mint,
            known=known or device.id in self._known,
            charge=self._charges.get(device.id),
            services=replace(self._services, kept=self._kept),
        )

    def _end(self, owner: DeviceId, condition: str) -> None:
        """End what is raised of a device that goes for good."""
        self._site.lane(owner, None, Source.CONFIGURED).post(conditions={condition: False})

    def _staying(self, config: DeviceConfig) -> frozenset[DeviceId] | None:
        """Return which devices there will be; None where only the link can tell."""
        if not isinstance(config, BatteryConfig):
            return None
        places = [SYSTEM, *(place for place, _ in children(config))]
        return frozenset(self._mint(f"{config.key}{suffix(place)}") for place in places)

    def _raised(self, device: DeviceId) -> Iterator[tuple[DeviceId, str, datetime]]:
        for key, state in self._site.conditions(device).items():
            if state.active:
                yield device, key, state.since
        for child in [one.id for one in self._site.devices.values() if one.parent == device]:
            yield from self._raised(child)


__all__ = ["Plant"]
