"""One unit on a wire: asks it, counts what comes of that, and says when it is lost."""

from collections.abc import Callable

from ridethrough.links.answer import MalformedError, NoAnswerError
from ridethrough.links.base import LinkError

from .options import ModbusOptions
from .protocol import GarbageError, Question, RefusalError, named
from .wire import Wire

SILENT = 3
"""Unanswered questions in a row after which the unit is lost."""
GARBLED = 10
"""Unreadable answers in a row after which it is lost: somebody is there, but nothing can be learnt."""
STRANGE = 4
"""The same of a unit that has never been understood."""
BUSY = 8
"""Times in a row that it may say it is busy."""
POSTPONED = frozenset({4, 5, 6, 10, 11})
"""Exceptions that say nothing of the registers: the device or a gateway on the way cannot answer now."""
_GATEWAY = frozenset({10, 11})


class Unit:
    """Reads registers of one unit, one question at a time."""

    def __init__(self, wire: Wire, options: ModbusOptions, count: Callable[[str, int], None]) -> None:
        """Nothing is asked until `read`."""
        self._wire = wire
        self._options = options
        self._count = count
        self._silent = 0
        self._garbled = 0
        self.busy = 0
        """Times in a row that it has put us off."""
        self.answered = False
        """Whether it has ever given the value of a register."""

    async def read(self, function: int, address: int, count: int) -> tuple[int, ...]:
        """Read registers or bits.

        Raises RefusalError for an exception; NoAnswerError and MalformedError while there is hope; another LinkError
        when the unit is lost.
        """
        question = Question(self._options.unit, function, address + self._options.reading.shift, count)
        try:
            words = question.read(await self._wire.ask(question))
        except NoAnswerError as error:
            self._count("timeouts", 1)
            self._silent += 1
            if self._silent >= SILENT:
                raise LinkError(self._silence()) from error
            raise
        except (MalformedError, GarbageError) as error:
            self._count("malformed", 1)
            self._silent = 0
            self._garbled += 1
            if self._garbled >= (GARBLED if self.answered else STRANGE):
                raise LinkError(self._garbage(error)) from error
            raise error if isinstance(error, MalformedError) else MalformedError(str(error), b"") from error
        except RefusalError as refusal:
            self._silent = self._garbled = 0
            if refusal.code in POSTPONED:
                self._count("refused", 1)
                self.busy += 1
                if self.busy >= BUSY:
                    raise LinkError(self._put_off(refusal.code)) from refusal
            raise
        self._silent = self._garbled = self.busy = 0
        self.answered = True
        self._count("answers", 1)
        return words

    def _silence(self) -> str:
        options = self._options
        if self.answered:
            return f"{options.where} does not answer any more, {SILENT} times in a row."
        if not options.host:
            check = "the wiring (A and B), the baud rate, the parity and the unit number"
        else:
            check = f"the unit number (/{options.unit} in the link) and, behind a converter, framing="
        return f"{options.where} does not answer; check {check}, and whether it speaks the map {options.profile.name}."

    def _garbage(self, error: Exception) -> str:
        check = "framing= and the port" if self._options.host else "the baud rate, the parity and the wiring"
        return f"What answers for {self._options.where} is not readable as Modbus ({error}); check {check}."

    def _put_off(self, code: int) -> str:
        options = self._options
        if code in _GATEWAY:
            return f"The gateway answers, but not {options.where} behind it ({named(code)}); is the unit number right?"
        return f"{options.where} answers, but only to put us off ({named(code)}), {BUSY} times in a row."


__all__ = ["BUSY", "GARBLED", "POSTPONED", "SILENT", "STRANGE", "Unit"]
