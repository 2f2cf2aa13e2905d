"""What a configuration file says of jobs: because of which events or when, and by which mail server and the like."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Literal

from .actions import Action


class Edge(StrEnum):
    """Which edge of a condition a job is for; `cleared` is the manuals' counter event (M:2760)."""

    RAISED = "raised"
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True)
class Cause:
    """The events that a job is for: each condition of these devices, at this edge."""

    devices: tuple[str, ...]
    """Keys of devices; `*` for every one, `ups-1/*` for those below one."""
    conditions: tuple[str, ...]
    """Keys of conditions; `*` for every one that is a warning or an alarm."""
    edge: Edge = Edge.RAISED


class Timing(StrEnum):
    """When a job is done, after its event (manual M:2702)."""

    AT_ONCE = "at_once"
    AFTER = "after"
    """After so many seconds; dropped if the event has ended."""
    EVERY = "every"
    """At once, and every so many seconds until the event ends."""
    ON_BATTERY = "on_battery"
    """After so many seconds on battery, short returns of power notwithstanding."""
    REMAINING = "remaining"
    """When so many seconds of runtime remain: reached or undershot."""


@dataclass(frozen=True, slots=True)
class When:
    """A timing and its seconds."""

    timing: Timing = Timing.AT_ONCE
    seconds: float = 0.0
    repeat: float | None = None
    """After this many seconds it is done again and again until the event ends: with the timings that go by a UPS, so
    that who switches his computer on again has it shut down again (manual M:3115)."""


@dataclass(frozen=True, slots=True)
class JobConfig:
    """One job of any number of events."""

    key: str
    name: str
    causes: tuple[Cause, ...]
    action: Action
    when: When = When()
    ups: str | None = None
    """Whose time on battery and runtime count; None: the device of the event, or the UPS that it belongs to."""
    enabled: bool = True


class Repeat(StrEnum):
    """How often a scheduled job is done (manual M:4015)."""

    ONCE = "once"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


@dataclass(frozen=True, slots=True)
class ScheduleConfig:
    """A job at a time, in the time zone of the site."""

    key: str
    name: str
    start: datetime
    """The first time, without time zone: what a clock on the wall there shows."""
    repeat: Repeat
    action: Action
    late: bool = False
    """Whether a run that was missed, because the bridge was off, is made up for."""
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class MailConfig:
    """The mail server (manual M:1407)."""

    host: str
    sender: str
    port: int = 587
    security: Literal["none", "starttls", "tls"] = "starttls"
    """`starttls` insists on it."""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    receivers: tuple[str, ...] = ()
    ca: Path | None = None
    """Certificates to trust beside those of the system."""
    log: Literal["errors", "always", "never"] = "errors"
    """What the event log says of mails (manual M:1448)."""


@dataclass(frozen=True, slots=True)
class SmsConfig:
    """By what text messages are sent: a GSM modem on a serial port."""

    port: str
    baud: int = 115200
    pin: str | None = field(default=None, repr=False)
    receivers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WebhookConfig:
    """An address that is told of events."""

    key: str
    url: str
    token: str | None = field(default=None, repr=False)
    """Sent as `Authorization: Bearer`."""
    ca: Path | None = None


@dataclass(frozen=True, slots=True)
class RemoteConfig:
    """Another bridge that may be given commands."""

    key: str
    url: str
    """`https://host:8480`."""
    token: str = field(repr=False)
    fingerprint: str | None = None
    """SHA-256 of its certificate, where it made that itself."""


@dataclass(frozen=True, slots=True)
class JobsConfig:
    """All of it: `jobs:`, `schedule:`, `outages:`, `mail:`, `sms:`, `webhooks:`, `bridges:` and what people may do by hand."""

    jobs: tuple[JobConfig, ...] = ()
    schedule: tuple[ScheduleConfig, ...] = ()
    outage_window: float = 120.0
    """Seconds for which power must be back before the time on battery begins anew (manual M:3170)."""
    time_zone: str | None = None
    """Of the schedule, e.g. `Europe/Berlin`; None: the computer's."""
    mail: MailConfig | None = None
    sms: SmsConfig | None = None
    webhooks: tuple[WebhookConfig, ...] = ()
    bridges: tuple[RemoteConfig, ...] = ()
    allow: frozenset[str] = frozenset()
    """`job`: clients of the API may run jobs by hand."""


__all__ = [
    "Cause",
    "Edge",
    "JobConfig",
    "JobsConfig",
    "MailConfig",
    "RemoteConfig",
    "Repeat",
    "ScheduleConfig",
    "SmsConfig",
    "Timing",
    "WebhookConfig",
    "When",
]
