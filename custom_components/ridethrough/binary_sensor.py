"""Binary sensors: every condition, and every reading that is true or false."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final, override

from homeassistant.components.binary_sensor import BinarySensorEntity
from homeassistant.components.binary_sensor.const import BinarySensorDeviceClass
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.util import dt as dt_util

from .bridge import Bridge, EntityFactory, RidethroughConfigEntry
from .catalogue import ConditionType, PointType, enabled_by_default, may_be_entity
from .entity import ConditionEntity, PointEntity
from .switch import switched_conditions
from .wire import Device, Quality

PARALLEL_UPDATES = 0

ATTR_SINCE: Final = "since"
"""When it began or ended, as the bridge knows it: Home Assistant's own `last_changed` begins anew with each restart."""


async def async_setup_entry(
    hass: HomeAssistant, entry: RidethroughConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Create the binary sensors of a bridge."""
    entry.runtime_data.add_platform(_binary_sensors, async_add_entities)


def _binary_sensors(bridge: Bridge, device: Device) -> Iterator[tuple[str, EntityFactory]]:
    for key in bridge.mirror.conditions(device.id):
        known = bridge.catalogue.condition(device.kind, key)
        if known is not None and may_be_entity(known[0], device.kind):
            yield key, partial(ConditionBinarySensor, bridge, device, key, *known)
    for key, reading in bridge.mirror.points(device.id).items():
        if reading.quality is Quality.UNSUPPORTED:
            continue
        if (found := bridge.catalogue.point(device.kind, key)) is not None and found[0].type == "bool":
            yield f"point-{key}", partial(PointBinarySensor, bridge, device, key, *found)


class ConditionBinarySensor(ConditionEntity, BinarySensorEntity):
    """One condition."""

    def __init__(
        self, bridge: Bridge, device: Device, condition: str, row: ConditionType, placeholders: Mapping[str, str]
    ) -> None:
        """Describe the binary sensor as the catalogue does."""
        super().__init__(bridge, device, condition, condition)
        self._attr_translation_key = row.translation_key
        self._attr_translation_placeholders = placeholders
        self._attr_entity_category = row.category
        # What a switch shows need not stand beside it a second time.
        self._attr_entity_registry_enabled_default = enabled_by_default(
            row, device.kind
        ) and condition not in switched_conditions(bridge, device)
        if row.device_class is not None:
            self._attr_device_class = BinarySensorDeviceClass(row.device_class)

    @property
    @override
    def is_on(self) -> bool | None:
        """Whether it is so."""
        return self.active

    @property
    @override
    def extra_state_attributes(self) -> Mapping[str, Any] | None:
        """Since when it is so, or not so."""
        state = self.bridge.mirror.conditions(self.device_id).get(self.condition)
        if state is None or self.active is None:
            return None
        return {ATTR_SINCE: dt_util.utc_from_timestamp(state.since).isoformat(timespec="milliseconds")}


class PointBinarySensor(PointEntity, BinarySensorEntity):
    """One reading that is true or false."""

    def __init__(
        self, bridge: Bridge, device: Device, point: str, row: PointType, placeholders: Mapping[str, str]
    ) -> None:
        """Describe the binary sensor as the catalogue does."""
        super().__init__(bridge, device, f"point-{point}", point)
        self._attr_translation_key = row.translation_key
        self._attr_translation_placeholders = placeholders
        self._attr_entity_category = row.category
        self._attr_entity_registry_enabled_default = enabled_by_default(row, device.kind)

    @property
    @override
    def is_on(self) -> bool | None:
        """Whether it is so."""
        value = self.value
        return value if isinstance(value, bool) else None
