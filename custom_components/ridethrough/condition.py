"""Conditions for automations. What is not known for certain now is not so."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final, Unpack, override

from homeassistant.core import HomeAssistant
from homeassistant.helpers.condition import (
    ATTR_BEHAVIOR,
    BEHAVIOR_ALL,
    BEHAVIOR_ANY,
    Condition,
    ConditionCheckParams,
    ConditionConfig,
)
from homeassistant.helpers.typing import ConfigType
import probatio

from .bridge import Bridge
from .devices import BRIDGE
from .outages import ON_BATTERY, UPS
from .selection import Fields, selected, with_target
from .wire import Quality

PLAN: Final = "plan"
LINK_STATE: Final = "link.state"
AT_LEAST: Final = "at_least"

BEHAVIOR_FIELD: Final[Fields] = {
    probatio.Optional(ATTR_BEHAVIOR, default=BEHAVIOR_ANY): probatio.In([BEHAVIOR_ANY, BEHAVIOR_ALL])
}

type Found = Sequence[tuple[Bridge, str]]
"""Devices, with their bridges."""


class TargetCondition(Condition):
    """Tests devices of bridges; without any, it is not met."""

    fields: ClassVar[Fields] = {}
    kinds: ClassVar[frozenset[str] | None] = None
    """Kinds of device; None for all."""

    @override
    @classmethod
    async def async_validate_config(cls, hass: HomeAssistant, config: ConfigType) -> ConfigType:
        """Check the target and the fields."""
        return with_target(cls.fields)(config)

    def __init__(self, hass: HomeAssistant, config: ConditionConfig) -> None:
        """Take what was chosen."""
        super().__init__(hass, config)
        self.options: Mapping[str, Any] = config.options or {}
        self._target = config.target or {}

    @abstractmethod
    def test(self, found: Found) -> bool:
        """Whether it is so for these devices, of which there is at least one."""

    @override
    def _async_check(self, **kwargs: Unpack[ConditionCheckParams]) -> bool:
        found = [
            (bridge, device)
            for bridge, device in selected(self._hass, self._target)
            if self.kinds is None or bridge.mirror.devices[device].kind in self.kinds
        ]
        return bool(found) and self.test(found)


class StateCondition(TargetCondition):
    """Tests whether a condition of the bridge's is so for one, or for all."""

    fields = BEHAVIOR_FIELD
    condition: ClassVar[str]

    @override
    def test(self, found: Found) -> bool:
        """Whether it is so for one, or for all."""
        combine: Callable[..., bool] = all if self.options[ATTR_BEHAVIOR] == BEHAVIOR_ALL else any
        return combine(is_so(bridge, device, self.condition) is True for bridge, device in found)


class OnBatteryCondition(StateCondition):
    """Tests whether UPSes are on battery."""

    kinds = frozenset({UPS})
    condition = ON_BATTERY


class PlanArmedCondition(StateCondition):
    """Tests whether plans are armed."""

    kinds = frozenset({PLAN})
    condition = "plan_armed"


class IsRedundantCondition(TargetCondition):
    """Tests whether all plans say that their supply is redundant, and whether enough UPSes have mains power."""

    fields: ClassVar[Fields] = {
        probatio.Optional(AT_LEAST, default=1): probatio.All(probatio.Coerce(int), probatio.Range(min=1))
    }
    kinds = frozenset({PLAN, UPS})

    @override
    def test(self, found: Found) -> bool:
        """Count those of which it is known."""
        plans = [one for one in found if one[0].mirror.devices[one[1]].kind == PLAN]
        if not all(is_so(bridge, plan, "plan_redundant") is True for bridge, plan in plans):
            return False
        fed = [is_so(bridge, ups, ON_BATTERY) is False for bridge, ups in found if (bridge, ups) not in plans]
        return not fed or sum(fed) >= self.options[AT_LEAST]


class DataIsFreshCondition(TargetCondition):
    """Tests whether everything that is known of devices is known for certain now."""

    @override
    def test(self, found: Found) -> bool:
        """Whether there is nothing that is not fresh."""
        return all(is_fresh(bridge, device) for bridge, device in found)


CONDITIONS: Final[dict[str, type[Condition]]] = {
    "on_battery": OnBatteryCondition,
    "is_redundant": IsRedundantCondition,
    "data_is_fresh": DataIsFreshCondition,
    "plan_armed": PlanArmedCondition,
}


async def async_get_conditions(hass: HomeAssistant) -> dict[str, type[Condition]]:
    """Return the conditions of this integration."""
    return CONDITIONS


def is_so(bridge: Bridge, device: str, condition: str) -> bool | None:
    """Whether a condition is so; None when that is not known."""
    state = bridge.mirror.conditions(device).get(condition)
    return state.active if bridge.online and state is not None and state.quality is Quality.GOOD else None


def is_fresh(bridge: Bridge, device: str) -> bool:
    """Whether a device is reached and none of its readings and conditions is out of date."""
    if not bridge.online:
        return False
    points, conditions = bridge.mirror.points(device), bridge.mirror.conditions(device)
    if not points and not conditions:
        # A bridge has nothing to read; of anything else nothing has ever been read.
        return bridge.mirror.devices[device].kind == BRIDGE
    link = points.get(LINK_STATE)
    if link is not None and (link.quality is not Quality.GOOD or link.value != "connected"):
        return False
    qualities = {reading.quality for reading in points.values()} | {state.quality for state in conditions.values()}
    return qualities <= {Quality.GOOD, Quality.UNSUPPORTED}
