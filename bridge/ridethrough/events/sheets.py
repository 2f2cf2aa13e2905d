"""CSV (RFC 4180) that a spreadsheet reads as text: the event log."""

from collections.abc import Iterable, Mapping, Sequence
import csv
import io
import json
import math

from ridethrough.site import DeviceId, Value

from .event import Event

EVENT_COLUMNS = ("seq", "at", "kind", "device", "key", "edge", "severity", "details")
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""A cell that begins so is a formula to a spreadsheet; an apostrophe before it makes it text (OWASP, CSV injection)."""


def event_lines(events: Iterable[Event], names: Mapping[DeviceId, str]) -> str:
    """Write events, devices by the key that the configuration gives them, if it still does."""
    return lines(event_row(event, names) for event in events)


def event_row(event: Event, names: Mapping[DeviceId, str]) -> tuple[object, ...]:
    """Return the cells of an event."""
    device = "" if event.device is None else names.get(event.device, event.device)
    cells = (device, event.key, event.edge, event.severity, _details(event.details))
    return (event.seq, event.at.isoformat(timespec="milliseconds"), event.kind, *map(cell, cells))


def lines(rows: Iterable[Sequence[object]]) -> str:
    """Write rows; texts of strangers among the cells must have gone through `cell`."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def cell(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text


def _details(details: Mapping[str, Value]) -> str:
    """Write details as JSON, which has no infinities; what is not Unicode is mended, as in the API."""
    if not details:
        return ""
    known = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in details.items()
    }
    text = json.dumps(known, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace").decode()


__all__ = ["EVENT_COLUMNS", "FORMULA", "cell", "event_lines", "event_row", "lines"]
