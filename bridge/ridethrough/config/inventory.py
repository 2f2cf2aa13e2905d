"""Which devices there will be, by the configuration alone: what jobs and plans may name."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ridethrough.catalogue import CommandType, ConditionType, load_catalogue

from .device import ThresholdConfig
from .model import BridgeConfig

BRIDGE = "bridge"
"""The key of the bridge itself, and the kind of device that it is."""
ALL = "*"
"""Stands for every device, every condition, or, as `ups-1/*`, for what belongs to a device."""
FEED = "feed"
_THRESHOLD = "threshold."
_LEVELS = ("warning", "alarm")


@dataclass(frozen=True, slots=True)
class Inventory:
    """The devices of a configuration, and what is granted of them."""

    kinds: Mapping[str, str]
    """Key of each device to what kind it is."""
    grants: Mapping[str, frozenset[str]]
    """Key of each device to the command groups that its `allow:` names."""
    thresholds: Mapping[str, tuple[ThresholdConfig, ...]]
    disabled: frozenset[str] = frozenset()
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Of devices that say beforehand what belongs to them: how many there are of each kind, numbered from 1."""

    def kind_of(self, key: str) -> str | None:
        """Return what kind of device a key stands for; None when there can be none such.

        What belongs to a device, as `ups-1/outlet-2`, is known only when its link runs, so its kind is taken from
        its key.
        """
        if key in self.kinds:
            return self.kinds[key]
        owner, slash, part = key.partition("/")
        kind, hyphen, number = part.rpartition("-")
        if not (slash and hyphen and number and owner in self.kinds and kind in load_catalogue().kinds):
            return None
        if owner in self.counts:
            count = self.counts[owner].get(kind, 0)
            if number == ALL:
                return kind if count else None
            return kind if number.isdecimal() and 1 <= int(number) <= count and number[0] != "0" else None
        return kind

    def example(self, owner: str) -> str:
        """Return the key of something that belongs to a device, or could."""
        found = [key for key in self.kinds if key.startswith(f"{owner}/")]
        found += [f"{owner}/{kind}-{count}" for kind, count in self.counts.get(owner, {}).items() if count]
        return found[0] if found else f"{owner}/outlet-2"

    def owner_of(self, key: str) -> str:
        """Return the key of the configured device that this is, or belongs to."""
        return key if key in self.kinds else key.partition("/")[0]

    def granted(self, key: str) -> frozenset[str]:
        """Return the command groups that are granted of a device; of what belongs to one, those of that one."""
        return self.grants.get(self.owner_of(key), frozenset())

    def matches(self, pattern: str) -> Iterator[tuple[str, str]]:
        """Give the key and the kind of every device that a key or a pattern with `*` stands for.

        Of what belongs to a device only its kind can be told; its number is `*` then.
        """
        owner, slash, rest = pattern.partition("/")
        if slash and rest == ALL:
            yield from ((key, kind) for key, kind in self.kinds.items() if key.startswith(f"{owner}/"))
            if owner in self.kinds:
                yield from ((f"{owner}/{kind}-{ALL}", kind) for kind in self._parts(owner))
        elif pattern == ALL:
            yield from self.kinds.items()
            for key in self.kinds:
                yield from ((f"{key}/{part}-{ALL}", part) for part in self._parts(key))
        elif (found := self.kind_of(pattern)) is not None:
            yield pattern, found

    def _parts(self, owner: str) -> tuple[str, ...]:
        """Return the kinds of what there is, or can be, of a device."""
        counts = self.counts.get(owner)
        kinds = PARTS.get(self.kinds[owner], ())
        return kinds if counts is None else tuple(kind for kind in kinds if counts.get(kind))

    def condition(self, key: str, kind: str, condition: str) -> ConditionType | None:
        """Find a condition of a device; one of a threshold only when that is configured with this level."""
        found = load_catalogue().condition(kind, condition)
        if found is None or not condition.startswith(_THRESHOLD):
            return found
        return found if condition in self.threshold_conditions(key) else None

    def threshold_conditions(self, key: str) -> tuple[str, ...]:
        """Return the conditions that the thresholds of a device make."""
        return tuple(
            f"{_THRESHOLD}{one.key}.{level}"
            for one in self.thresholds.get(key, ())
            for level in _LEVELS
            if getattr(one, level) is not None
        )

    def command(self, key: str, command: str) -> CommandType | None:
        """Find a command of a device."""
        kind = self.kind_of(key)
        return None if kind is None else load_catalogue().command(kind, command)


PARTS: Mapping[str, tuple[str, ...]] = {
    "ups": ("outlet", "ups_module", "sensor", "io_box"),
    "transfer_switch": ("sensor", "io_box"),
    "battery_system": ("battery_string", "battery_module", "current_sensor", "io_box"),
}
"""The kinds of what can belong to a device; it is found by its link, not configured."""


def inventory(config: BridgeConfig) -> Inventory:
    """List the devices of a configuration."""
    kinds = {BRIDGE: BRIDGE}
    grants = {BRIDGE: config.jobs.allow}
    for feed in config.feeds:
        kinds[f"{BRIDGE}/{FEED}-{feed.name}"] = FEED
        grants[f"{BRIDGE}/{FEED}-{feed.name}"] = config.feeds.allow
    for device in config.devices:
        kinds[device.key], grants[device.key] = device.kind, device.allow
    for agent in config.agents.computers:
        kinds[agent.key], grants[agent.key] = "agent", agent.allow
    for plan in config.plans:
        kinds[plan.key], grants[plan.key] = "plan", plan.allow
        kinds |= {f"{plan.key}/{stage.key}": "plan_stage" for stage in plan.stages}
    return Inventory(
        kinds,
        grants,
        {device.key: device.thresholds for device in config.devices},
        frozenset(one.key for one in config.devices if not one.enabled)
        | frozenset(one.key for one in config.agents.computers if not one.enabled),
        {battery.key: battery.parts for battery in config.batteries},
    )


__all__ = ["ALL", "BRIDGE", "PARTS", "Inventory", "inventory"]
