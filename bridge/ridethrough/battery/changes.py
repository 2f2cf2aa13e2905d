"""What has been said of points and conditions, so that only what is new or different is said again."""

from .board import Findings
from .layout import Place


class Changes:
    """Gathers findings; one that says what was said before is left out."""

    def __init__(self) -> None:
        """Nothing has been said yet."""
        self._points: dict[tuple[str, int, str], float | int | str | None] = {}
        self._conditions: dict[tuple[str, int, str], bool] = {}
        self._findings = Findings()

    def point(self, place: Place, key: str, value: float | str | None) -> None:
        """Say a value; None, that it cannot be known, only where one had been said."""
        name = (place.kind, place.number, key)
        if self._points.get(name) != value:
            self._points[name] = self._findings.points[name] = value

    def condition(self, place: Place, key: str, holds: bool) -> None:
        """Say whether a condition holds; the first time also that it does not."""
        name = (place.kind, place.number, key)
        if self._conditions.get(name) is not holds:
            self._conditions[name] = self._findings.conditions[name] = holds

    def take(self) -> Findings:
        """Hand over what has been gathered since the last time."""
        findings, self._findings = self._findings, Findings()
        return findings


__all__ = ["Changes"]
