"""What a job can do (manual M:2522): one frozen dataclass for each, with what it needs to be told.

Adding one is a dataclass here, its validator in `job_schema.py` and a module in `jobs/` that carries it out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import ClassVar, Literal

type Attachment = Literal["events", "data"]
type RemoteDevice = str


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Something that is done because of an event, at a time, by a plan or by a person."""

    name: ClassVar[str]
    """What it is called in the file."""
    title: ClassVar[str]
    """In words, for logs and errors."""
    informs: ClassVar[bool] = True
    """Whether it only tells somebody something; else it switches, starts or stops something (manual M:2468)."""
    once: ClassVar[bool] = False
    """Whether doing it twice is worse than telling that it may have been done twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogAction(Action):
    """Writes a text into the event log."""

    name: ClassVar[str] = "log"
    title: ClassVar[str] = "log entry"
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MailAction(Action):
    """Sends a mail; `trap` is the fixed wording for machines to read (mail trap)."""

    name: ClassVar[str] = "mail"
    title: ClassVar[str] = "mail"
    once: ClassVar[bool] = True
    to: tuple[str, ...] = ()
    """Empty: the receivers of the section `mail:`."""
    subject: str = ""
    text: str = ""
    """Both with placeholders; empty: the event in a sentence, with the state of its device."""
    attach: tuple[Attachment, ...] = ()
    trap: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentAction(Action):
    """Has shutdown agents do something."""

    name: ClassVar[str] = "agent"
    title: ClassVar[str] = "agent"
    informs: ClassVar[bool] = False
    once: ClassVar[bool] = True
    verb: Literal["shutdown", "message", "execute", "wakeup", "start"]
    agents: tuple[str, ...] = ()
    """Keys of agents; empty: all."""
    text: str = ""
    """Of a message, with placeholders; the reason of a shutdown."""
    program: str = ""
    """The name in the agent's own list of what may be run."""
    delay: float = 0.0
    """Seconds until an agent begins to shut down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatagramAction(Action):
    """Sends one of the two public RCCMD datagrams (`restored`: power is back)."""

    name: ClassVar[str] = "datagram"
    title: ClassVar[str] = "RCCMD datagram"
    restored: bool = False
    to: tuple[str, ...] = ()
    """Empty: the receivers of the section `agents: datagrams:`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandAction(Action):
    """Gives a device one of its commands: UPS shutdown and test, outlet, relay, buzzer, pausing of equalising."""

    name: ClassVar[str] = "command"
    title: ClassVar[str] = "command"
    informs: ClassVar[bool] = False
    once: ClassVar[bool] = True
    device: str
    """Key of the device; empty: the one of the event."""
    command: str
    arguments: Mapping[str, float | str] = field(default_factory=lambda: MappingProxyType({}), hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeOnLanAction(Action):
    """Sends magic packets (manual M:2586)."""

    name: ClassVar[str] = "wake_on_lan"
    title: ClassVar[str] = "wake-on-LAN"
    informs: ClassVar[bool] = False
    macs: tuple[str, ...]
    """As `00:11:22:33:44:55`, however they were written."""
    broadcast: str = "255.255.255.255"
    port: int = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsAction(Action):
    """Sends a text message by a modem or a gateway."""

    name: ClassVar[str] = "sms"
    title: ClassVar[str] = "SMS"
    once: ClassVar[bool] = True
    to: tuple[str, ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyslogAction(Action):
    """Sends a text to the receivers of the feed syslog, or to one of its own (RFC 5424 over UDP)."""

    name: ClassVar[str] = "syslog"
    title: ClassVar[str] = "syslog message"
    text: str = ""
    to: str = ""
    """`host` or `host:port`; empty: the receivers of the feed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrapAction(Action):
    """Has the SNMP feed send its test trap (manual M:1980)."""

    name: ClassVar[str] = "trap"
    title: ClassVar[str] = "SNMP test trap"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookAction(Action):
    """Sends the event as JSON to one of the addresses of the section `webhooks:`."""

    name: ClassVar[str] = "webhook"
    title: ClassVar[str] = "webhook"
    informs: ClassVar[bool] = False
    webhook: str
    """Its name there."""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteAction(Action):
    """Gives a device of another bridge a command (manual M:2543)."""

    name: ClassVar[str] = "remote"
    title: ClassVar[str] = "remote command"
    informs: ClassVar[bool] = False
    once: ClassVar[bool] = True
    bridge: str
    """Its name in the section `bridges:`."""
    device: RemoteDevice
    """Key of the device there."""
    command: str
    arguments: Mapping[str, float | str] = field(default_factory=lambda: MappingProxyType({}), hash=False)


ACTIONS: tuple[type[Action], ...] = (
    LogAction,
    MailAction,
    AgentAction,
    DatagramAction,
    CommandAction,
    WakeOnLanAction,
    SmsAction,
    SyslogAction,
    TrapAction,
    WebhookAction,
    RemoteAction,
)

__all__ = [
    "ACTIONS",
    "Action",
    "AgentAction",
    "Attachment",
    "CommandAction",
    "DatagramAction",
    "LogAction",
    "MailAction",
    "RemoteAction",
    "SmsAction",
    "SyslogAction",
    "TrapAction",
    "WakeOnLanAction",
    "WebhookAction",
]
