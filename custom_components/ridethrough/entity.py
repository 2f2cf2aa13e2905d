"""What all entities have in common: their device, their name and when they are available."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, override

from homeassistant.core import callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers.entity import Entity

from .const import DOMAIN
from .errors import CommandFailed
from .wire import Device, Quality, Value

if TYPE_CHECKING:
    from .bridge import Bridge

COMMAND_ERRORS = frozenset(
    {
        "unknown_device",
        "unknown_command",
        "bad_argument",
        "not_granted",
        "forbidden",
        "refused",
        "no_answer",
        "offline",
    }
)
"""The contract's codes; each has a translation. A code we do not know is shown as `refused`."""
MISTAKES = frozenset({"unknown_device", "unknown_command", "bad_argument"})
"""Those by which the bridge says that what was asked is wrong."""


async def send_command(bridge: Bridge, device: str, command: str, arguments: Mapping[str, Value] | None = None) -> None:
    """Have a device carry out a command; raises a translated HomeAssistantError when it does not."""
    known = bridge.mirror.devices.get(device)
    try:
        await bridge.client.command(device, command, arguments)
    except CommandFailed as error:
        kind = ServiceValidationError if error.code in MISTAKES else HomeAssistantError
        raise kind(
            translation_domain=DOMAIN,
            translation_key=f"command_{error.code if error.code in COMMAND_ERRORS else 'refused'}",
            translation_placeholders={
                "device": device if known is None else known.name,
                "command": command,
                "message": str(error),
            },
        ) from error


class RidethroughEntity(Entity):
    """An entity of a device of the bridge. It listens to what it shows, and to nothing else."""

    _attr_has_entity_name = True
    _attr_should_poll = False

    def __init__(self, bridge: Bridge, device: Device, key: str) -> None:
        """`key` is unique among the entities of one platform and device, and never changes."""
        self.bridge = bridge
        self.device_id = device.id
        self.key = key
        self._attr_unique_id = f"{device.id}-{key}"
        self._attr_device_info = bridge.tree.info(device.id)

    @override
    async def async_added_to_hass(self) -> None:
        """Begin to listen."""
        self.async_on_remove(self.bridge.on_availability(self.async_write_ha_state))
        for unsubscribe in self.listen(self.async_write_ha_state):
            self.async_on_remove(unsubscribe)

    def listen(self, changed: Callable[[], None]) -> list[Callable[[], None]]:
        """Have `changed` called when something changes that this entity shows; returns what ends that."""
        return []

    @property
    @override
    def available(self) -> bool:
        """Whether what is shown is so."""
        return self.bridge.online and self.device_id in self.bridge.mirror.devices


class PointEntity(RidethroughEntity):
    """An entity that shows one reading."""

    def __init__(self, bridge: Bridge, device: Device, key: str, point: str) -> None:
        """Show the reading `point`."""
        super().__init__(bridge, device, key)
        self.point = point

    @override
    def listen(self, changed: Callable[[], None]) -> list[Callable[[], None]]:
        """Listen to the reading."""
        return [self.bridge.mirror.on_point(self.device_id, self.point, changed)]

    @property
    def value(self) -> Value | None:
        """The reading's value; None unless it is good."""
        reading = self.bridge.mirror.points(self.device_id).get(self.point)
        return reading.value if reading is not None and reading.quality is Quality.GOOD else None

    @property
    @override
    def available(self) -> bool:
        """A reading that is stale, lost or unsupported is not shown as if it were so."""
        return super().available and self.value is not None


class ConditionEntity(RidethroughEntity):
    """An entity that shows one condition."""

    def __init__(self, bridge: Bridge, device: Device, key: str, condition: str) -> None:
        """Show the condition `condition`."""
        super().__init__(bridge, device, key)
        self.condition = condition

    @override
    def listen(self, changed: Callable[[], None]) -> list[Callable[[], None]]:
        """Listen to the condition."""
        return [self.bridge.mirror.on_condition(self.device_id, self.condition, changed)]

    @property
    def active(self) -> bool | None:
        """Whether the condition is so; None when that is not known."""
        state = self.bridge.mirror.conditions(self.device_id).get(self.condition)
        return state.active if state is not None and state.quality is Quality.GOOD else None

    @property
    @override
    def available(self) -> bool:
        """A condition that is stale or lost is not shown as if it were so."""
        return super().available and self.active is not None


class CommandEntity(RidethroughEntity):
    """An entity that gives commands."""

    commands: frozenset[str]
    """What it needs; without them it is not available."""

    @callback
    def permitted(self) -> bool:
        """Whether the device offers all its commands and the token allows them."""
        return permitted(self.bridge, self.bridge.mirror.devices.get(self.device_id), self.commands)

    @override
    def listen(self, changed: Callable[[], None]) -> list[Callable[[], None]]:
        """Listen to the device, whose commands may change."""
        return [*super().listen(changed), self.bridge.mirror.on_device(self.device_id, changed)]

    @property
    @override
    def available(self) -> bool:
        """Whether the commands can be given."""
        return super().available and self.permitted()


def permitted(bridge: Bridge, device: Device | None, commands: frozenset[str]) -> bool:
    """Whether a device offers all of these commands and the token's role allows them."""
    if device is None or not commands <= device.commands:
        return False
    rows = [bridge.catalogue.command(device.kind, command) for command in commands]
    return all(row is not None and bridge.client.role.may(row.role) for row in rows)
