"""The last exchanges on a line, with the moment at which each answer was complete."""

from collections import deque
from dataclasses import dataclass

KEPT = 200


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and what was answered. Stamps are seconds since the epoch."""

    number: int
    """1, 2, 3, … without gaps."""
    request: str
    answer: str
    """As it went over the line, faults included; empty when there was none."""
    received_at: float
    t_last_byte: float | None
    """Right after the last byte was written; None when nothing (or not all) was sent."""


class Exchanges:
    """A ring of the last ones."""

    def __init__(self) -> None:
        """Start with none."""
        self._kept: deque[Exchange] = deque(maxlen=KEPT)
        self.count = 0
        """How many there have been."""

    def add(self, request: bytes, answer: bytes, received_at: float, t_last_byte: float | None) -> None:
        """Remember one; bytes become text one to one (Latin-1)."""
        self.count += 1
        text = request.decode("latin-1"), answer.decode("latin-1")
        self._kept.append(Exchange(self.count, *text, received_at, t_last_byte))

    def after(self, number: int) -> list[Exchange]:
        """Those with a higher number, oldest first, as far as they are still kept."""
        return [exchange for exchange in self._kept if exchange.number > number]
