"""CSV (RFC 4180) that a spreadsheet reads as text: the journal, and what devices remember themselves."""

from collections.abc import Iterable, Mapping, Sequence
import csv
import io

import orjson

from ridethrough.events.event import Event
from ridethrough.site import Alert, DeviceId

from . import wire

EVENT_COLUMNS = ("seq", "at", "kind", "device", "key", "edge", "severity", "details")
ALERT_COLUMNS = ("number", "at", "edge", "text")
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""A cell that begins so is a formula to a spreadsheet; an apostrophe before it makes it text (OWASP, CSV injection)."""


def event_lines(events: Iterable[Event], names: Mapping[DeviceId, str]) -> str:
    """Write events, devices by the key that the configuration gives them, if it still does."""
    rows = []
    for event in events:
        device = "" if event.device is None else names.get(event.device, event.device)
        details = orjson.loads(wire.event(event))["details"]
        cells = (device, event.key, event.edge, event.severity, orjson.dumps(details).decode() if details else "")
        rows.append((event.seq, event.at.isoformat(timespec="milliseconds"), event.kind, *map(_text, cells)))
    return _lines(rows)


def alert_lines(alerts: Iterable[Alert]) -> str:
    """Write a device's own history, with its heading."""
    rows = ((alert.number, _text(alert.at), alert.edge, _text(alert.text)) for alert in alerts)
    return _lines([ALERT_COLUMNS, *rows])


def _lines(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _text(cell: str) -> str:
    return f"'{cell}" if cell.startswith(FORMULA) else cell


__all__ = ["ALERT_COLUMNS", "EVENT_COLUMNS", "alert_lines", "event_lines"]
