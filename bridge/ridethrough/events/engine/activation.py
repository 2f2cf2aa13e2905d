"""An event that goes on, and how far each of its jobs has come."""

from collections.abc import Mapping
from dataclasses import dataclass, field
import math
from typing import Any

from ridethrough.config.jobs import Edge, JobConfig, Timing
from ridethrough.events.event import EdgeKind, Event
from ridethrough.events.notation import event_json, event_of
from ridethrough.site import DeviceId

from .causes import Subject
from .outage import Supply

SHORTEST = 1.0
"""Seconds between two repetitions at least."""
BATTERY = frozenset((Timing.ON_BATTERY, Timing.REMAINING))
"""Timings that go by a UPS."""

type Place = tuple[DeviceId, str, Edge]
"""Device, condition and edge: where there is one activation at a time."""


def edge_of(event: Event) -> Edge:
    """Tell which edge of its condition an event is."""
    return Edge.RAISED if event.edge is EdgeKind.RAISED else Edge.CLEARED


@dataclass(slots=True)
class Progress:
    """How far one job of one activation has come."""

    count: int = 0
    """How often it has been done; with repetitions the number of the next, counted from 0 at the beginning."""
    outage: float | None = None
    """The last outage in which it was done, by its beginning."""
    last: float | None = None
    """When it was last done, in engine time; of those that are repeated in an outage only."""


@dataclass(slots=True)
class Activation:
    """An event from its edge until the opposite one; that of a cleared edge only while something is still to do."""

    event: Event
    number: str
    """In the keys of its steps: the number of the event, or what stands for it while the journal cannot be written."""
    at: float
    """When it began, in engine time."""
    subject: Subject
    progress: dict[str, Progress] = field(default_factory=dict)
    """By key of job; every job that it has is in it."""
    confirmed: bool = True
    """False after a long absence until the device says that it is still so."""
    repeated: frozenset[str] = frozenset()
    """Jobs that may have been done for this event before the bridge was ended: it was told of before the journal was."""

    @property
    def place(self) -> Place:
        """Where it is."""
        return place_of(self.event)

    def json(self) -> Mapping[str, Any]:
        """Write it down."""
        return {
            "event": event_json(self.event),
            "number": self.number,
            "at": self.at,
            "subject": self.subject.json(),
            "jobs": {key: [progress.count, progress.outage, progress.last] for key, progress in self.progress.items()},
            **({"repeated": sorted(self.repeated)} if self.repeated else {}),
        }

    @classmethod
    def of(cls, json: Mapping[str, Any]) -> Activation:
        """Read it again. Raises KeyError, TypeError or ValueError."""
        return cls(
            event=event_of(json["event"]),
            number=str(json["number"]),
            at=float(json["at"]),
            subject=Subject.of(json["subject"]),
            progress={key: Progress(int(count), *rest) for key, (count, *rest) in json["jobs"].items()},
            repeated=frozenset(map(str, json.get("repeated", ()))),
        )


def place_of(event: Event) -> Place:
    """Tell where an event of a condition is."""
    if event.device is None:
        raise ValueError("An event of a condition has a device.")
    return event.device, event.key, edge_of(event)


@dataclass(slots=True, eq=False)
class Wait:
    """One job of one activation, as long as something may come of it."""

    activation: Activation
    job: JobConfig
    order: int
    ups: str | None
    """Whose time on battery and runtime count."""
    supply: Supply | None
    hint: float | None = None
    """The earliest time for which it stands in the heap."""
    alive: bool = True

    @property
    def progress(self) -> Progress:
        """How far it has come."""
        return self.activation.progress[self.job.key]

    @property
    def informed(self) -> tuple[str, str, str]:
        """How an outage remembers that it has told somebody."""
        event = self.activation.event
        return self.job.key, str(event.device), event.key

    @property
    def over(self) -> bool:
        """Whether nothing can come of it any more in this activation."""
        return self.job.when.timing in (Timing.AT_ONCE, Timing.AFTER) and self.progress.count > 0

    def due(self) -> float | None:
        """When it is due as things are; None while it is not (manual M:2702)."""
        began, seconds = self.activation.at, self.job.when.seconds
        timing = self.job.when.timing
        # What only tells somebody that something has happened does no harm when it is over already.
        tells = timing is Timing.AT_ONCE and self.job.action.informs
        if not self.alive or self.over or not (self.activation.confirmed or tells):
            return None
        match timing:
            case Timing.AT_ONCE:
                return began
            case Timing.AFTER:
                return began + seconds
            case Timing.EVERY:
                return began + self.progress.count * max(SHORTEST, seconds)
            case Timing.ON_BATTERY | Timing.REMAINING:
                return self._due_on_battery(seconds)

    def _due_on_battery(self, seconds: float) -> float | None:
        supply = self.supply
        if supply is None or not supply.on_battery or supply.outage is None or supply.outage.since is None:
            return None
        outage = supply.outage
        done = self.informed in outage.informed if self.job.action.informs else self.progress.outage == outage.began
        if done and self.job.when.repeat is None:
            return None
        if self.job.when.timing is Timing.ON_BATTERY:
            reached = supply.outage.since + max(0.0, seconds - outage.seconds)
        elif supply.runtime is not None and supply.runtime <= seconds:
            reached = max(supply.runtime_at, supply.outage.since)
        else:
            return None
        if done:
            assert self.job.when.repeat is not None
            last = self.progress.last
            began = max(supply.outage.since, self.activation.at) if last is None else last
            return max(reached, began + max(SHORTEST, self.job.when.repeat))
        return max(reached, self.activation.at)

    def fire(self, now: float) -> int:
        """Note that it is done now, and return its number in the activation, counted from 1."""
        progress = self.progress
        timing = self.job.when.timing
        if timing is Timing.EVERY:
            # Repetitions that were missed are not made up for: one is enough.
            period = max(SHORTEST, self.job.when.seconds)
            progress.count = max(progress.count, math.floor((now - self.activation.at) / period)) + 1
        else:
            progress.count += 1
        if timing in BATTERY and self.supply is not None and self.supply.outage is not None:
            progress.outage = self.supply.outage.began
            progress.last = None if self.job.when.repeat is None else now
            if self.job.action.informs:
                self.supply.outage.informed.add(self.informed)
        return progress.count

    def skip(self, now: float) -> None:
        """Let the beginning of the event be past: this job has come to it later."""
        period = max(SHORTEST, self.job.when.seconds)
        if self.job.when.timing is Timing.AT_ONCE:
            self.progress.count = 1
        elif self.job.when.timing is Timing.EVERY:
            self.progress.count = max(0, math.floor((now - self.activation.at) / period) + 1)


__all__ = ["BATTERY", "Activation", "Place", "Progress", "Wait", "edge_of", "place_of"]
