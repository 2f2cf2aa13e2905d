"""Commands under way: noted before they are carried out, so that none is without a trace after `kill -9` (DESIGN §4.5).

A note is no event: people and automations hear of a command once, when it is known how it ended. A bridge that was
killed in between says so when it starts again.
"""

import asyncio
from dataclasses import replace
import logging
from typing import Protocol

from ridethrough.catalogue import Severity
from ridethrough.clock import Clock

from .event import Event, JournalError

_LOGGER = logging.getLogger(__name__)


class Pending(Protocol):
    """Where commands under way are noted. `store.Pending` implements it. Its methods raise JournalError."""

    async def note(self, event: Event) -> int:
        """Note a command durably before it is carried out, and return the number to forget it by."""

    async def forget(self, number: int) -> None:
        """Forget a command whose end is in the journal."""

    async def unfinished(self) -> list[Event]:
        """Return what is noted, oldest first; `seq` is the number to forget it by."""


class Recording(Protocol):
    """Takes events: `events.Recorder`."""

    async def record(self, event: Event) -> object:
        """Write an event into the journal. Raises JournalError."""


async def tell_unfinished(pending: Pending, recorder: Recording, clock: Clock, patience: float = 5.0) -> None:
    """Tell in the journal of the commands during which the bridge was killed.

    Call it once, while the recorder runs and before commands are taken. What cannot be written within `patience`
    seconds is told at the next start: a full disk must not keep the bridge from running.
    """
    try:
        async with asyncio.timeout(patience):
            await _tell(pending, recorder, clock)
    except (TimeoutError, JournalError) as error:
        _LOGGER.error("What became of commands before the start is not in the journal yet: %s", error)


async def _tell(pending: Pending, recorder: Recording, clock: Clock) -> None:
    for noted in await pending.unfinished():
        message = (
            f"The bridge was ended while this command, given at {noted.at:%Y-%m-%d %H:%M:%S} UTC, was under way; "
            "whether it was carried out is not known."
        )
        details = {**noted.details, "outcome": "no_answer", "message": message}
        await recorder.record(replace(noted, at=clock.utc(), severity=Severity.WARNING, details=details, seq=0))
        await pending.forget(noted.seq)


__all__ = ["Pending", "Recording", "tell_unfinished"]
