"""Time synchronisation: what others say the time is (ASHRAE 135 §16.7, §16.8).

The bridge does not set the computer's clock by it: the request carries no proof of who sent it, and the clock stamps
the journal and drives schedules. That is what NTP is for. What is kept is by how much the two differ, and a difference
that would confuse people who compare logs is said once a day.
"""

from datetime import UTC, datetime
import logging
from typing import Any

from ridethrough.clock import Clock

from .event_encoding import moment_of

_LOGGER = logging.getLogger(__name__)

TOLERANCE = 60.0
"""Seconds of difference that are worth a line in the log."""
QUIET = 86_400.0
"""Seconds until it is said again."""


class TimeSynchronization:
    """Mixed into an application; it listens once `clock` is set."""

    clock: Clock | None = None
    clock_offset: float | None = None
    """Seconds by which the building's clock was ahead of ours when it last told; None: it has not."""
    _told: float | None = None
    """When a difference was said last, by the monotonic clock."""

    async def do_TimeSynchronizationRequest(self, apdu: Any) -> None:
        """Hear what the local time is."""
        moment = moment_of(apdu.time.date, apdu.time.time)
        if moment is not None:
            # The zone is the computer's: BACnet's local time has none.
            self._hear(moment.astimezone())

    async def do_UTCTimeSynchronizationRequest(self, apdu: Any) -> None:
        """Hear what the time is."""
        moment = moment_of(apdu.time.date, apdu.time.time)
        if moment is not None:
            self._hear(moment.replace(tzinfo=UTC))

    def _hear(self, moment: datetime) -> None:
        if self.clock is None:
            return
        self.clock_offset = (moment - self.clock.utc()).total_seconds()
        now = self.clock.monotonic()
        # Whoever sends wrong and right times in turn must not fill the log.
        if abs(self.clock_offset) > TOLERANCE and (self._told is None or now - self._told > QUIET):
            self._told = now
            _LOGGER.warning(
                "A BACnet device says that this computer's clock is wrong by %.0f seconds. It is not set by BACnet; "
                "check its time synchronisation, or that of the building.",
                self.clock_offset,
            )


__all__ = ["TOLERANCE", "TimeSynchronization"]
