"""Events with their jobs, as the configuration has them, and the search among them (manual M:2680)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ridethrough.catalogue import ConditionType, Severity, load_catalogue

from .actions import (
    Action,
    AgentAction,
    CommandAction,
    DatagramAction,
    LogAction,
    MailAction,
    RemoteAction,
    SmsAction,
    SyslogAction,
    WakeOnLanAction,
    WebhookAction,
)
from .inventory import ALL, Inventory, inventory
from .jobs import Edge, JobConfig, Timing, When
from .model import BridgeConfig

EDGES: Mapping[Edge, str] = {Edge.RAISED: "begun", Edge.CLEARED: "over"}
HEADING = ("DEVICE", "CONDITION", "EVENT", "JOB", "WHEN", "WHAT")
_LONGEST = 60


@dataclass(frozen=True, slots=True)
class ListedEvent:
    """An event that can happen, with what is done then."""

    device: str
    """Key of the device."""
    condition: str
    """Key of the condition; of one that there are several of, the catalogue's with its placeholder."""
    name: str
    edge: Edge
    severity: Severity
    jobs: tuple[JobConfig, ...]

    @property
    def words(self) -> str:
        """As people read it: `On battery: begun`."""
        return f"{self.name}: {EDGES[self.edge]}"


def listed(
    config: BridgeConfig, *, search: str = "", count: int | None = None, condition: str | None = None
) -> tuple[ListedEvent, ...]:
    """List events: those that have jobs, or those that contain a text, have so many jobs, or are of a condition."""
    wanted = search.casefold()
    found = []
    for event in _events(config):
        if count is None and not wanted and condition is None and not event.jobs:
            continue
        texts = (event.device, event.condition, event.words)
        if wanted and not any(wanted in text.casefold() for text in texts):
            continue
        if (count is None or len(event.jobs) == count) and condition in (None, event.condition):
            found.append(event)
    return tuple(found)


def _events(config: BridgeConfig) -> Iterator[ListedEvent]:
    known = inventory(config)
    for device in _devices(config, known):
        kind = known.kind_of(device)
        if kind is None:
            continue
        conditions = list(_conditions(device, kind, known))
        named = {key for job in config.jobs.jobs for cause in job.causes for key in cause.conditions}
        # Of those that there are any number of, as user_alarm.3, those that a job names are worth a line.
        found = ((key, known.condition(device, kind, key)) for key in sorted(named - dict(conditions).keys()))
        conditions += [(key, row) for key, row in found if row is not None]
        for key, row in conditions:
            for edge in Edge:
                jobs = tuple(job for job in config.jobs.jobs if _is_for(job, device, key, row, edge))
                if not jobs and device.endswith(ALL):
                    # What belongs to a device, and whether there is any, is known only when its link runs.
                    continue
                yield ListedEvent(device, key, _name(key, row), edge, row.severity, jobs)


def _devices(config: BridgeConfig, known: Inventory) -> Iterable[str]:
    """Return the configured devices, and what belongs to one as far as a job names it."""
    named = [pattern for job in config.jobs.jobs for cause in job.causes for pattern in cause.devices]
    parts = [key for pattern in named if "/" in pattern for key, _ in known.matches(pattern)]
    return dict.fromkeys([*known.kinds, *parts])


def _conditions(device: str, kind: str, known: Inventory) -> Iterator[tuple[str, ConditionType]]:
    catalogue = load_catalogue()
    for row in catalogue.conditions:
        if kind in row.kinds and not row.key.startswith("threshold."):
            yield row.key, row
    for key in known.threshold_conditions(device):
        if (found := catalogue.condition(kind, key)) is not None:
            yield key, found


def _name(key: str, row: ConditionType) -> str:
    name = row.name
    for placeholder, value in (row.template.match(key) or {}).items():
        name = name.replace(f"{{{placeholder}}}", value)
    return name


def _is_for(job: JobConfig, device: str, condition: str, row: ConditionType, edge: Edge) -> bool:
    return any(
        cause.edge is edge
        and (condition in cause.conditions or (ALL in cause.conditions and row.severity is not Severity.INFO))
        and any(_matches(pattern, device) for pattern in cause.devices)
        for cause in job.causes
    )


def _matches(pattern: str, device: str) -> bool:
    return pattern in (ALL, device) or (
        pattern.endswith((f"/{ALL}", f"-{ALL}")) and device.startswith(pattern[: -len(ALL)])
    )


# In words


def when_in_words(when: When) -> str:
    """Say when a job is done: `after 8 min on battery`."""
    seconds = _seconds(when.seconds)
    match when.timing:
        case Timing.AT_ONCE:
            return "at once"
        case Timing.AFTER:
            return f"after {seconds}"
        case Timing.EVERY:
            return f"every {seconds}"
        case Timing.ON_BATTERY:
            return f"after {seconds} on battery{_again(when)}"
        case Timing.REMAINING:
            return f"at {seconds} remaining{_again(when)}"


def _again(when: When) -> str:
    return "" if when.repeat is None else f", and every {_seconds(when.repeat)} from then on"


def _seconds(seconds: float) -> str:
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def action_in_words(action: Action) -> str:
    """Say what an action does: `mail to operator@example.org`."""
    match action:
        case LogAction(text=text):
            said = f"log entry: {text}"
        case MailAction(to=to, trap=trap):
            said = f"{'mail trap' if trap else 'mail'}{_to(to)}"
        case AgentAction(verb=verb, agents=agents, program=program):
            said = f"{verb}{f' {program}' if program else ''}: {', '.join(agents) or 'all agents'}"
        case DatagramAction(restored=restored, to=to):
            said = f"RCCMD datagram, power {'restored' if restored else 'failed'}{_to(to)}"
        case CommandAction(device=device, command=command, arguments=arguments):
            said = f"{command} of {device or 'the device of the event'}{_arguments(arguments)}"
        case WakeOnLanAction(macs=macs):
            said = f"wake {', '.join(macs)}"
        case SmsAction(to=to):
            said = f"SMS{_to(to)}"
        case SyslogAction(to=receiver):
            said = f"syslog message{_to((receiver,) if receiver else ())}"
        case WebhookAction(webhook=webhook):
            said = f"webhook {webhook}"
        case RemoteAction(bridge=bridge, device=device, command=command, arguments=arguments):
            said = f"{command} of {device} at {bridge}{_arguments(arguments)}"
        case _:
            said = action.title
    return said if len(said) <= _LONGEST else f"{said[: _LONGEST - 1]}…"


def _to(receivers: Sequence[str]) -> str:
    return f" to {', '.join(receivers)}" if receivers else ""


def _arguments(arguments: Mapping[str, float | str]) -> str:
    found = ", ".join(
        f"{name} {value if isinstance(value, str) else f'{value:g}'}" for name, value in arguments.items()
    )
    return f" ({found})" if found else ""


# As a table and as data


def table(events: Sequence[ListedEvent]) -> str:
    """Write events and their jobs, one line each, in columns."""
    rows: list[tuple[str, ...]] = [HEADING]
    for event in events:
        first = (event.device, event.condition, event.words)
        for job in event.jobs:
            off = "" if job.enabled else " (switched off)"
            rows.append((*first, f"{job.key}{off}", when_in_words(job.when), action_in_words(job.action)))
            first = ("", "", "")
        if not event.jobs:
            rows.append((*first, "-", "", ""))
    return columns(rows)


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Write rows with each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def as_data(events: Iterable[ListedEvent]) -> list[dict[str, object]]:
    """Return events as what becomes JSON."""
    return [
        {
            "device": event.device,
            "condition": event.condition,
            "edge": event.edge,
            "name": event.name,
            "severity": event.severity,
            "jobs": [
                {
                    "id": job.key,
                    "name": job.name,
                    "enabled": job.enabled,
                    "timing": job.when.timing,
                    "seconds": job.when.seconds,
                    "repeat": job.when.repeat,
                    "action": job.action.name,
                    "what": action_in_words(job.action),
                }
                for job in event.jobs
            ],
        }
        for event in events
    ]


__all__ = ["ListedEvent", "action_in_words", "as_data", "columns", "listed", "table", "when_in_words"]
