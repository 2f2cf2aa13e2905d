"""What is told where the configuration has no words of its own, and how tests, drills and what is late are marked."""

from collections.abc import Iterator, Mapping

from ridethrough.events.controls import without_controls
from ridethrough.events.sentence import sentence
from ridethrough.events.steps import Occasion
from ridethrough.site import Device, Quality, Value

from .context import JobContext

UNKNOWN = "n/a"
"""Where a value is not known, or not known any longer (manual M:2693)."""
TEST, DRILL, REPEATED = "Test: ", "Drill: ", "(repeated, it may have been sent before) "
STATE = (
    "ups.mode",
    "battery.charge",
    "battery.runtime",
    "ups.load",
    "input.voltage",
    "output.voltage",
    "battery.voltage",
    "ups.temperature",
)
"""What a mail tells of a device, where the device has it."""


def one_line(text: str) -> str:
    """Make it one line without control characters, so that nothing in it can end a header or a message."""
    return without_controls(text).strip()


def marked(text: str, occasion: Occasion) -> str:
    """Say before a text that it is a test, a drill, late or perhaps a repetition."""
    mark = DRILL if occasion.drill else TEST if occasion.test else ""
    late = f"({_span(occasion.late)} late, the bridge was not running) " if occasion.late > 0 else ""
    return f"{mark}{late}{REPEATED if occasion.retry else ''}{text}"


def _span(seconds: float) -> str:
    """Write how late something is as people say it; the bridge may have been away for days."""
    minutes = max(1, round(seconds / 60))
    if minutes < 120:
        return f"{minutes} min"
    hours = round(minutes / 60)
    return f"{hours} h" if hours < 48 else f"{round(hours / 24)} days"


def told(text: str, occasion: Occasion, context: JobContext) -> str:
    """Return a text with its placeholders filled in, or what has happened where it is empty; marked."""
    return marked(context.render(text, occasion) if text else happened(occasion, context), occasion)


def filled(arguments: Mapping[str, float | str], occasion: Occasion, context: JobContext) -> dict[str, Value]:
    """Return a command's arguments with the placeholders of its texts filled in."""
    return {
        name: context.render(given, occasion) if isinstance(given, str) else given for name, given in arguments.items()
    }


def happened(occasion: Occasion, context: JobContext) -> str:
    """Say in a sentence what something is done for."""
    event = occasion.event
    if event is None:
        return f"{context.bridge.name}: {occasion.origin}"
    device = context.device_of(occasion)
    whole = None if device is None or not device.parent else context.site.devices.get(device.parent)
    return sentence(event, device, context.site.catalogue, whole)


def value(device: Device, key: str, context: JobContext) -> str:
    """Write a value with its unit; one that is not good is not known."""
    reading = context.site.reading(device.id, key)
    point = context.site.catalogue.point(device.kind, key)
    if reading is None or point is None or not reading.good or reading.value is None:
        return UNKNOWN
    precision = point.quantity.precision
    number = isinstance(reading.value, float) and precision is not None
    return f"{f'{reading.value:.{precision}f}' if number else reading.value} {point.unit}".strip()


def state(device: Device, context: JobContext) -> Iterator[str]:
    """Give the lines that tell how a device is."""
    catalogue = context.site.catalogue
    for key in STATE:
        reading = context.site.reading(device.id, key)
        point = catalogue.point(device.kind, key)
        if reading is not None and reading.quality is not Quality.UNSUPPORTED and point is not None:
            yield f"{point.name}: {value(device, key, context)}"
    for key, condition in context.site.conditions(device.id).items():
        known = catalogue.condition(device.kind, key)
        if condition.active and known is not None:
            doubt = "" if condition.quality is Quality.GOOD else " (not heard of since)"
            yield f"{known.name}: since {condition.since:%Y-%m-%d %H:%M:%S} UTC{doubt}"


__all__ = ["UNKNOWN", "filled", "happened", "marked", "one_line", "state", "told", "value"]
