"""Switches: where a device offers a command for each direction, and a condition says how things stand."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final, override

from homeassistant.components.switch import SwitchEntity
from homeassistant.components.switch.const import SwitchDeviceClass
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .bridge import Bridge, EntityFactory, RidethroughConfigEntry
from .catalogue import SwitchType
from .entity import CommandEntity, permitted, send_command
from .wire import Device, Quality

PARALLEL_UPDATES = 0

TOGGLES: Final[Mapping[str, str]] = {"beeper": "beeper.toggle"}
"""Switches that a device with only one command for both directions can have too (Megatec Q)."""
DEVICE_CLASSES: Final[Mapping[str, SwitchDeviceClass]] = {"outlet": SwitchDeviceClass.OUTLET}

NAMED: Final = frozenset({"plan"})
"""Switches that keep their name, as one might take them for their device: to arm a plan is not to carry it out."""


async def async_setup_entry(
    hass: HomeAssistant, entry: RidethroughConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Create the switches of a bridge."""
    entry.runtime_data.add_platform(_switches, async_add_entities)


def _switches(bridge: Bridge, device: Device) -> Iterator[tuple[str, EntityFactory]]:
    for row, on, off in _switchable(bridge, device):
        if permitted(bridge, device, frozenset({on, off})):
            yield row.key, partial(CommandSwitch, bridge, device, row, on, off)


def switched_commands(bridge: Bridge, device: Device) -> frozenset[str]:
    """Return the commands that need no button because a switch gives them."""
    return frozenset(command for _, on, off in _switchable(bridge, device) for command in (on, off))


def switched_conditions(bridge: Bridge, device: Device) -> frozenset[str]:
    """Return the conditions that a switch shows which is there at first."""
    return frozenset(
        row.condition
        for row, on, off in _switchable(bridge, device)
        if row.enabled and permitted(bridge, device, frozenset({on, off}))
    )


def _switchable(bridge: Bridge, device: Device) -> Iterator[tuple[SwitchType, str, str]]:
    """Find the switches that a device can have, with the commands for on and off."""
    for row in bridge.catalogue.switches(device.kind):
        if row.condition not in bridge.mirror.conditions(device.id):
            continue
        toggle = TOGGLES.get(row.key)
        if {row.on, row.off} <= device.commands:
            yield row, row.on, row.off
        elif toggle in device.commands:
            yield row, toggle, toggle


class CommandSwitch(CommandEntity, SwitchEntity):
    """Something with a command for each direction, or one that toggles."""

    def __init__(self, bridge: Bridge, device: Device, row: SwitchType, on: str, off: str) -> None:
        """Describe the switch as the catalogue does."""
        super().__init__(bridge, device, row.key)
        self.commands = frozenset({on, off})
        self._on = on
        self._off = off
        self._condition = row.condition
        self._attr_translation_key = row.translation_key
        self._attr_entity_category = row.category
        self._attr_entity_registry_enabled_default = row.enabled
        self._attr_device_class = DEVICE_CLASSES.get(row.key)
        if row.key == device.kind and row.key not in NAMED:
            # What the device is there for is called as the device.
            self._attr_name = None

    @override
    def listen(self, changed: Callable[[], None]) -> list[Callable[[], None]]:
        """Listen to the condition too."""
        return [*super().listen(changed), self.bridge.mirror.on_condition(self.device_id, self._condition, changed)]

    @property
    @override
    def available(self) -> bool:
        """Only while it is known how things stand: to toggle blindly would be a lottery."""
        return super().available and self.is_on is not None

    @property
    @override
    def is_on(self) -> bool | None:
        """Whether it is on; None when that is not known."""
        state = self.bridge.mirror.conditions(self.device_id).get(self._condition)
        return state.active if state is not None and state.quality is Quality.GOOD else None

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        """Turn it on; what toggles only if it is off."""
        if self._on != self._off or not self.is_on:
            await send_command(self.bridge, self.device_id, self._on)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        """Turn it off; what toggles only if it is on."""
        if self._on != self._off or self.is_on:
            await send_command(self.bridge, self.device_id, self._off)
