"""Which jobs an event has: looked up, never searched for, however many jobs and devices there are."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ridethrough.catalogue import Severity
from ridethrough.config.jobs import Edge, JobConfig

ANY = "*"


@dataclass(frozen=True, slots=True)
class Subject:
    """The device that an event is about, as the causes of jobs name it."""

    key: str
    above: tuple[str, ...] = ()
    """Keys of the devices that it belongs to, the nearest first."""
    ups: str | None = None
    """Key of the UPS that it is or belongs to."""

    def patterns(self) -> Iterator[str]:
        """Give everything by which a cause may name it: its key, `*`, `ups-1/outlet-*`, and `ups-1/*` for what it is in."""
        yield self.key
        yield ANY
        kind, _, number = self.key.rpartition("-")
        if "/" in kind and "/" not in number:
            yield f"{kind}-{ANY}"
        parts = self.key.split("/")
        below = ["/".join(parts[:count]) for count in range(len(parts) - 1, 0, -1)]
        for owner in dict.fromkeys((*below, *self.above)):
            yield f"{owner}/{ANY}"

    def json(self) -> Mapping[str, Any]:
        """Write it down."""
        return {"key": self.key, "above": list(self.above), "ups": self.ups}

    @classmethod
    def of(cls, json: Mapping[str, Any]) -> Subject:
        """Read it again. Raises KeyError or TypeError."""
        return cls(json["key"], tuple(json["above"]), json["ups"])


class Causes:
    """The jobs of a configuration by edge, condition and device."""

    def __init__(self, jobs: Iterable[JobConfig]) -> None:
        """Sort them in; those that are switched off are left out."""
        self.jobs = {job.key: job for job in jobs if job.enabled}
        self._places = {key: place for place, key in enumerate(self.jobs)}
        self._found: dict[tuple[Edge, str, str], dict[str, JobConfig]] = {}
        for job in self.jobs.values():
            for cause in job.causes:
                for condition in cause.conditions:
                    for device in cause.devices:
                        self._found.setdefault((cause.edge, condition, device), {})[job.key] = job

    def of(self, subject: Subject, condition: str, edge: Edge, severity: Severity) -> tuple[JobConfig, ...]:
        """Return the jobs of an event, in the order of the configuration."""
        conditions = [condition] if severity is Severity.INFO else [condition, ANY]
        found: dict[str, JobConfig] = {}
        for pattern in subject.patterns():
            for name in conditions:
                found |= self._found.get((edge, name, pattern), {})
        return tuple(sorted(found.values(), key=lambda job: self._places[job.key]))


__all__ = ["ANY", "Causes", "Subject"]
