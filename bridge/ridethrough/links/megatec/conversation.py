"""Asking a device the questions of the table over an open port, and finding out which dialect it speaks."""

from dataclasses import dataclass, field
from enum import Enum
import re

from ridethrough.links.answer import Answer, FloodError, MalformedError, NoAnswerError
from ridethrough.links.base import LinkError, Report
from ridethrough.links.port import SerialPort
from ridethrough.links.trace import escaped

from .answer import Parsed, parse
from .dialects import CONSENTS, CURT_REFUSAL, DIALECTS, FOREIGN, REFUSALS, Dialect
from .table import Q1, I, Query


class Verdict(Enum):
    """How a device took a command."""

    SILENCE = "silence"
    CONSENT = "consent"
    REFUSAL = "refusal"


class RefusedError(MalformedError):
    """The device does not know the question: it sent it back, or said NAK."""


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer, understood, with when it came."""

    parsed: Parsed
    answer: Answer


class Conversation:
    """Questions and commands on one open port; each fault is counted where it is noticed."""

    def __init__(self, port: SerialPort, report: Report, patience: float) -> None:
        """`patience` are the seconds that the device may think before it answers."""
        self.port = port
        self.patience = patience
        self.fresh: dict[bytes, Answer] = {}
        """By request: the last answer to each question that was understood; none from before the last command."""
        self._report = report

    async def ask(self, query: Query) -> Heard:
        """Ask once. Raises NoAnswerError, MalformedError, RefusedError, or LinkError when the port has gone."""
        echo = query.command.encode("ascii")

        def ends(line: bytes) -> bool:
            return parse(query, line) is not None or line.strip() == echo or _refuses(line)

        try:
            answer = await self.port.exchange(query.request, accept=ends, patience=self.patience)
        except NoAnswerError:
            self._report.count("timeouts")
            raise
        except MalformedError:
            self._report.count("malformed")
            raise
        if answer.strays:
            self._report.count("malformed", len(answer.strays))
        parsed = None if _refuses(answer.data) else parse(query, answer.data)
        if parsed is None:
            self._report.count("refused")
            raise RefusedError(f"{self.port.path}: the device does not know {query.command}", answer.data)
        self._report.count("answers")
        self.fresh[query.request] = answer
        if parsed.implausible:
            self._report.count("malformed", len(parsed.implausible))
        return Heard(parsed, answer)

    async def tell(self, request: bytes) -> Verdict:
        """Give a command. Raises LinkError when the port has gone."""
        echo = request.strip()
        self.fresh.clear()

        def ends(line: bytes) -> bool:
            return line.strip() == echo or _refuses(line) or _begins(line, CONSENTS)

        try:
            answer = await self.port.exchange(request, accept=ends, patience=self.patience)
        except NoAnswerError:
            return Verdict.SILENCE
        except FloodError:
            self._report.count("malformed")
            raise
        except MalformedError:
            # A late answer to an earlier question is neither consent nor refusal.
            self._report.count("malformed")
            return Verdict.SILENCE
        if _begins(answer.data, CONSENTS):
            return Verdict.CONSENT
        self._report.count("refused")
        return Verdict.REFUSAL

    async def relay(self, request: bytes) -> bytes:
        """Send what another manager asks and return what comes back, byte for byte; nothing if nothing does.

        Raises LinkError when the port has gone.
        """
        try:
            answer = await self.port.exchange(request, patience=self.patience)
        except NoAnswerError:
            return b""
        except MalformedError as error:
            return error.received
        return answer.data + b"\r"


@dataclass(slots=True)
class Detection:
    """Finds the dialect of the device at the other end."""

    conversation: Conversation
    heard: dict[Query, Heard | None] = field(default_factory=dict)
    """None for those that were not answered as a dialect would have it."""
    received: dict[str, bytes] = field(default_factory=dict)
    """By question: what came back, whatever it was."""
    likely: Dialect | None = None
    """What it spoke before; asked for again after each silence, as it may have been starting."""

    async def run(self, wanted: Dialect | None = None, likely: Dialect | None = None) -> Dialect:
        """Return the dialect spoken. `wanted` is the only one allowed; `likely` is believed if its status is answered.

        Raises LinkError with what was asked and what came back.
        """
        known = wanted or likely
        if known is not None and await self._answers(known.status):
            return known
        if wanted is not None:
            raise LinkError(self._sentence())
        self.likely = likely
        found = await self._search()
        if found is not None and found is not likely and await self._was_away(found):
            found = await self._search()
        if found is None:
            raise LinkError(self._sentence())
        return found

    async def _search(self) -> Dialect | None:
        for dialect in DIALECTS:
            if await self._answers(*dialect.claims) and self._says(dialect):
                return dialect
            if self.likely is not None and self.heard.get(self.likely.status) is not None:
                return self.likely
        return None

    def _says(self, dialect: Dialect) -> bool:
        """Whether what it says of its protocol is that of the dialect."""
        if dialect.protocol is None:
            return True
        told = (heard.parsed.texts.get("protocol") for query in dialect.claims if (heard := self.heard[query]))
        return any(word is not None and re.fullmatch(dialect.protocol, word) for word in told)

    async def _was_away(self, found: Dialect) -> bool:
        """Whether it had only been starting when it left one of those questions unanswered that nearly all answer."""
        silent = [query for query in (Q1, I) if self.received.get(query.command) == b"" and query not in found.claims]
        for query in silent:
            self._forget(query)
            if await self._answers(query):
                for command in [command for command, received in self.received.items() if not received]:
                    del self.received[command]
                self.heard = {query: heard for query, heard in self.heard.items() if heard is not None}
                return True
        return False

    def _forget(self, query: Query) -> None:
        self.heard.pop(query, None)
        self.received.pop(query.command, None)

    async def _answers(self, *queries: Query) -> bool:
        """Whether the device answers all of these; asks no further than the first that it does not."""
        for query in queries:
            if query not in self.heard:
                self.heard[query] = await self._asked(query)
                if not self.received[query.command] and self.likely is not None and query is not self.likely.status:
                    self._forget(self.likely.status)
                    self.heard[self.likely.status] = await self._asked(self.likely.status)
            if self.heard[query] is None:
                return False
        return True

    async def _asked(self, query: Query) -> Heard | None:
        """Ask, and once more if the first answer was unreadable: noise must not decide on the dialect."""
        before = self.received.get(query.command)
        if before is not None and not any(parse(query, line) for line in before.split(b"\r")):
            return None
        for _ in range(2):
            try:
                heard = await self.conversation.ask(query)
            except FloodError:
                raise
            except NoAnswerError:
                self.received[query.command] = b""
                return None
            except RefusedError as error:
                self.received[query.command] = error.received
                return None
            except MalformedError as error:
                self.received[query.command] = error.received
            else:
                self.received[query.command] = heard.answer.data
                return heard
        return None

    def _sentence(self) -> str:
        port = self.conversation.port
        where = f"{port.path} at {port.line.baud} baud"
        said = ", ".join(
            f"{command} ({f'answered {escaped(received)}' if received else 'no answer'})"
            for command, received in self.received.items()
        )
        for name, command, shape in FOREIGN:
            if shape.match(self.received.get(command, b"")):
                return (
                    f"The UPS on {where} speaks {name}, which this link does not speak. It was asked {said}. "
                    "Use it through NUT: nut://host/ups."
                )
        if any(_unreadable(received) for received in self.received.values() if received):
            return (
                f"What answers on {where} cannot be read, as with a wrong baud rate; try baud=9600, 4800 or 1200. "
                f"It was asked {said}."
            )
        if any(self.received.values()):
            return (
                f"What is on {where} does not speak Megatec. It was asked {said}. "
                "Check the baud rate, and that it is a UPS with this protocol."
            )
        return f"Nothing answers on {where}. It was asked {said}. Check the cable, the baud rate, and dtr= and rts=."


def _refuses(line: bytes) -> bool:
    return _begins(line, REFUSALS) or line.strip() == CURT_REFUSAL


def _unreadable(received: bytes) -> bool:
    """Whether this is what a wrong baud rate makes of an answer."""
    return sum(not 0x20 <= byte < 0x7F for byte in received.rstrip(b"\r\n")) > len(received) / 4


def _begins(line: bytes, words: tuple[bytes, ...]) -> bool:
    return line.strip().startswith(words)


__all__ = ["Conversation", "Detection", "Heard", "RefusedError", "Verdict"]
