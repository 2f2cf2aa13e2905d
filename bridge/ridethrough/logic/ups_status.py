"""What a UPS does at the moment, in the words of those who ask: a mode, UPSMAN's status word, RFC 1628's alarms."""

from collections.abc import Mapping, Set as AbstractSet
from dataclasses import dataclass

from ridethrough.catalogue import Catalogue, Value

from .derivation import number
from .phases import input_of

TESTS = frozenset({"test_in_progress", "calibrating"})
"""While these hold, the battery may carry the load although there is mains."""

# The first of these that is known to hold names the mode (RFC 1628 upsOutputSource); none of them is `line`.
MODES = (
    ("output_off", "off"),
    ("system_off", "off"),
    ("test_in_progress", "test"),
    ("calibrating", "test"),
    ("on_battery", "battery"),
    ("on_bypass", "bypass"),
    ("eco_mode", "eco"),
    ("boost", "boost"),
    ("trim", "trim"),
)


@dataclass(frozen=True, slots=True)
class UpsConditions:
    """The conditions that are known of a UPS: told by it, or derived."""

    active: frozenset[str]
    known: frozenset[str]

    def get(self, condition: str) -> bool | None:
        """Whether a condition holds, None if that is not known."""
        return condition in self.active if condition in self.known else None


def mode(conditions: UpsConditions) -> str | None:
    """Name what feeds the load, one of the options of `ups.mode`; None while that is not known.

    A power failure during a test is a power failure.
    """
    if conditions.get("on_battery") is None:
        return None
    if conditions.get("output_active") is False:
        return "off"
    failed = conditions.get("on_battery") and conditions.get("input_bad")
    return next(
        (name for condition, name in MODES if condition in conditions.active and not (failed and name == "test")),
        "line",
    )


def status_word(conditions: UpsConditions, catalogue: Catalogue, kind: str = "ups") -> int | None:
    """Put UPSMAN's 16 bits together (manual M:11130); None while not even on battery or not is known.

    Examples of the manual: 4 is good, 12 a power failure, 28 one with the battery low, 5 bypass (M:11148–11153).
    """
    if not _tells(conditions):
        return None
    word = 0
    for row in catalogue.conditions:
        if kind in row.kinds and row.key in conditions.active:
            word |= row.upsman_bit
    return word


def rfc1628_alarms(conditions: UpsConditions, catalogue: Catalogue, kind: str = "ups") -> tuple[int, ...] | None:
    """List the active alarms of RFC 1628 and its extension by their last number, in order; None as for the word."""
    if not _tells(conditions):
        return None
    numbers = (row.rfc1628_alarm for row in catalogue.conditions if kind in row.kinds and row.key in conditions.active)
    return tuple(sorted(number for number in numbers if number))


def derived_conditions(conditions: UpsConditions, values: Mapping[str, Value]) -> Mapping[str, bool]:
    """Work out the conditions that the UPS does not tell itself and that follow from what it does tell."""
    found = {
        "battery_low": _battery_low(values),
        "input_bad": _input_bad(conditions, values),
        "input_high": input_of(values).too_high,
        "output_active": _output_active(conditions),
    }
    return {key: holds for key, holds in found.items() if holds is not None and key not in conditions.known}


def discharging(conditions: UpsConditions) -> bool | None:
    """Whether the battery carries the load: for lack of mains, or as far as can be told because of a test."""
    if conditions.active & (TESTS | {"on_battery", "discharging"}):
        return True
    return conditions.get("on_battery")


def _tells(conditions: UpsConditions) -> bool:
    return "on_battery" in conditions.known or "communications_lost" in conditions.active


def _battery_low(values: Mapping[str, Value]) -> bool | None:
    """By the limits that the UPS or its driver gives; falling below either is enough, on mains too."""
    below = {
        _above(values, "battery.charge.low", "battery.charge"),
        _above(values, "battery.runtime.low", "battery.runtime"),
    }
    return True if True in below else False if False in below else None


def _input_bad(conditions: UpsConditions, values: Mapping[str, Value]) -> bool | None:
    """By the transfer limits if there are any; else what makes a UPS go on battery, unless it is testing."""
    supply = input_of(values)
    if supply.within is False or supply.missing:
        return True
    if conditions.get("on_battery") is True and not conditions.active & TESTS:
        return True
    if conditions.get("on_battery") is False or supply.within:
        return False
    return None


def _output_active(conditions: UpsConditions) -> bool | None:
    present = mode(conditions)
    return None if present is None else present != "off"


def _above(values: Mapping[str, Value], value: str, limit: str) -> bool | None:
    left, right = number(values, value), number(values, limit)
    return None if left is None or right is None else left > right


def conditions_of(active: AbstractSet[str], known: AbstractSet[str]) -> UpsConditions:
    """Take over what a view knows."""
    return UpsConditions(frozenset(active), frozenset(known))
