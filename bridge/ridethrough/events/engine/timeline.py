"""Engine time: seconds since 1970 that never jump and never go back, not even over a restart."""

from datetime import datetime, timedelta

from ridethrough.clock import Clock


class Timeline:
    """Follows the wall clock at its start, and from then on only the monotonic clock.

    A person or a time server that sets the clock in the middle of an outage must not have servers shut down.
    """

    def __init__(self, clock: Clock, remembered: float | None = None) -> None:
        """Begin now, but never before what was last remembered."""
        self._clock = clock
        began = clock.utc().timestamp()
        self._offset = max(began, began if remembered is None else remembered) - clock.monotonic()

    def now(self) -> float:
        """Return the present moment."""
        return self._offset + self._clock.monotonic()

    def stamp(self, moment: float) -> datetime:
        """Return what the wall clock shows for a moment, as it goes now."""
        return self._clock.utc() - timedelta(seconds=self.now() - moment)

    def of(self, at: datetime, earliest: float) -> float:
        """Return the moment of a stamp of the wall clock: not before `earliest`, and not in the future."""
        now = self.now()
        ago = (self._clock.utc() - at).total_seconds()
        return min(now, max(earliest, now - max(0.0, ago)))


__all__ = ["Timeline"]
