"""Buttons: every command that needs no more than to be given, unless a switch gives it."""

from collections.abc import Iterator
from functools import partial
from typing import override

from homeassistant.components.button import ButtonEntity
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .bridge import Bridge, EntityFactory, RidethroughConfigEntry
from .catalogue import CommandType, enabled_by_default, may_be_entity
from .entity import CommandEntity, permitted, send_command
from .switch import switched_commands
from .wire import Device

PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant, entry: RidethroughConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Create the buttons of a bridge."""
    entry.runtime_data.add_platform(_buttons, async_add_entities)


def _buttons(bridge: Bridge, device: Device) -> Iterator[tuple[str, EntityFactory]]:
    for command in sorted(device.commands - switched_commands(bridge, device)):
        row = bridge.catalogue.command(device.kind, command)
        if row is None or not may_be_entity(row, device.kind):
            continue
        if row.pressable and permitted(bridge, device, frozenset({command})):
            yield command, partial(CommandButton, bridge, device, row)


class CommandButton(CommandEntity, ButtonEntity):
    """One command, with its arguments at their defaults."""

    def __init__(self, bridge: Bridge, device: Device, row: CommandType) -> None:
        """Describe the button as the catalogue does."""
        super().__init__(bridge, device, row.key)
        self.commands = frozenset({row.key})
        self._attr_translation_key = row.translation_key
        self._attr_entity_category = row.category
        self._attr_entity_registry_enabled_default = enabled_by_default(row, device.kind)

    @override
    async def async_press(self) -> None:
        """Give the command."""
        await send_command(self.bridge, self.device_id, self.key)
