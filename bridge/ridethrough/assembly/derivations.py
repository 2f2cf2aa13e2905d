"""What is worked out about a configured device: from its part of the configuration to derivations for the site."""

from collections.abc import Callable, Mapping, Set as AbstractSet
from datetime import date

from ridethrough.clock import Clock, SystemClock
from ridethrough.config import DeviceConfig, Limits, ThresholdConfig, UpsConfig, apply_profile
from ridethrough.logic import (
    BatterySettings,
    BatteryTests,
    Bounds,
    Calendar,
    ChargeBefore,
    Threshold,
    UpsSettings,
    battery_derivation,
    chain,
    last_minutes_derivation,
    summary_derivation,
    thresholds_derivation,
    ups_derivation,
)
from ridethrough.site import Commands, Derivation, DeviceId, Site, Value
from ridethrough.store import Charge


def work_out(
    config: DeviceConfig, device: DeviceId, site: Site, commands: Commands, clock: Clock, charge: Charge | None = None
) -> Callable[[], None]:
    """Let the site work out all that follows about a device that is in it; returns what ends listening to commands.

    What the journal knows as raised must have been put back before: outages, thresholds and verdicts go on from there.
    `charge` is the last one that was worked out, from which the battery is counted on.
    """
    conditions = site.conditions(device)
    outage = conditions.get("on_battery")
    before = (clock.utc() - outage.since).total_seconds() if outage is not None and outage.active else 0.0
    raised = frozenset(key for key, state in conditions.items() if state.active)
    charged = None if charge is None else ChargeBefore(charge.percent / 100, (clock.utc() - charge.at).total_seconds())
    made = derivations(
        config, today=calendar(clock), on_battery_before=max(0.0, before), raised=raised, charge_before=charged
    )
    if made:
        site.derive(device, chain(*made))
    tests = [derivation for derivation in made if isinstance(derivation, BatteryTests)]

    def told(command: str, arguments: Mapping[str, Value]) -> None:
        for test in tests:
            test.given(command, arguments, clock.monotonic())

    return commands.listen(device, told)


def derivations(
    device: DeviceConfig,
    *,
    today: Calendar | None = None,
    on_battery_before: float = 0.0,
    raised: AbstractSet[str] = frozenset(),
    charge_before: ChargeBefore | None = None,
) -> tuple[Derivation, ...]:
    """Make the derivations of one device, in the order in which they run: each sees what those before it gave.

    Where a person has given no value, that of the model profile holds.

    `today` gives the date (UTC), by the machine's clock unless given. `on_battery_before`: seconds that an outage known
    to the journal had lasted when the bridge started. `raised`: the conditions that the journal knows as raised.
    `charge_before`: the charge that was worked out before the bridge started.
    """
    thresholds = thresholds_derivation(map(threshold, device.thresholds), raised)
    if not isinstance(device, UpsConfig) or device.kind != "ups":
        return (thresholds,) if device.thresholds else ()
    device = apply_profile(device)
    return (
        battery_derivation(
            BatterySettings(device.battery_installed, device.battery_too_old_after), today or calendar(SystemClock())
        ),
        ups_derivation(ups_settings(device), on_battery_before=on_battery_before, charge_before=charge_before),
        last_minutes_derivation(device.system_shutdown_time, raised),
        BatteryTests(device.battery_health_level, raised),
        *((thresholds,) if device.thresholds else ()),
        summary_derivation(),
    )


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


def calendar(clock: Clock) -> Calendar:
    """Make a calendar of a clock; days are those of UTC."""

    def today() -> date:
        return clock.utc().date()

    return today


__all__ = ["calendar", "derivations", "threshold", "ups_settings", "work_out"]
