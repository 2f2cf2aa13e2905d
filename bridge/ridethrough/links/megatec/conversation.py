"""Asking a device the questions of the table over an open port, and finding out which dialect it speaks."""

from dataclasses import dataclass, field
from enum import Enum

from ridethrough.links.base import LinkError, Report
from ridethrough.links.port import Answer, FloodError, MalformedError, NoAnswerError, SerialPort
from ridethrough.links.trace import escaped

from .answer import Parsed, parse
from .dialects import CONSENTS, DIALECTS, FOREIGN, REFUSALS, Dialect
from .table import QPI_MECER, QS, Query


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
        self._report = report

    async def ask(self, query: Query) -> Heard:
        """Ask once. Raises NoAnswerError, MalformedError, RefusedError, or LinkError when the port has gone."""
        echo = query.command.encode("ascii")

        def ends(line: bytes) -> bool:
            return parse(query, line) is not None or line.strip() == echo or _begins(line, REFUSALS)

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
        parsed = parse(query, answer.data)
        if parsed is None:
            self._report.count("refused")
            raise RefusedError(f"{self.port.path}: the device does not know {query.command}", answer.data)
        self._report.count("answers")
        if parsed.implausible:
            self._report.count("malformed", len(parsed.implausible))
        return Heard(parsed, answer)

    async def tell(self, request: bytes) -> Verdict:
        """Give a command. Raises LinkError when the port has gone."""
        echo = request.strip()

        def ends(line: bytes) -> bool:
            return line.strip() == echo or _begins(line, REFUSALS + CONSENTS)

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


@dataclass(slots=True)
class Detection:
    """Finds the dialect of the device at the other end."""

    conversation: Conversation
    heard: dict[str, Heard | None] = field(default_factory=dict)
    """By question; None for those that were not answered as a dialect would have it."""
    received: dict[str, bytes] = field(default_factory=dict)
    """What came back, whatever it was, for the error message."""

    async def run(self, wanted: Dialect | None = None, likely: Dialect | None = None) -> Dialect:
        """Return the dialect spoken. `wanted` is the only one allowed; `likely` is believed if its status is answered.

        Raises LinkError with what was asked and what came back.
        """
        known = wanted or likely
        if known is not None and await self._answers(known.status):
            return known
        for dialect in DIALECTS if wanted is None else ():
            if await self._answers(*dialect.claims):
                return dialect
        for query in (QPI_MECER, QS):
            await self._answers(query)
        raise LinkError(self._sentence())

    async def _answers(self, *queries: Query) -> bool:
        """Whether the device answers all of these; asks no further than the first that it does not."""
        for query in queries:
            if query.command not in self.heard:
                self.heard[query.command] = await self._asked(query)
            if self.heard[query.command] is None:
                return False
        return True

    async def _asked(self, query: Query) -> Heard | None:
        """Ask, and once more if the first answer was unreadable: noise must not decide on the dialect."""
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
        if any(self.received.values()):
            return (
                f"What is on {where} does not speak Megatec. It was asked {said}. "
                "Check the baud rate, and that it is a UPS with this protocol."
            )
        return f"Nothing answers on {where}. It was asked {said}. Check the cable, the baud rate, and dtr= and rts=."


def _begins(line: bytes, words: tuple[bytes, ...]) -> bool:
    return line.strip().startswith(words)


__all__ = ["Conversation", "Detection", "Heard", "RefusedError", "Verdict"]
