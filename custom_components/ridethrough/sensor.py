"""Sensors: every reading that is a number or a text."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import override

from homeassistant.components.sensor import SensorDeviceClass, SensorEntity, SensorStateClass
from homeassistant.const import UnitOfTime
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.util import dt as dt_util

from .bridge import Bridge, EntityFactory, RidethroughConfigEntry
from .catalogue import PointType, enabled_by_default
from .entity import PointEntity
from .wire import Device, Quality

PARALLEL_UPDATES = 0

LONGEST_TEXT = 255
"""Home Assistant's limit for a state."""


async def async_setup_entry(
    hass: HomeAssistant, entry: RidethroughConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Create the sensors of a bridge."""
    entry.runtime_data.add_platform(_sensors, async_add_entities)


def _sensors(bridge: Bridge, device: Device) -> Iterator[tuple[str, EntityFactory]]:
    for key, reading in bridge.mirror.points(device.id).items():
        if reading.quality is Quality.UNSUPPORTED:
            continue
        if (found := bridge.catalogue.point(device.kind, key)) is not None and found[0].type != "bool":
            yield key, partial(PointSensor, bridge, device, key, *found)


class PointSensor(PointEntity, SensorEntity):
    """One reading."""

    def __init__(
        self, bridge: Bridge, device: Device, point: str, row: PointType, placeholders: Mapping[str, str]
    ) -> None:
        """Describe the sensor as the catalogue does."""
        super().__init__(bridge, device, point, point)
        self._row = row
        self._attr_translation_key = row.translation_key
        self._attr_translation_placeholders = placeholders
        self._attr_entity_category = row.category
        self._attr_entity_registry_enabled_default = enabled_by_default(row, device.kind)
        self._attr_native_unit_of_measurement = row.unit
        self._attr_suggested_display_precision = row.precision
        if row.device_class is not None:
            self._attr_device_class = SensorDeviceClass(row.device_class)
        if row.state_class is not None:
            self._attr_state_class = SensorStateClass(row.state_class)
        if row.options:
            self._attr_options = list(row.options)
        if row.device_class == SensorDeviceClass.DURATION and "runtime" in row.key:
            # Delays are seconds to a person, runtimes are minutes.
            self._attr_suggested_unit_of_measurement = UnitOfTime.MINUTES
            self._attr_suggested_display_precision = 1

    @property
    @override
    def native_value(self) -> str | float | int | datetime | None:
        """The value; None when it is not what the catalogue says it should be."""
        value = self.value
        if self._row.type == "time":
            return dt_util.parse_datetime(value) if isinstance(value, str) else None
        if self._row.type == "text":
            text = None if value is None else str(value)[:LONGEST_TEXT]
            return text if not self._row.options or text in self._row.options else None
        return None if isinstance(value, str | bool) else value
