"""Entries in the event log that jobs make: the texts of people, and what became of mails."""

import asyncio

from ridethrough.catalogue import Severity
from ridethrough.config.actions import LogAction
from ridethrough.events import EdgeKind, Event, EventKind, JournalError
from ridethrough.events.steps import ActionError, Occasion
from ridethrough.site import Device, Value

from .context import JobContext
from .wording import one_line, told

LONGEST = 1000
"""Characters of an entry: as long as a text of people may be with its placeholders filled in."""


class Log:
    """Writes a text into the event log."""

    def __init__(self, context: JobContext) -> None:
        """Write by way of `context`."""
        self._context = context

    async def perform(self, action: LogAction, occasion: Occasion) -> str:
        """See `Performer`."""
        text = told(action.text, occasion, self._context)
        device = self._context.device_of(occasion)
        return await enter(self._context, "job_log", text, occasion, device=device)


async def enter(
    context: JobContext,
    key: str,
    text: str,
    occasion: Occasion,
    *,
    device: Device | None = None,
    severity: Severity = Severity.INFO,
) -> str:
    """Write a system event with a text, of the bridge unless a device is given. Raises ActionError."""
    text = one_line(text)[:LONGEST]
    details: dict[str, Value] = {"text": text, "origin": occasion.origin}
    if occasion.actor:
        details["actor"] = occasion.actor
    owner = context.bridge if device is None else device
    event = Event(context.clock.utc(), EventKind.SYSTEM, owner.id, key, EdgeKind.OCCURRED, severity, details)
    try:
        async with asyncio.timeout(context.limits.record):
            await context.recorder.record(event)
    except TimeoutError:
        return f"The event log will have it when the journal can be written again: {text}"
    except JournalError as error:
        raise ActionError(f"The event log cannot be written: {error}", again=True) from error
    return f"The event log has it: {text}"


__all__ = ["Log", "enter"]
