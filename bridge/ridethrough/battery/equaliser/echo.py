"""Whether modules draw what they were told: each answer says how much a module draws at the moment.

A module that does not follow is an equalising error, which stops all equalising of the system by itself, and clears by
itself some hours later if it can (manual M:7450). After `HOLD` seconds in which all modules are told 0 it is tried again;
the error stays raised meanwhile and is taken back only once the module has followed for `PROVEN` seconds, so that a
module that will never follow is one alarm and not one each hour.
"""

from collections.abc import Callable, Sequence

TOLERANCE = 2
"""Percent by which what a module says may differ from what it was told."""
PATIENCE = 120.0
"""Seconds for which it may differ by more: it takes a scan until a module hears of it, and one until it has said so."""
HOLD = 3600.0
PROVEN = 900.0


class Echo:
    """All modules of a system, by number; index 0 is not used."""

    def __init__(self, blocks: int) -> None:
        """Nothing has been told yet."""
        self.told: list[int | None] = [None] * (blocks + 1)
        """Percent; None: this module has not been told anything."""
        self._astray: dict[int, float] = {}
        self.disobedient: set[int] = set()
        """Numbers of the modules for which there is an error."""
        self._tried_again: float | None = None
        self._stopped_at = 0.0

    @property
    def stopped(self) -> bool:
        """Whether nothing may be equalised because of an error."""
        return bool(self.disobedient) and self._tried_again is None

    def restart(self) -> None:
        """Take all errors back."""
        self.disobedient.clear()
        self._astray.clear()
        self._tried_again = None

    def pass_over(self) -> None:
        """Forget who has gone astray since when: what is known now is old (only voltages are read)."""
        self._astray.clear()

    def look(self, duties: Sequence[float | None], hot: Callable[[int], bool], now: float) -> None:
        """Compare what modules say with what they were told. What is not known is not judged."""
        told, astray = self.told, self._astray
        for number, duty in enumerate(duties):
            asked = told[number]
            # Most modules say just what they were told: cheap, since this goes through all of them.
            if duty is None or asked is None or duty == asked:
                if astray:
                    astray.pop(number, None)
            # One that is too hot draws less by its own decision, which is no error; more is one always.
            elif duty > asked + TOLERANCE or (duty < asked - TOLERANCE and not hot(number)):
                if now - astray.setdefault(number, now) >= PATIENCE and (
                    number not in self.disobedient or self._tried_again is not None
                ):
                    self.disobedient.add(number)
                    self._tried_again, self._stopped_at = None, now
            else:
                astray.pop(number, None)
        if self.disobedient and not self._still():
            self._forgive(now)

    def _forgive(self, now: float) -> None:
        """Try again after a while, and take the error back after a while of following."""
        if self._tried_again is None:
            if now - self._stopped_at >= HOLD:
                self._tried_again = now
        elif now - self._tried_again >= PROVEN:
            self.restart()

    def _still(self) -> bool:
        return not self.disobedient.isdisjoint(self._astray)


__all__ = ["HOLD", "PATIENCE", "PROVEN", "TOLERANCE", "Echo"]
