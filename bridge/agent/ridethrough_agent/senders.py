"""What is known of each sender: its numbers, when it was heard, and whether it is gone."""

from __future__ import annotations

from collections.abc import Collection

from .memory import Known

SILENCES = 3
"""Signs of life that a sender may leave out before it is lost."""
USUAL = 10.0
"""Seconds between two signs of life as long as a sender has not said."""
SHORTEST, LONGEST = 0.1, 3600.0
AFTER_START = 60.0
"""Seconds that a sender has to be back after the agent has started: it may still be waiting to try again."""


class Senders:
    """The paired senders. Times are of the agent's monotonic clock."""

    def __init__(self, known: dict[str, Known], started: float) -> None:
        """Go on with what is remembered; `started` is when this process began."""
        self.known = known
        self._started = started
        self._heard: dict[str, float] = {}
        self._lost: set[str] = set()
        for row in known.values():
            row.connected = False

    def keep(self, senders: Collection[str]) -> None:
        """Know these senders and no others."""
        for sender in [sender for sender in self.known if sender not in senders]:
            del self.known[sender]
            self._heard.pop(sender, None)
            self._lost.discard(sender)
        for sender in senders:
            self.known.setdefault(sender, Known())

    def hear(self, sender: str, now: float) -> bool:
        """Note a sign of life; tells whether the sender had been lost."""
        self._heard[sender] = now
        was_lost = sender in self._lost
        self._lost.discard(sender)
        return was_lost

    def silent(self, now: float) -> list[str]:
        """Return those that are lost since just now. One that this start of the computer never heard cannot be lost."""
        found = []
        for sender, row in self.known.items():
            if row.alive <= 0 or sender in self._lost:
                continue
            heard = self._heard.get(sender)
            allowed = SILENCES * row.alive
            if now - (self._started if heard is None else heard) > (
                max(allowed, AFTER_START) if heard is None else allowed
            ):
                self._lost.add(sender)
                found.append(sender)
        return found


__all__ = ["LONGEST", "SHORTEST", "SILENCES", "USUAL", "Senders"]
