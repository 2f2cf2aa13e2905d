"""Event entities: one for each device that has conditions, one for the bridge.

Every event of the bridge's journal comes once and in order, also those that happened while Home Assistant was away.
The event type names what happened (`on_battery_raised`, `on_battery_cleared`), so that an automation needs no template.
"""

from collections.abc import Iterator
from functools import partial
from typing import override

from homeassistant.components.event import EventEntity
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.util import dt as dt_util

from .bridge import Bridge, EntityFactory, RidethroughConfigEntry
from .catalogue import BLOCK
from .devices import BRIDGE, main_ancestor
from .entity import RidethroughEntity
from .wire import Device, Edge, Event, EventKind

PARALLEL_UPDATES = 0

EDGES = (Edge.RAISED, Edge.CLEARED)
OTHER = "other"
"""What this integration does not know yet; what it is called is among the attributes."""


def event_types(bridge: Bridge, kind: str) -> list[str]:
    """All that may happen to a kind of device."""
    rows = bridge.catalogue.conditions(kind)
    return [
        *(f"{row.translation_key}_{edge}" for row in rows for edge in EDGES),
        EventKind.COMMAND,
        EventKind.SYSTEM,
        OTHER,
    ]


def event_type(bridge: Bridge, kind: str, event: Event) -> str:
    """Say what an event is called: the condition and its edge, else what it is about."""
    if event.kind in (EventKind.COMMAND, EventKind.SYSTEM):
        return event.kind
    found = bridge.catalogue.condition(kind, event.key) if event.kind == EventKind.CONDITION else None
    return f"{found[0].translation_key}_{event.edge}" if found is not None and event.edge in EDGES else OTHER


async def async_setup_entry(
    hass: HomeAssistant, entry: RidethroughConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Create the event entities of a bridge."""
    entry.runtime_data.add_platform(_events, async_add_entities)


def _events(bridge: Bridge, device: Device) -> Iterator[tuple[str, EntityFactory]]:
    # Of a block there is a trigger, and the system's own event for every alarm; another 512 entities are too many.
    if device.kind == BLOCK:
        return
    if device.kind == BRIDGE or bridge.catalogue.conditions(device.kind):
        yield "events", partial(DeviceEvents, bridge, device)


class DeviceEvents(RidethroughEntity, EventEntity):
    """What happened to one device."""

    _attr_translation_key = "events"

    def __init__(self, bridge: Bridge, device: Device) -> None:
        """Ask the journal to wait for this entity."""
        super().__init__(bridge, device, "events")
        self._attr_event_types = event_types(bridge, device.kind)
        # Of a part, such as one of many outlets, few want to know it.
        self._attr_entity_registry_enabled_default = main_ancestor(device, bridge.mirror.devices) is None
        self._kind = device.kind
        # What belongs to no device belongs to the bridge.
        self._owners = (device.id, None) if device.kind == BRIDGE else (device.id,)
        for owner in self._owners:
            bridge.journal.expect(owner)

    @callback
    @override
    def add_to_platform_abort(self) -> None:
        """Let go of the events when the entity is disabled."""
        for owner in self._owners:
            self.bridge.journal.waive(owner)
        super().add_to_platform_abort()

    @override
    async def async_added_to_hass(self) -> None:
        """Begin to listen."""
        await super().async_added_to_hass()
        for owner in self._owners:
            self.async_on_remove(self.bridge.journal.listen(owner, self._happened))

    @callback
    def _happened(self, event: Event) -> None:
        self._trigger_event(
            event_type(self.bridge, self._kind, event),
            {
                **event.details,
                "seq": event.seq,
                "key": event.key,
                "edge": event.edge,
                "severity": event.severity,
                "happened_at": dt_util.utc_from_timestamp(event.at).isoformat(timespec="milliseconds"),
            },
        )
        self.async_write_ha_state()
