"""Switches: outlets and the beeper, where the device offers both directions."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, override

from homeassistant.components.switch import SwitchDeviceClass, SwitchEntity, SwitchEntityDescription
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .bridge import Bridge, EntityFactory, RidethroughConfigEntry
from .entity import CommandEntity, permitted, send_command
from .wire import Device, Quality

PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class SwitchDescription(SwitchEntityDescription):
    """What a switch does and where its state is found."""

    turn_on: str
    turn_off: str
    """The same as `turn_on` for a command that toggles."""
    condition: str | None = None
    """The condition that says whether it is on."""
    point: str | None = None
    """Or the point that says so, and what it is then."""
    on_value: str | None = None

    @property
    def commands(self) -> frozenset[str]:
        """What the device must offer."""
        return frozenset({self.turn_on, self.turn_off})


BEEPER_STATUS = SwitchDescription(
    key="beeper",
    translation_key="beeper",
    entity_category=EntityCategory.CONFIG,
    turn_on="beeper.enable",
    turn_off="beeper.disable",
    point="ups.beeper.status",
    on_value="enabled",
)
# The first of the same key that a device can do is taken.
SWITCHES = (
    SwitchDescription(
        key="outlet",
        translation_key="outlet",
        device_class=SwitchDeviceClass.OUTLET,
        turn_on="outlet.on",
        turn_off="outlet.off",
        condition="outlet_on",
    ),
    BEEPER_STATUS,
    SwitchDescription(
        key="beeper",
        translation_key="beeper",
        entity_category=EntityCategory.CONFIG,
        turn_on="beeper.enable",
        turn_off="beeper.disable",
        condition="beeper_enabled",
    ),
    SwitchDescription(
        key="beeper",
        translation_key="beeper",
        entity_category=EntityCategory.CONFIG,
        turn_on="beeper.toggle",
        turn_off="beeper.toggle",
        condition="beeper_enabled",
    ),
)


async def async_setup_entry(
    hass: HomeAssistant, entry: RidethroughConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Create the switches of a bridge."""
    entry.runtime_data.add_platform(_switches, async_add_entities)


def _switches(bridge: Bridge, device: Device) -> Iterator[tuple[str, EntityFactory]]:
    for description in SWITCHES:
        if _has_state(bridge, device, description) and permitted(bridge, device, description.commands):
            yield description.key, partial(CommandSwitch, bridge, device, description)


def switched_commands(bridge: Bridge, device: Device) -> frozenset[str]:
    """The commands that need no button because a switch gives them."""
    return frozenset[str]().union(
        *(
            description.commands
            for description in SWITCHES
            if description.commands <= device.commands and _has_state(bridge, device, description)
        )
    )


def _has_state(bridge: Bridge, device: Device, description: SwitchDescription) -> bool:
    if description.point is not None:
        return description.point in bridge.mirror.points(device.id)
    return description.condition in bridge.mirror.conditions(device.id)


class CommandSwitch(CommandEntity, SwitchEntity):
    """Something with a command for each direction."""

    entity_description: SwitchDescription

    def __init__(self, bridge: Bridge, device: Device, description: SwitchDescription) -> None:
        """Describe the switch."""
        super().__init__(bridge, device, description.key)
        self.entity_description = description
        self.commands = description.commands

    @override
    def listen(self, changed: Callable[[], None]) -> list[Callable[[], None]]:
        """Listen to the state too."""
        mirror, description = self.bridge.mirror, self.entity_description
        if description.point is not None:
            state = mirror.on_point(self.device_id, description.point, changed)
        else:
            state = mirror.on_condition(self.device_id, description.condition or "", changed)
        return [*super().listen(changed), state]

    @property
    @override
    def available(self) -> bool:
        """Only with a state that is known: to toggle blindly would be a lottery."""
        return super().available and self.is_on is not None

    @property
    @override
    def is_on(self) -> bool | None:
        """Whether it is on; None when that is not known."""
        mirror, description = self.bridge.mirror, self.entity_description
        if description.point is not None:
            reading = mirror.points(self.device_id).get(description.point)
            known = reading is not None and reading.quality is Quality.GOOD
            return reading.value == description.on_value if reading is not None and known else None
        state = mirror.conditions(self.device_id).get(description.condition or "")
        return state.active if state is not None and state.quality is Quality.GOOD else None

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        """Turn it on, unless it is: a second toggle would turn it off."""
        if not self.is_on or self.entity_description.turn_on != self.entity_description.turn_off:
            await send_command(self.bridge, self.device_id, self.entity_description.turn_on)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        """Turn it off, unless it is."""
        if self.is_on or self.entity_description.turn_on != self.entity_description.turn_off:
            await send_command(self.bridge, self.device_id, self.entity_description.turn_off)
