"""What one client has yet to be sent. It is bounded: the worst is one delta as large as the site."""

import asyncio
from collections import deque
from collections.abc import Callable

from .delta import Delta

MOST_ANSWERS = 64
"""Answers that may wait to be sent before no more requests are read."""


class Outbox:
    """Filled by the broadcast and by the client's own requests, emptied by the session's writer.

    Events are not kept here. A client's place in the journal is a number, so that an outage's thousands of events
    cost a slow client's outbox nothing.
    """

    def __init__(self, overflow: Callable[[], None]) -> None:
        """Begin without a subscription; `overflow` is called when the client is hopelessly behind."""
        self.overflow = overflow
        self.news = asyncio.Event()
        """Something is to be sent."""
        self.live = False
        """Whether a snapshot was taken for this client: from there on, changes matter to it."""
        self.cursor = 0
        """The last event that it has been sent or does not want."""
        self.replay_until = 0
        """The last event of its snapshot; deltas wait until the replay has come this far."""
        self._answers: deque[bytes] = deque()
        self._room = asyncio.Event()
        self._room.set()
        self._echo: bytes | None = None
        self._ping = False
        self._asked: list[int | None] = []
        self._delta: Delta | None = None
        self._delta_is_shared = False

    def answer(self, text: bytes) -> None:
        """Queue an answer to a request."""
        self._answers.append(text)
        if len(self._answers) >= MOST_ANSWERS:
            self._room.clear()
        self.news.set()

    def echo(self, payload: bytes) -> None:
        """Answer a ping; of several only the last needs an answer (RFC 6455 §5.5.3)."""
        self._echo = payload
        self.news.set()

    def ping(self) -> None:
        """Ask whether the client is still there."""
        self._ping = True
        self.news.set()

    async def room(self) -> None:
        """Wait until there is room for the answer to another request; who asks must also listen."""
        await self._room.wait()

    def ask(self, events_after: int | None) -> None:
        """Note that the client subscribes. Several subscriptions before the snapshot are answered by one, for the last."""
        self._asked = [events_after]
        self.live = False
        self._delta = None
        self.news.set()

    def put(self, delta: Delta) -> None:
        """Add a change of the site; it is merged with what was not sent yet."""
        if not self.live:
            return
        if self._delta is None:
            self._delta, self._delta_is_shared = delta, True
        elif self._delta_is_shared:
            self._delta, self._delta_is_shared = self._delta.merged(delta), False
        else:
            self._delta.absorb(delta)
        self.news.set()

    def begin(self, seq: int, events_after: int | None) -> None:
        """Go on from a snapshot taken at the journal's event `seq`: replay what is missing, then live."""
        self.live = True
        self.replay_until = seq
        self.cursor = seq if events_after is None else min(events_after, seq)

    @property
    def replaying(self) -> bool:
        """Whether events of before the snapshot are still to be sent."""
        return self.cursor < self.replay_until

    def take_answer(self) -> bytes | None:
        """Take the next answer, if there is one."""
        if len(self._answers) <= MOST_ANSWERS:
            self._room.set()
        return self._answers.popleft() if self._answers else None

    def take_echo(self) -> bytes | None:
        """Take the ping to be answered, if there is one."""
        echo, self._echo = self._echo, None
        return echo

    def take_ping(self) -> bool:
        """Tell whether the client is to be asked for a sign of life."""
        ping, self._ping = self._ping, False
        return ping

    def take_subscription(self) -> list[int | None]:
        """Take the subscription to be answered: none or one."""
        asked, self._asked = self._asked, []
        return asked

    def take_delta(self) -> Delta | None:
        """Take what has changed since the last delta, if anything."""
        delta, self._delta = self._delta, None
        return delta


__all__ = ["Outbox"]
