"""Whether a threshold can be meant: a point of that kind of device, limits that agree, a way back."""

from difflib import get_close_matches

from ridethrough.catalogue import Point, load_catalogue

from .device import Limits, ThresholdConfig

NUMERIC = frozenset({"float", "int"})

type Fault = tuple[tuple[str, ...], str]
"""Under which keys of the threshold something is wrong, and what."""


def fault(kind: str, threshold: ThresholdConfig) -> Fault | None:
    """Find what is wrong with a threshold of a kind of device, None if nothing is."""
    point = load_catalogue().point(kind, threshold.point)
    if point is None:
        return (
            "point",
        ), f"a {load_catalogue().kind(kind)} has no point {threshold.point!r}{_near(kind, threshold.point)}"
    if point.quantity.type not in NUMERIC or point.options:
        return ("point",), f"{threshold.point} is no number, so it has no limits{_near(kind, threshold.point)}"
    for check in (_weaker_alarm, _no_way_back):
        found = check(threshold, point)
        if found is not None:
            return found
    return None


def numeric_points(kind: str) -> tuple[str, ...]:
    """List the points of a kind of device that can have limits, phases written out."""
    keys: list[str] = []
    for point in load_catalogue().points:
        if kind in point.kinds and point.quantity.type in NUMERIC and not point.options:
            lines = point.key.placeholders.get("line", ())[:3]
            keys += [point.key.text.replace("{line}", line) for line in lines] or [point.key.text]
    return tuple(key for key in keys if "{" not in key)


def _near(kind: str, key: str) -> str:
    near = get_close_matches(key, numeric_points(kind), n=3)
    return f"; did you mean {' or '.join(near)}?" if near else "; CATALOGUE.md lists the points, such as battery.charge"


def _weaker_alarm(threshold: ThresholdConfig, _point: Point) -> Fault | None:
    """Hold that the alarm is the escalated warning (M:2376–2383); the other way round it would come first."""
    warning, alarm = threshold.warning, threshold.alarm
    if warning is None or alarm is None:
        return None
    if warning.low is not None and alarm.low is not None and alarm.low > warning.low:
        return (_word(alarm), "alarm"), f"must be {warning.low:g}, the warning's limit, or lower, not {alarm.low:g}"
    if warning.high is not None and alarm.high is not None and alarm.high < warning.high:
        return (_word(alarm), "alarm"), f"must be {warning.high:g}, the warning's limit, or higher, not {alarm.high:g}"
    return None


def _word(limits: Limits) -> str:
    """Tell under which key of the file the limits stand."""
    if limits.low is not None and limits.high is not None:
        return "outside"
    return "above" if limits.low is None else "below"


def _no_way_back(threshold: ThresholdConfig, point: Point) -> Fault | None:
    """Demand that what is raised can end: some value that can be must lie within the limits by the hysteresis."""
    for limits in (threshold.warning, threshold.alarm):
        if limits is None:
            continue
        low = point.quantity.minimum if limits.low is None else limits.low + threshold.hysteresis
        high = point.quantity.maximum if limits.high is None else limits.high - threshold.hysteresis
        if low is not None and high is not None and low > high:
            return ("hysteresis",), (
                f"{threshold.hysteresis:g} is so much that the threshold could never end: "
                f"the value would have to be at least {low:g} and at most {high:g}"
            )
    return None


__all__ = ["Fault", "fault", "numeric_points"]
