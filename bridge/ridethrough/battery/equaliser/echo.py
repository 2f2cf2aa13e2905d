"""Whether modules draw what they were told: each answer says how much a module draws at the moment.

A module that does not follow is an equalising error, which stops all equalising of the system by itself, and clears by
itself some hours later if it can (manual M:7450). After `HOLD` seconds in which all modules are told 0 it is tried again;
the error stays raised meanwhile and is taken back only once the module has followed for `PROVEN` seconds, so that a
module that will never follow is one alarm and not one each hour.
"""

from collections.abc import Iterable, Sequence, Set as AbstractSet

TOLERANCE = 2
"""Percent by which what a module says may differ from what it was told."""
PATIENCE = 120.0
"""Seconds for which it may differ by more: modules hear of it with the next scan and keep it for 60 s."""
HOLD = 3600.0
PROVEN = 900.0


class Echo:
    """All modules of a system, by number; index 0 is not used."""

    def __init__(self, blocks: int) -> None:
        """Nothing has been told yet."""
        self.told: list[int | None] = [None] * (blocks + 1)
        """Percent; None: this module has not been told anything."""
        self._before: list[int | None] = [None] * (blocks + 1)
        self._astray: dict[int, float] = {}
        self.disobedient: set[int] = set()
        """Numbers of the modules for which there is an error."""
        self._tried_again: float | None = None
        self._stopped_at = 0.0

    @property
    def stopped(self) -> bool:
        """Whether nothing may be equalised because of an error."""
        return bool(self.disobedient) and self._tried_again is None

    def tell(self, number: int, duty: int) -> None:
        """Note what a module is told; what it was told before is not wrong either, until it has heard."""
        self._before[number], self.told[number] = self.told[number], duty

    def restart(self) -> None:
        """Take all errors back."""
        self.disobedient.clear()
        self._astray.clear()
        self._tried_again = None

    def pass_over(self) -> None:
        """Forget who has gone astray since when: what is known now is old (only voltages are read)."""
        self._astray.clear()

    def look(self, duties: Sequence[float | None], excused: AbstractSet[int], now: float) -> bool:
        """Compare; return whether who is disobedient has changed. What is not known is not judged."""
        told, before, astray = self.told, self._before, self._astray
        changed = False
        for number, duty in enumerate(duties):
            asked = told[number]
            # Most modules say just what they were told: cheap, since this goes through all of them.
            if duty is None or asked is None or duty == asked:
                if astray and number in astray:
                    del astray[number]
                continue
            former = before[number]
            former = asked if former is None else former
            low, high = (asked, former) if asked < former else (former, asked)
            # One that is too hot draws less by its own decision, which is no error; more is one always.
            if duty > high + TOLERANCE or (duty < low - TOLERANCE and number not in excused):
                since = astray.setdefault(number, now)
                if now - since >= PATIENCE:
                    if number not in self.disobedient:
                        changed = True
                        self.disobedient.add(number)
                    if self._tried_again is not None or changed:
                        self._tried_again, self._stopped_at = None, now
            else:
                astray.pop(number, None)
        return self._retry(now) or changed

    def _retry(self, now: float) -> bool:
        """Try again after a while, and take the error back after a while of following."""
        if not self.disobedient:
            return False
        if self._tried_again is None:
            if now - self._stopped_at >= HOLD and not self._still(self.disobedient):
                self._tried_again = now
            return False
        if self._still(self.disobedient) or now - self._tried_again < PROVEN:
            return False
        self.restart()
        return True

    def _still(self, numbers: Iterable[int]) -> bool:
        return any(number in self._astray for number in numbers)


__all__ = ["HOLD", "PATIENCE", "PROVEN", "TOLERANCE", "Echo"]
