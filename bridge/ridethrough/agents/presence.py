"""What is known of one computer: whether it is up, going down, down or lost. Decides; does nothing itself.

An agent that says that the computer shuts down and then falls silent has done what it was told. One that falls silent
without a word is lost. A computer whose network still answers, though its agent does not, is still shutting down: what
depends on it being off must not go on before.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import orjson

MISSED = 3
"""Signs of life without an answer after which an agent is lost."""


class State(StrEnum):
    """The states of the point `agent.state`."""

    UNPAIRED = "unpaired"
    CONNECTING = "connecting"
    UP = "up"
    WAITING = "waiting"
    SHUTTING_DOWN = "shutting_down"
    DOWN = "down"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Kept:
    """What must be known of a computer after a restart of the bridge."""

    state: State
    """`shutting_down` or `down`."""
    begun: datetime
    """When it began to shut down."""
    duration: float | None = None
    """Seconds that it took until it was down."""

    def write(self) -> str:
        """Write it as text."""
        return orjson.dumps({"state": self.state, "begun": self.begun.isoformat(), "duration": self.duration}).decode()


def read_kept(text: str) -> Kept | None:
    """Read what `write` has written; None when that is damaged."""
    try:
        values = orjson.loads(text)
        state, duration = State(values["state"]), values["duration"]
        if state not in {State.SHUTTING_DOWN, State.DOWN} or not isinstance(duration, float | None):
            return None
        return Kept(state, datetime.fromisoformat(values["begun"]), duration)
    except ValueError, KeyError, TypeError:
        return None


class Presence:
    """Keeps track of one computer. Times are monotonic seconds; `utc` the wall clock of the same moment."""

    def __init__(self, alive: float, now: float, kept: Kept | None = None, *, lost: bool = False) -> None:
        """Begin when the bridge begins to connect. `lost`: the journal has it as lost already."""
        self._patience = MISSED * alive
        self._absent: float | None = now
        """Since when there is no connection."""
        self._proved: datetime | None = None
        """The last sign that a computer which shuts down is still on."""
        self._begun = None if kept is None else kept.begun
        self.duration = None if kept is None else kept.duration
        """Seconds that the last shutdown took."""
        self.state = State.CONNECTING
        if kept is not None:
            self.state = kept.state
        elif lost:
            self.state = State.LOST

    @property
    def kept(self) -> Kept | None:
        """What must outlast a restart of the bridge; None for nothing."""
        if self.state not in {State.SHUTTING_DOWN, State.DOWN} or self._begun is None:
            return None
        return Kept(self.state, self._begun, self.duration)

    def patience(self, now: float) -> float | None:
        """Seconds until it must be looked at again; None when nothing will change by itself."""
        if self._absent is None or self.state is not State.CONNECTING:
            return None
        return max(0.0, self._absent + self._patience - now)

    def said(self, state: State, utc: datetime) -> None:
        """Take what its agent says: `up`, `waiting` or `shutting_down`."""
        if state is State.SHUTTING_DOWN:
            if self.state is not State.SHUTTING_DOWN or self._begun is None:
                self._begun, self.duration = utc, None
        else:
            self._begun = None
        self.state = state
        self._absent = None
        self._proved = utc

    def ended(self, now: float, utc: datetime, *, silent: bool = False) -> None:
        """Note that the connection has ended; `silent`: because nothing was heard for so long."""
        self._absent = now
        if self.state is State.SHUTTING_DOWN:
            self._proved = self._proved if silent else utc
        else:
            self.state = State.LOST if silent else State.CONNECTING

    def failed(self, now: float, utc: datetime, *, silent: bool) -> None:
        """Note that it could not be connected to; `silent`: nothing at all answers there."""
        if self.state is not State.SHUTTING_DOWN:
            self.elapsed(now)
            return
        if not silent:
            self._proved = utc
            if self._absent is not None and now - self._absent < self._patience:
                return
        self.state = State.DOWN
        if self._begun is not None and self._proved is not None:
            self.duration = max(0.0, (self._proved - self._begun).total_seconds())

    def elapsed(self, now: float) -> None:
        """Look whether it counts as lost by now."""
        patience = self.patience(now)
        if patience is not None and patience <= 0:
            self.state = State.LOST


__all__ = ["MISSED", "Kept", "Presence", "State", "read_kept"]
