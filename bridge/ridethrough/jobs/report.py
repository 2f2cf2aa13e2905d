"""What mails say without a text of their own: a report for people, and the fixed wording of a mail trap for programs."""

from collections.abc import Iterator

from ridethrough.events.steps import Occasion

from .context import JobContext
from .wording import UNKNOWN, happened, marked, one_line, state, value


def report(occasion: Occasion, context: JobContext) -> Iterator[str]:
    """Give the lines of a mail without a text of its own: what happened, when, and how the device is now."""
    yield marked(happened(occasion, context), occasion)
    yield ""
    event, device = occasion.event, context.device_of(occasion)
    if event is not None:
        yield f"Event: number {event.seq}, {event.at:%Y-%m-%d %H:%M:%S} UTC, {event.severity}"
    if device is not None:
        model = " ".join(part for part in (device.manufacturer, device.model) if part)
        yield f"Device: {device.name} ({device.key}{f', {model}' if model else ''})"
        yield from state(device, context)
    yield f"Sent: {context.clock.utc():%Y-%m-%d %H:%M:%S} UTC by {context.bridge.name}, Ridethrough {context.version}"


TRAP_VALUES = ("battery.charge", "battery.runtime", "ups.load", "input.voltage", "output.voltage", "battery.voltage")
"""Always there, in this order, `n/a` where nobody knows."""


def trap_subject(occasion: Occasion) -> str:
    """Return the fixed subject of a mail trap, by which programs pick it out."""
    event = occasion.event
    said = occasion.origin if event is None else f"{event.key} {event.edge}"
    return f"Ridethrough trap: {said}"


def trap(occasion: Occasion, context: JobContext) -> Iterator[str]:
    """Give the lines `key: value` of a mail trap, always the same ones in the same order."""
    event, device = occasion.event, context.device_of(occasion)
    fields = {
        "trap": "1",
        "bridge": context.bridge.name,
        "bridge-id": context.bridge.id,
        "origin": occasion.origin,
        "test": _word(occasion.test),
        "drill": _word(occasion.drill),
        "repeated": _word(occasion.retry),
        "late": f"{occasion.late:.0f}",
        "sequence": UNKNOWN if event is None else str(event.seq),
        "time": (context.clock.utc() if event is None else event.at).isoformat(timespec="seconds"),
        "kind": UNKNOWN if event is None else event.kind.value,
        "event": UNKNOWN if event is None else event.key,
        "edge": UNKNOWN if event is None else event.edge.value,
        "severity": UNKNOWN if event is None else event.severity.value,
        "device": UNKNOWN if device is None else device.key,
        "device-id": UNKNOWN if device is None else device.id,
        "device-name": UNKNOWN if device is None else device.name,
        "device-kind": UNKNOWN if device is None else device.kind,
        "model": UNKNOWN if device is None else device.model or UNKNOWN,
        "text": happened(occasion, context),
    }
    fields |= {key: UNKNOWN if device is None else value(device, key, context) for key in TRAP_VALUES}
    for key, said in fields.items():
        yield f"{key}: {one_line(said)}"


def _word(truth: bool) -> str:
    return "yes" if truth else "no"


__all__ = ["report", "trap", "trap_subject"]
