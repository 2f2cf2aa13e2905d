"""What the modules are to draw for equalising: sent when it changes, and again before they would stop by themselves. Pure."""

from collections.abc import Mapping

from .frames import Question, duties

REFRESH = 15.0
"""Seconds after which a duty is sent again: a module stops 60 s after it was last told, and three frames may get lost."""
AGAIN = 2.0
"""Seconds after which a module that does not draw what it was told is told again."""


class Duties:
    """The duties of modules 1 to `count`."""

    def __init__(self, count: int) -> None:
        """Nobody has been told anything: nothing is sent until somebody is."""
        self._wanted = [0] * (count + 1)
        self._told: list[int | None] = [None] * (count + 1)
        """None: to be told."""
        self._at = [0.0] * (count + 1)
        self._drawing: set[int] = set()
        """Who has been told to draw anything, and not yet to end that."""
        self.used = False

    def want(self, wanted: Mapping[int, int]) -> None:
        """Have modules draw so many percent; others go on as they were told."""
        self.used = True
        for number, duty in wanted.items():
            if 0 < number < len(self._wanted):
                self._wanted[number] = min(100, max(0, round(duty)))

    def silence(self, first: int, last: int) -> Question | None:
        """Give the frame after which none of these draws anything for now; None if none does. All are told anew later."""
        high = min(last, len(self._wanted) - 1) + 1
        if self._drawing.isdisjoint(range(first, high)):
            return None
        self._drawing.difference_update(range(first, high))
        self._told[first:high] = [None] * (high - first)
        return duties(first, [0] * (high - first))

    def draws(self, number: int, duty: int, now: float, *, hot: bool) -> None:
        """Compare what a module says that it draws with what it was told; one that is too hot draws less."""
        if self._told[number] is None or now - self._at[number] < AGAIN or (hot and duty < self._wanted[number]):
            return
        if (duty == 0) is not (self._wanted[number] == 0):
            self._told[number] = None

    def restarted(self, number: int) -> None:
        """Tell a module again: it has started anew, or was away."""
        self._told[number] = None

    def due(self, first: int, last: int, now: float) -> Question | None:
        """Give the frame that tells those of these modules who need to be told; None if nobody does."""
        if not self.used:
            return None
        dirty = [
            number
            for number in range(first, min(last, len(self._wanted) - 1) + 1)
            if self._told[number] != self._wanted[number]
            or (self._wanted[number] and now - self._at[number] >= REFRESH)
        ]
        if not dirty:
            return None
        low, high = dirty[0], dirty[-1] + 1
        values = self._wanted[low:high]
        self._told[low:high] = values
        for number, duty in enumerate(values, low):
            (self._drawing.add if duty else self._drawing.discard)(number)
        self._at[low:high] = [now] * len(values)
        return duties(low, values)


__all__ = ["AGAIN", "REFRESH", "Duties"]
