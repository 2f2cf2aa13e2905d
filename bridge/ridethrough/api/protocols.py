"""What the API needs of the rest of the bridge. The command line passes in who provides it."""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from ridethrough.battery.records import Entry, Sheet
from ridethrough.catalogue import Role
from ridethrough.config.draft import DeviceDraft
from ridethrough.events.event import Event
from ridethrough.site import DeviceId


class TokenInfo(Protocol):
    """Whose token it is."""

    @property
    def id(self) -> str:
        """Its identity; not the secret."""

    @property
    def name(self) -> str:
        """What a person calls it; the actor of the commands given with it."""

    @property
    def role(self) -> Role:
        """What it permits."""


class TokenVerifier(Protocol):
    """Knows the valid tokens: `store.Tokens`."""

    async def verify(self, secret: str) -> TokenInfo | None:
        """Return whose token this is, or None when it is unknown, revoked or expired."""

    async def get(self, token_id: str) -> TokenInfo | None:
        """Return the token of this identity if it is still valid."""


class EventSource(Protocol):
    """Tells of events once they are in the journal, and takes new ones: `events.Recorder`."""

    def subscribe(self, callback: Callable[[Event], None]) -> Callable[[], None]:
        """Call `callback` with each event in the order of their numbers; returns what ends that."""

    async def record(self, event: Event) -> object:
        """Write an event into the journal and tell the subscribers. Raises JournalError.

        Whoever gives up waiting does not take the event back: it is written as soon as that is possible.
        """


class EventHistory(Protocol):
    """The part of `events.Journal` that is read here. Both methods raise JournalError."""

    async def after(self, seq: int, limit: int = 1000) -> list[Event]:
        """Return events with a higher number than `seq`, oldest first, at most `limit`."""

    async def last(self) -> int:
        """Return the highest number so far, 0 if there is none."""


class TraceSource(Protocol):
    """Knows what goes over the line of a device."""

    def trace(self, device: str) -> AbstractContextManager[AsyncIterable[object]] | None:
        """Listen to the line of the device that the configuration calls so; None when it has no such line.

        `str()` of what comes is a line of text without its end. The source bounds what waits for a slow reader.
        """


class BatteryHistory(Protocol):
    """What batteries were like: `store.BatteryLog`."""

    def read(
        self,
        system: DeviceId,
        *,
        string: int | None = None,
        module: int | None = None,
        begin: datetime | None = None,
        end: datetime | None = None,
    ) -> AsyncIterator[list[Entry]]:
        """Read the log of a block or a string, oldest first, page by page. Raises RecordsError."""


class BatteryInventory(Protocol):
    """What people have noted about blocks: `store.Inventory`. Its methods raise RecordsError."""

    async def sheet(self, system: DeviceId) -> Sheet:
        """Return everything that is noted of a system."""

    async def replace(self, system: DeviceId, sheet: Sheet) -> None:
        """Put this in its place, all or nothing."""


class Configurator(Protocol):
    """Shows and changes what the configuration says of devices: `assembly.Configuration`.

    What it returns is the `data` of the contract. Its methods raise ConfigureError.
    """

    async def schemes(self) -> Mapping[str, object]:
        """Say what can be configured: `SchemesData`."""

    async def list(self, *, secrets: bool) -> Mapping[str, object]:
        """Say what devices the file has: `ListData`; a secret that stands in a link only with `secrets`."""

    async def test(self, draft: DeviceDraft) -> Mapping[str, object]:
        """Connect once and say what was read: `TestData`. It may be cancelled."""

    async def put(self, draft: DeviceDraft, revision: str, actor: str) -> Mapping[str, object]:
        """Add or change a device in the file of this revision, and in the running bridge: `PutData`."""

    async def remove(self, key: str, revision: str, actor: str) -> Mapping[str, object]:
        """Take a device out of both: `RemoveData`."""


__all__ = [
    "BatteryHistory",
    "BatteryInventory",
    "Configurator",
    "EventHistory",
    "EventSource",
    "TokenInfo",
    "TokenVerifier",
    "TraceSource",
]
