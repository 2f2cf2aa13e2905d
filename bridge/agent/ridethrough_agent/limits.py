"""How often something may happen."""

from __future__ import annotations

from collections import deque


class Rate:
    """At most `times` in `span` seconds. Pure: time is passed in."""

    def __init__(self, times: int, span: float = 1.0) -> None:
        """Allow `times` in any `span` seconds."""
        self._span = span
        self._stamps: deque[float] = deque(maxlen=times)
        self.refused = 0
        """How many were too many since the last one that was not."""

    def allows(self, now: float) -> bool:
        """Count one, and tell whether it is not too many."""
        if len(self._stamps) == self._stamps.maxlen and now - self._stamps[0] < self._span:
            self.refused += 1
            return False
        self._stamps.append(now)
        return True

    def told(self) -> str:
        """Say how many were left out before this one, for a log that is spared; counts anew."""
        refused, self.refused = self.refused, 0
        return f" ({refused} more were not logged)" if refused else ""


__all__ = ["Rate"]
