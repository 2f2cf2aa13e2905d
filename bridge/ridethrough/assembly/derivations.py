"""What is worked out about a configured device: from its part of the configuration to derivations for the site."""

from ridethrough.config import UpsConfig
from ridethrough.logic import UpsSettings, ups_derivation
from ridethrough.site import Derivation


def derivations(device: UpsConfig, *, on_battery_before: float = 0.0) -> tuple[Derivation, ...]:
    """Make the derivations of one device, in the order in which they run.

    `on_battery_before`: seconds that an outage known to the journal had lasted when the bridge started.
    """
    if device.kind != "ups":
        return ()
    return (ups_derivation(ups_settings(device), on_battery_before=on_battery_before),)


def ups_settings(device: UpsConfig) -> UpsSettings:
    """Take over what a person has entered about a UPS."""
    return UpsSettings(
        power=device.power, load=device.load, hold_time=device.hold_time, recharge_time=device.recharge_time
    )


__all__ = ["derivations", "ups_settings"]
