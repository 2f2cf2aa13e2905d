"""How long a UPS has been on battery, short returns of power notwithstanding.

A counter that begins at 0 whenever power returns for a moment warns of a shutdown for ever and never carries it out,
while the battery runs down (manual M:3170). This one pauses while power is back, goes on when it fails again within
the window, and is 0 only when power has been back for that long.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Outage:
    """One failure of power, with the short returns in between. Times are seconds of engine time."""

    began: float
    """Its identity, too: no two outages of a UPS begin at one moment."""
    since: float | None
    """Since when it has been on battery this time; None while power is back."""
    seconds: float = 0.0
    """How long it was on battery before that."""
    paused: float | None = None
    """Since when power is back."""
    informed: set[tuple[str, str, str]] = field(default_factory=set)
    """(job, device, condition) of what has told somebody something in this outage."""

    def count(self, now: float) -> float:
        """Seconds on battery in this outage."""
        return self.seconds + (0.0 if self.since is None else max(0.0, now - self.since))

    def json(self) -> Mapping[str, Any]:
        """Write it down."""
        return {
            "began": self.began,
            "since": self.since,
            "seconds": self.seconds,
            "paused": self.paused,
            "informed": sorted(self.informed),
        }

    @classmethod
    def of(cls, json: Mapping[str, Any]) -> Outage:
        """Read it again. Raises KeyError, TypeError or ValueError."""
        since, paused = json["since"], json["paused"]
        return cls(
            began=float(json["began"]),
            since=None if since is None else float(since),
            seconds=float(json["seconds"]),
            paused=None if paused is None else float(paused),
            informed={(str(job), str(device), str(condition)) for job, device, condition in json["informed"]},
        )


class Supply:
    """What is known of one UPS. Nothing of it but the outage is remembered over a restart."""

    def __init__(self, ups: str, window: float, order: int) -> None:
        """Nothing is known yet; power must be back for `window` seconds before an outage is over."""
        self.ups = ups
        self.window = window
        self.order = order
        self.hint: float | None = None
        """The earliest time at which the engine looks whether the outage is over."""
        self.outage: Outage | None = None
        self.runtime: float | None = None
        """Seconds, None while it is not known."""
        self.runtime_at = 0.0
        """When it became what it is."""
        self.confirmed = True
        """False after a restart until the UPS has said whether it is on battery."""
        self.known_at = 0.0
        """Until when it was known, while it is not confirmed."""

    @property
    def on_battery(self) -> bool:
        """Whether it is on battery; while nobody knows, what was known last.

        A cable that falls out in an outage must not stop the shutting down.
        """
        return self.confirmed and self.outage is not None and self.outage.since is not None

    def due(self) -> float | None:
        """When the outage is over if power stays; None while there is none, or it goes on."""
        if self.outage is None or self.outage.paused is None:
            return None
        return self.outage.paused + self.window

    def see(self, on_battery: bool, now: float) -> bool:
        """Take what the UPS says; whether that is news."""
        self.expire(now)
        confirmed, self.confirmed = self.confirmed, True
        outage = self.outage
        if on_battery:
            if outage is None:
                self.outage = Outage(began=now, since=now)
                return True
            if outage.since is None:
                outage.since, outage.paused = now, None
                return True
            # It still is, as far as anybody knows: the time in which nobody looked counts too.
            return not confirmed
        if outage is None:
            return False
        if outage.since is not None:
            # The time in which nobody looked counts as time with power when there is power after it.
            until = now if confirmed else min(now, max(self.known_at, outage.since))
            outage.seconds, outage.since, outage.paused = outage.count(until), None, until
            self.expire(now)
            return True
        return False

    def expire(self, now: float) -> bool:
        """Forget an outage that is over; whether there was one."""
        over = self.due()
        if over is None or now < over:
            return False
        self.outage = None
        return True


__all__ = ["Outage", "Supply"]
