"""What every link is: an owned connection to field equipment that reports what it reads and performs commands."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Protocol
from urllib.parse import parse_qsl, urlsplit

from ridethrough.battery.bus import Bus
from ridethrough.site import Alert, CommandError, CommandResult, Value

from .option import Option

if TYPE_CHECKING:
    from .context import LinkContext

type Points = Mapping[str, Value | None]
type Conditions = Mapping[str, bool]


class LinkError(Exception):
    """The equipment cannot be reached or is not understood; the message says what to do about it."""


@dataclass(frozen=True, slots=True)
class LinkUrl:
    """Where a device is reached: `megatec:/dev/ttyUSB0?baud=2400`, `nut://host:3493/ups1`."""

    scheme: str
    host: str = ""
    port: int | None = None
    path: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> LinkUrl:
        """Take a URL apart. Raises ValueError with a sentence when it is none."""
        scheme, _, rest = text.partition(":")
        # Python's own reading of a URL has no underscores in schemes.
        parts = urlsplit(f"{scheme.replace('_', '-')}:{rest}")
        if not parts.scheme:
            raise ValueError(f"{text!r} is no link: it must start with a scheme, as in megatec:/dev/ttyUSB0")
        if parts.username or parts.password:
            raise ValueError("Put the user name and the password under username: and password:, not into the link")
        # Schemes are read in any case, as in all URLs.
        return cls(scheme.lower(), parts.hostname or "", parts.port, parts.path, dict(parse_qsl(parts.query)))

    def __str__(self) -> str:
        """Write the URL as a person would; it holds no secret."""
        if not self.host:
            return f"{self.scheme}:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}{'' if self.port is None else f':{self.port}'}{self.path}"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a link needs to log in; never shown, never logged."""

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    """Also the authentication passphrase of an SNMPv3 user."""
    community: str | None = field(default=None, repr=False)
    """SNMP v1 and v2c."""
    privacy_password: str | None = field(default=None, repr=False)
    """The encryption passphrase of an SNMPv3 user."""


class Reach(StrEnum):
    """How a link reaches its equipment; decides what a person is asked for."""

    SERIAL = "serial"
    """A serial port: `scheme:/dev/ttyUSB0`."""
    HOST = "host"
    """A host, perhaps a port and a path: `scheme://host:port/path`."""
    EITHER = "either"
    """One or the other."""


class Secret(StrEnum):
    """The credentials a link may ask for: fields of `Credentials`, keys of the configuration."""

    USERNAME = "username"
    PASSWORD = "password"
    COMMUNITY = "community"
    PRIVACY_PASSWORD = "privacy_password"


@dataclass(frozen=True, slots=True)
class Identity:
    """What a device says of itself, and the commands it offers (catalogue keys)."""

    manufacturer: str | None = None
    model: str | None = None
    serial: str | None = None
    firmware: str | None = None
    commands: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class RawValue:
    """A value as the equipment itself names and words it."""

    name: str
    text: str
    unit: str = ""
    """Empty where it has none, or where that is not certain."""
    key: str | None = None
    """The point that is made of it; None for what the catalogue does not know."""
    child: tuple[str, str] | None = None
    """Kind and number of the child device that has the point."""
    value: Value | None = None
    """What it comes to in `unit`, where that is known; the point may have been taken from another one all the same."""
    meaning: str = ""
    """What it is, for what is no point by its nature and makes a condition, as a contact does."""


class Report(Protocol):
    """Where a link posts what it reads of one device. The link runner makes it."""

    def identified(self, identity: Identity) -> None:
        """Note who the device says it is and what it can be asked to do."""

    def status(self, points: Points, conditions: Conditions | None = None) -> None:
        """Values read with every poll. Those not confirmed within the link's deadline become stale."""

    def details(self, points: Points, conditions: Conditions | None = None) -> None:
        """Values read rarely, such as ratings; they become stale after the link's slow deadline."""

    def dropped(self, keys: list[str]) -> None:
        """Note that the device no longer mentions these points."""

    def count(self, counter: str, amount: int = 1) -> None:
        """Count an answer or a fault: answers, timeouts, malformed, refused. Shown as `link.<counter>`."""

    def child(self, kind: str, number: str, name: str) -> Report:
        """Return the report of a device that belongs to this one, e.g. outlet 2; it is made when first asked for."""

    def together(self) -> AbstractContextManager[None]:
        """Make everything that is reported within it one revision of the site; nothing may be awaited within it."""


class Link(ABC):
    """A connection to one UPS (or other device). Subclasses speak a protocol and decide nothing else."""

    scheme: ClassVar[str]
    """The scheme of its URLs."""
    title: ClassVar[str]
    """What the protocol is called, in English."""
    example: ClassVar[str]
    """A URL to show in messages and help."""
    reach: ClassVar[Reach]
    port: ClassVar[int | None] = None
    """The port of a host that holds when the URL names none."""
    options: ClassVar[tuple[Option, ...]] = ()
    """What may follow the question mark of its URLs."""
    secrets: ClassVar[tuple[Secret, ...]] = ()
    """The credentials it can use."""
    kind: str = "ups"
    """The kind of device it is a link to; links that can be to several say which when their URL has been read."""
    kind_is_certain: ClassVar[bool] = True
    """False where only the equipment itself can say what it is, as a card may sit in a transfer switch."""
    shares_line: ClassVar[bool] = False
    """Whether several links of this scheme may use one serial line, as devices on RS-485 do."""
    judges: ClassVar[bool] = False
    """Whether equipment behind it judges battery modules itself, so that its conditions hold and none are worked out."""
    bus: Bus | None = None
    """What a battery system may ask of it, for links to battery modules that can be told something."""
    deadline: float = 5.0
    """Seconds after which an unconfirmed status value is stale."""
    slow_deadline: float = 600.0
    """The same for details."""

    @abstractmethod
    def __init__(self, url: LinkUrl, credentials: Credentials, context: LinkContext) -> None:
        """Read the URL's options; nothing is opened yet. Raises ValueError with a sentence when one is wrong."""

    @abstractmethod
    async def run(self, report: Report) -> None:
        """Connect, and report for ever. Raises LinkError or OSError when the connection is lost.

        The first call of `report.status` tells the runner that the connection is good.
        """

    @abstractmethod
    async def perform(self, command: str, arguments: Mapping[str, Value], child: str | None = None) -> CommandResult:
        """Carry out a command of the catalogue; `child` is the number of a child device, e.g. `2` of outlet 2.

        Raises CommandError (refused, no_answer, offline).
        """

    @classmethod
    def line(cls, url: LinkUrl) -> str | None:
        """Name the serial line that a URL stands for; None where it stands for something else."""
        return url.path if cls.reach is not Reach.HOST and not url.host and url.path else None

    def remember(self, raised: frozenset[str]) -> None:
        """Learn, before it runs, which conditions of the device the journal knows as raised.

        For links that are told only what holds: they could not say otherwise that it is over.
        """

    def pipe(self, path: str, granted: frozenset[str]) -> None:
        """Serve the raw line of the equipment to another manager on the serial port `path` from now on.

        `granted` are the command groups that manager may use. Raises ValueError where there is no line to share.
        """
        raise ValueError(f"A {self.scheme} link has no serial line that another manager could share.")

    async def history(self) -> tuple[Alert, ...]:
        """Read the alerts that the equipment itself remembers, oldest first.

        Raises CommandError (unknown_command where it keeps none), LinkError or OSError.
        """
        raise CommandError("unknown_command", "The equipment keeps no history of its own that could be read.")

    def raw(self) -> tuple[RawValue, ...]:
        """Give what the last poll has read in the equipment's own words; empty where the protocol has no names."""
        return ()


__all__ = [
    "CommandError",
    "CommandResult",
    "Conditions",
    "Credentials",
    "Identity",
    "Link",
    "LinkError",
    "LinkUrl",
    "Points",
    "RawValue",
    "Reach",
    "Report",
    "Secret",
]
