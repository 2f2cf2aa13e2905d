"""What must outlast a restart: which events are there, which are acknowledged, and who has been written as a recipient.

Without it each restart would raise every alarm anew and take back what people have acknowledged.
"""

from collections.abc import Mapping
from datetime import datetime
import json
import logging
from typing import Any

from ridethrough.feeds.base import Facts

from .event_state import EventState, Status

_LOGGER = logging.getLogger(__name__)

EVENTS = "bacnet.events"
RECIPIENTS = "bacnet.recipients"


def dump_statuses(statuses: Mapping[int, Status]) -> str:
    """Put statuses into a word: for each object its state, its three flags, its three stamps."""
    return json.dumps(
        {
            str(number): [
                int(status.state),
                [int(flag) for flag in status.acked],
                [None if stamp is None else stamp.isoformat() for stamp in status.stamps],
            ]
            for number, status in statuses.items()
        },
        separators=(",", ":"),
    )


async def load_statuses(facts: Facts) -> dict[int, Status]:
    """Read what `dump_statuses` gave; nothing if it cannot be read."""
    word = await facts.get(EVENTS)
    try:
        return {} if word is None else {int(number): _status(*entry) for number, entry in json.loads(word).items()}
    except ValueError, TypeError, AttributeError:
        _LOGGER.warning("What was remembered of BACnet events cannot be read; they begin anew")
        return {}


def _status(state: int, acked: list[int], stamps: list[str | None]) -> Status:
    first, second, third = (bool(flag) for flag in acked)
    one, two, three = (None if stamp is None else datetime.fromisoformat(stamp) for stamp in stamps)
    return Status(EventState(state), (first, second, third), (one, two, three))


def dump_recipients(configured: tuple[str, ...], written: Mapping[int, str]) -> str:
    """Put written recipient lists into a word, with what the configuration said at that time."""
    return json.dumps({"configured": configured, "written": {str(key): value for key, value in written.items()}})


async def load_recipients(facts: Facts, configured: tuple[str, ...]) -> dict[int, str]:
    """Read the written lists by the number of their class; none once the configuration says something new."""
    word = await facts.get(RECIPIENTS)
    try:
        known: dict[str, Any] = json.loads(word or "{}")
        if known.get("configured") != list(configured):
            return {}
        return {int(number): str(value) for number, value in known["written"].items()}
    except ValueError, TypeError, AttributeError, KeyError:
        _LOGGER.warning("The recipients that were written cannot be read; the configuration counts")
        return {}


__all__ = ["EVENTS", "RECIPIENTS", "dump_recipients", "dump_statuses", "load_recipients", "load_statuses"]
