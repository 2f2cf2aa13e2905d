"""The end of an outage: the moment at which the last servers must go, and the one at which the battery is empty.

`system_shutdown` is the last event before the UPS switches itself off (manual M:2288): raised when the runtime, told or
worked out, has come down to the time that a person has set. It then holds until power returns, whatever the runtime
says: what it set off cannot be taken back. A UPS that tells no runtime but that its battery is low has a minute or two
left; then that counts.

A test is no outage: as long as mains is not known to have failed, it raises neither.
"""

from collections.abc import Mapping, Set as AbstractSet

from ridethrough.catalogue import Value

from .derivation import Derivation, Derived, View, number
from .ups_status import TESTS, UpsConditions, conditions_of

SYSTEM_SHUTDOWN = "system_shutdown"


def last_minutes_derivation(shutdown_time: float | None, raised: AbstractSet[str] = frozenset()) -> Derivation:
    """Make the derivation of `battery_depleted` and, where a time in seconds is given, `system_shutdown`.

    `raised`: the conditions of the device that the journal knows as raised when the bridge starts.
    """
    latched = SYSTEM_SHUTDOWN in raised

    def derivation(view: View, _now: float) -> Derived:
        nonlocal latched
        conditions = conditions_of(view.active, view.known)
        outage = failed(conditions)
        found: dict[str, bool | None] = {"battery_depleted": depleted(outage, view.values)}
        if shutdown_time is not None:
            if outage is not None:
                latched = outage and latched
            reached = time_reached(outage, conditions, view.values, shutdown_time)
            latched = latched or reached is True
            found[SYSTEM_SHUTDOWN] = None if outage is None else latched or reached
        return Derived(conditions={key: so for key, so in found.items() if so is not None and key not in view.known})

    return derivation


def failed(conditions: UpsConditions) -> bool | None:
    """Whether the battery carries the load because mains has failed; None while that is not known."""
    outage = conditions.get("on_battery")
    if outage and conditions.active & TESTS:
        return conditions.get("input_bad") is True
    return outage


def depleted(outage: bool | None, values: Mapping[str, Value]) -> bool | None:
    """Whether the battery is empty in an outage. Many tell a runtime of 0 for one they do not know: charge goes first."""
    left = number(values, "battery.charge")
    if left is None:
        left = number(values, "battery.runtime")
    if outage is None or left is None:
        return None
    return outage and left <= 0.0


def time_reached(
    outage: bool | None, conditions: UpsConditions, values: Mapping[str, Value], shutdown_time: float
) -> bool | None:
    """Whether no more than so many seconds are left in an outage; None while that is not known."""
    runtime = number(values, "battery.runtime")
    if not outage:
        return outage
    if runtime is None:
        return True if "battery_low" in conditions.active else None
    return runtime <= shutdown_time


__all__ = ["depleted", "failed", "last_minutes_derivation", "time_reached"]
