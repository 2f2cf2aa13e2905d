"""Engine time: seconds since 1970 that never jump and never go back, not even over a restart."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Self

from ridethrough.clock import Clock


@cache
def boot() -> str:
    """Name this run of the computer; empty where it cannot be told."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment to remember, with what tells after a restart how long ago it was, whatever the wall clock says."""

    moment: float
    """Engine time."""
    monotonic: float | None = None
    boot: str = ""
    """The run of the computer that `monotonic` belongs to."""

    def text(self) -> str:
        """Write it down."""
        return f"{self.moment!r} {self.monotonic!r} {self.boot}"

    @classmethod
    def of(cls, text: str | None) -> Self | None:
        """Read it again; one that cannot be read was none."""
        moment, monotonic, name = [*(text or "").split(), "", "", ""][:3]
        try:
            return cls(float(moment), float(monotonic) if monotonic else None, name)
        except ValueError:
            return None


class Timeline:
    """Follows the wall clock at its start, and from then on only the monotonic clock.

    A person or a time server that sets the clock in the middle of an outage must not have servers shut down; not even
    when the bridge is started again after that, as long as the computer itself was not.
    """

    def __init__(self, clock: Clock, remembered: float | None = None, ago: float | None = None) -> None:
        """Begin now, but never before what was last remembered; `ago`: so many seconds after it, where that is known."""
        self._clock = clock
        began = clock.utc().timestamp()
        if remembered is not None:
            began = max(began, remembered) if ago is None else remembered + ago
        self._offset = began - clock.monotonic()

    @classmethod
    def resumed(cls, clock: Clock, mark: Mark | None, run: str) -> Self:
        """Go on from a mark; `run` is this run of the computer, in which its monotonic clock has never stopped."""
        if mark is None:
            return cls(clock)
        ago = None
        if run and mark.boot == run and mark.monotonic is not None and clock.monotonic() >= mark.monotonic:
            ago = clock.monotonic() - mark.monotonic
        return cls(clock, mark.moment, ago)

    def mark(self, run: str) -> Mark:
        """Return the present moment, to be remembered."""
        return Mark(self.now(), self._clock.monotonic(), run)

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


__all__ = ["Mark", "Timeline", "boot"]
