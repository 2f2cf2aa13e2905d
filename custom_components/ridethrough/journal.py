"""Which of the bridge's events Home Assistant has seen: every one once, in order, across restarts of either side.

The bridge numbers its events without gaps. The number of the last one that was handed on is kept on disk; at each
subscription the bridge is asked for those after it.
"""

from collections import deque
from collections.abc import Callable
import logging
from typing import TypedDict

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.storage import Store

from .const import DOMAIN
from .wire import Event

_LOGGER = logging.getLogger(__name__)

STORE_VERSION = 1
SAVE_DELAY = 0.2
"""Seconds. Short, because events between the last save and a crash come twice; not nothing, because a restart of
Home Assistant after a long absence brings thousands at once."""

type EventListener = Callable[[Event], None]
type Follower = Callable[[Event, bool], None]
"""Called with every event, and with whether it happened while we were away."""


class _Stored(TypedDict):
    seq: int


def journal_store(hass: HomeAssistant, bridge_id: str) -> Store[_Stored]:
    """Where the number of the last event of a bridge is kept."""
    return Store(hass, STORE_VERSION, f"{DOMAIN}.{bridge_id}", atomic_writes=True)


class Journal:
    """Hands events on to whoever listens for their device; what came too early waits its turn."""

    def __init__(self, hass: HomeAssistant, bridge_id: str, follower: Follower = lambda event, past: None) -> None:
        """Create a journal that holds everything back until `release()`."""
        self._store = journal_store(hass, bridge_id)
        self._follower = follower
        self._past: int | None = None
        """The number of the last event that had happened when we last connected."""
        self._received: int | None = None
        self._delivered: int | None = None
        self._pending: deque[Event] = deque()
        self._listeners: dict[str | None, EventListener] = {}
        self._expected: set[str | None] = set()
        self._released = False

    @property
    def received(self) -> int | None:
        """The number of the last event received; None before anything is known, when no event is to be replayed."""
        return self._received

    @property
    def delivered(self) -> int | None:
        """The number of the last event handed on; what survives a restart."""
        return self._delivered

    async def load(self) -> None:
        """Read where Home Assistant left off."""
        if (stored := await self._store.async_load()) is not None:
            self._received = self._delivered = stored["seq"]

    async def save(self) -> None:
        """Write now."""
        if self._delivered is not None:
            await self._store.async_save({"seq": self._delivered})

    @callback
    def synchronise(self, last: int) -> None:
        """Take note that the bridge's journal ends with the event number `last`.

        The first time ever, that is where we begin. A journal that ends before what we know was restored from an
        older copy: its next events are new although their numbers are not.
        """
        self._past = last
        if self._received is None or self._received > last:
            if self._received is not None:
                _LOGGER.warning("The bridge's event journal went back from %s to %s", self._received, last)
            self._pending.clear()
            self._received = self._delivered = last
            self._save_soon()

    @callback
    def receive(self, event: Event) -> None:
        """Take an event from the bridge; one that we have had is dropped."""
        if self._received is not None and event.seq <= self._received:
            return
        self._received = event.seq
        self._pending.append(event)
        self._deliver()

    @callback
    def release(self) -> None:
        """From now on there are listeners; automations are armed."""
        self._released = True
        self._deliver()

    @callback
    def expect(self, device: str | None) -> None:
        """There will be a listener for this device: let its events, and all after them, wait."""
        self._expected.add(device)

    @callback
    def waive(self, device: str | None) -> None:
        """There will be no listener for this device after all."""
        self._expected.discard(device)
        self._deliver()

    @callback
    def listen(self, device: str | None, listener: EventListener) -> Callable[[], None]:
        """Call `listener` with every event of this device."""
        self._listeners[device] = listener
        self.waive(device)

        def unsubscribe() -> None:
            if self._listeners.get(device) is listener:
                del self._listeners[device]

        return unsubscribe

    def _deliver(self) -> None:
        if not self._released or not self._pending:
            return
        while self._pending and self._pending[0].device not in self._expected:
            event = self._pending.popleft()
            try:
                if (listener := self._listeners.get(event.device)) is not None:
                    listener(event)
                self._follower(event, self._past is not None and event.seq <= self._past)
            except Exception:
                # The next event must come all the same.
                _LOGGER.exception("Event %s was not taken", event.seq)
            self._delivered = event.seq
        self._save_soon()

    def _save_soon(self) -> None:
        self._store.async_delay_save(self._stored, SAVE_DELAY)

    def _stored(self) -> _Stored:
        return {"seq": self._delivered or 0}
