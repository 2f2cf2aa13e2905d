"""Sensors: every reading that is a number or a text."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import override

from homeassistant.components.sensor import SensorDeviceClass, SensorEntity, SensorStateClass
from homeassistant.const import UnitOfTime
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.event import async_call_later
from homeassistant.util import dt as dt_util

from .bridge import Bridge, EntityFactory, RidethroughConfigEntry
from .catalogue import BLOCK, PointType, enabled_by_default, may_be_entity
from .entity import PointEntity
from .wire import Device, Quality

PARALLEL_UPDATES = 0

PACE = 10.0
"""Seconds between two states of what a block measures, as the manual's status screen has it (M:6936).

A scan may bring 2,000 values in three seconds. Nobody needs them all as states, and no recorder bears them; the status
card shows them as they come, and the bridge's battery log keeps them.
"""
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
        found = bridge.catalogue.point(device.kind, key)
        if found is None or found[0].type == "bool" or not may_be_entity(found[0], device.kind):
            continue
        sensor = PacedSensor if device.kind == BLOCK and found[0].state_class is not None else PointSensor
        yield key, partial(sensor, bridge, device, key, *found)


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


class PacedSensor(PointSensor):
    """One reading of many blocks: at once when it comes or goes, else no more often than PACE."""

    _told: bool | None = None
    """Whether it was known when it was told last."""
    _due: float = 0.0
    """When it may be told again, on the loop's clock."""
    _timer: CALLBACK_TYPE | None = None

    @override
    def listen(self, changed: Callable[[], None]) -> list[Callable[[], None]]:
        """Listen to the reading, and leave no timer behind."""
        return [*super().listen(partial(self._on_reading, changed)), self._forget]

    @callback
    def _on_reading(self, changed: Callable[[], None]) -> None:
        known, now = self.value is not None, self.hass.loop.time()
        if known != self._told or now >= self._due:
            self._forget()
            self._told, self._due = known, now + PACE
            changed()
        elif self._timer is None:
            self._timer = async_call_later(self.hass, self._due - now, partial(self._on_time, changed))

    @callback
    def _on_time(self, changed: Callable[[], None], _now: datetime) -> None:
        self._timer = None
        self._due = 0.0
        self._on_reading(changed)

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer()
            self._timer = None
