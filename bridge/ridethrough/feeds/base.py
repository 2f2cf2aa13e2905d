"""What every feed has: how it is run, what it is given, and what it counts."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from ridethrough.catalogue import Role
from ridethrough.clock import Clock
from ridethrough.events.event import Event
from ridethrough.events.orders import Orders
from ridethrough.site import CommandError, Device, Site

from .directory import Directory


class FeedError(Exception):
    """A feed cannot serve at the moment; the message says why and what to do about it."""


class Numbers(Protocol):
    """Gives numbers once and for ever: `store.Numbers`."""

    async def assign(self, scope: str, names: Iterable[str]) -> Mapping[str, int]:
        """Return the numbers of all these names: 1, 2, 3, … within the scope; new ones get the next."""


class Facts(Protocol):
    """Remembers single facts: `store.Facts`."""

    async def get(self, key: str) -> str | None:
        """Return what is remembered, None for nothing."""

    async def put(self, key: str, value: str) -> None:
        """Remember this in the place of what was there; it is on the disk when this returns."""


class EventSource(Protocol):
    """Tells of events once they are in the journal, and takes new ones: `events.Recorder`."""

    def subscribe(self, callback: Callable[[Event], None]) -> Callable[[], None]:
        """Call `callback` with each event in the order of their numbers; returns what ends that."""

    async def record(self, event: Event) -> object:
        """Write an event into the journal and tell the subscribers. Raises JournalError.

        Whoever gives up waiting does not take the event back: it is written as soon as that is possible.
        """


@dataclass(frozen=True, slots=True)
class FeedContext:
    """What the bridge gives every feed."""

    site: Site
    directory: Directory
    orders: Orders
    events: EventSource
    clock: Clock
    numbers: Numbers
    facts: Facts
    bridge: Device
    """The bridge itself; its name is what other systems see."""
    version: str
    data: Path
    """The folder for what must be kept in files, such as certificates."""


@dataclass(frozen=True, slots=True)
class Client:
    """Who gives a command by way of a feed; that the feed grants it has been seen before."""

    name: str
    """For the journal, e.g. `Modbus 192.0.2.7`."""
    role: Role = Role.ADMIN


@dataclass(slots=True)
class Traffic:
    """What a feed has done since the bridge started. Feeds count; `Service` publishes it from time to time."""

    requests: int = 0
    """Requests answered, or messages sent by feeds that only send."""
    errors: int = 0
    """Requests refused or not understood, and messages that could not be sent."""
    clients: int = 0
    """Who is connected or subscribed now, or has asked within the last minutes where nobody connects."""


class Feed(ABC):
    """One protocol that we serve. It is made anew each time that it is started."""

    name: ClassVar[str]

    def __init__(self, context: FeedContext, traffic: Traffic) -> None:
        """Nothing is opened yet."""
        self.context = context
        self.traffic = traffic

    @abstractmethod
    async def serve(self, ready: Callable[[str], None]) -> None:
        """Serve until cancelled, and leave nothing open then.

        `ready` is called once it does, with the place in words, e.g. `127.0.0.1:502`. Raises FeedError when it
        cannot be; it is tried again later.
        """

    @property
    def problem(self) -> str | None:
        """What it cannot do at the moment although it serves, in a sentence; None when all is well."""
        return None

    async def test(self) -> str:
        """Send something by which a person sees that it works, and say in a sentence what was sent.

        Raises CommandError when it cannot be sent. For feeds that the assembly calls testable.
        """
        raise CommandError("unknown_command", f"{self.name} has nothing to send.")


__all__ = ["Client", "EventSource", "Facts", "Feed", "FeedContext", "FeedError", "Numbers", "Traffic"]
