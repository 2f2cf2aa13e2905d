"""What is worked out about a configured device: from its part of the configuration to derivations for the site."""

from collections.abc import Set as AbstractSet

from ridethrough.config import Limits, UpsConfig
from ridethrough.config.model import ThresholdConfig
from ridethrough.logic import Bounds, Threshold, UpsSettings, summary_derivation, thresholds_derivation, ups_derivation
from ridethrough.site import Derivation


def derivations(
    device: UpsConfig, *, on_battery_before: float = 0.0, raised: AbstractSet[str] = frozenset()
) -> tuple[Derivation, ...]:
    """Make the derivations of one device, in the order in which they run.

    `on_battery_before`: seconds that an outage known to the journal had lasted when the bridge started. `raised`: the
    conditions of the device that the journal knows as raised.
    """
    found: list[Derivation] = []
    if device.kind == "ups":
        found.append(ups_derivation(ups_settings(device), on_battery_before=on_battery_before))
    if device.thresholds:
        found.append(thresholds_derivation(map(threshold, device.thresholds), raised))
    if device.kind == "ups":
        found.append(summary_derivation())
    return tuple(found)


def ups_settings(device: UpsConfig) -> UpsSettings:
    """Take over what a person has entered about a UPS."""
    return UpsSettings(
        power=device.power, load=device.load, hold_time=device.hold_time, recharge_time=device.recharge_time
    )


def threshold(config: ThresholdConfig) -> Threshold:
    """Take over a limit of a person's own."""
    return Threshold(
        config.key, config.point, bounds(config.warning), bounds(config.alarm), config.hysteresis, config.hold
    )


def bounds(limits: Limits | None) -> Bounds | None:
    """Take over the limits of one level."""
    return None if limits is None else Bounds(limits.low, limits.high)


__all__ = ["derivations", "threshold", "ups_settings"]
