"""CSV (RFC 4180) that a spreadsheet reads as text: what devices remember themselves."""

from collections.abc import Iterable

from ridethrough.events.sheets import cell, lines
from ridethrough.site import Alert

ALERT_COLUMNS = ("number", "at", "edge", "text")


def alert_lines(alerts: Iterable[Alert]) -> str:
    """Write a device's own history, with its heading."""
    rows = ((alert.number, cell(alert.at), alert.edge, cell(alert.text)) for alert in alerts)
    return lines([ALERT_COLUMNS, *rows])


__all__ = ["ALERT_COLUMNS", "alert_lines"]
