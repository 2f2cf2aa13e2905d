"""Does several things one after the other, of which none may keep the others from being done."""

from collections.abc import Callable
import logging

_LOGGER = logging.getLogger(__name__)


class Attempts:
    """Guards what is done again and again for one battery system; one line down, one line up."""

    def __init__(self, owner: str) -> None:
        """`owner` is the key of the system."""
        self._owner = owner
        self._failing: set[str] = set()

    def __call__(self, name: str, work: Callable[[], object]) -> bool:
        """Do one of the things; whether it was done."""
        try:
            work()
        except Exception:
            if name not in self._failing:
                _LOGGER.exception("%s: %s failed; everything else goes on", self._owner, name)
            self._failing.add(name)
            return False
        if name in self._failing:
            _LOGGER.info("%s: %s works again", self._owner, name)
        self._failing.discard(name)
        return True


__all__ = ["Attempts"]
