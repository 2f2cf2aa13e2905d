"""What has become of the commands that clients want to follow (`SET TRACKING ON`)."""

from collections import OrderedDict
from uuid import uuid4

from .wire import Error

PENDING, SUCCESS = "PENDING", "SUCCESS"
TRACKED = 256
"""Commands that are remembered; clients ask within seconds."""
_LATER = {Error.INSTCMD_FAILED: Error.FAILED}
"""What is said of a command afterwards in other words than at once."""


class Tracking:
    """Remembers how the last commands ended, by numbers that nobody can guess."""

    def __init__(self) -> None:
        """No command has been given."""
        self._known: OrderedDict[str, str] = OrderedDict()

    def begin(self) -> str:
        """Return the number of a new command, which is pending."""
        number = str(uuid4())
        self._known[number] = PENDING
        if len(self._known) > TRACKED:
            self._known.popitem(last=False)
        return number

    def end(self, number: str, error: Error | None) -> None:
        """Note how it has ended."""
        if number in self._known:
            self._known[number] = SUCCESS if error is None else f"ERR {_LATER.get(error, error)}"

    def told(self, number: str) -> str:
        """Say what became of it, in the protocol's words."""
        return self._known.get(number, f"ERR {Error.UNKNOWN}")


__all__ = ["PENDING", "SUCCESS", "TRACKED", "Tracking"]
