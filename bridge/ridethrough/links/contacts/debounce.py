"""Relays bounce: a contact counts when it has stood still."""

from collections.abc import Set as AbstractSet


class Debounce:
    """Believes a set of closed contacts once nothing about it has changed for a while."""

    def __init__(self, still: float) -> None:
        """`still` are the seconds for which nothing may change."""
        self._still = still
        self._last: frozenset[str] | None = None
        self._since = 0.0
        self.settled: frozenset[str] | None = None
        """What is believed; None until the first time that it has stood still."""

    def look(self, closed: AbstractSet[str], now: float) -> frozenset[str] | None:
        """Take a sample; `now` are monotonic seconds. Returns what is believed now."""
        seen = frozenset(closed)
        if seen != self._last:
            self._last, self._since = seen, now
        if now - self._since >= self._still:
            self.settled = seen
        return self.settled


__all__ = ["Debounce"]
