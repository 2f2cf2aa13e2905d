"""From a datagram to its answer: opens messages of all versions, and has them answered from what each may see."""

from collections.abc import Callable
from dataclasses import dataclass

from ridethrough.feeds.admission import Admission, Callers
from ridethrough.feeds.base import Traffic

from .access import Asker, Communities
from .ber import BerError, Reader, Tag, element, integer, octets
from .counters import (
    ANSWERS,
    ASN_ERRORS,
    BAD_VALUES,
    BAD_VERSIONS,
    GEN_ERRORS,
    GETS,
    IN_PACKETS,
    NEXTS,
    NO_CONTEXT,
    NO_HANDLER,
    NO_SUCH_NAMES,
    OUT_PACKETS,
    READ,
    RESPONSES,
    SETS,
    SILENT_DROPS,
    TOO_BIGS,
    WRITTEN,
    Counters,
)
from .pdu import READING, Kind, Pdu, Status, read_pdu
from .reading import refusal
from .usm import Asked, Engine, largest
from .view import View

V1, V2C, V3 = 0, 1, 3

_KINDS = {Kind.GET: GETS, Kind.GET_NEXT: NEXTS, Kind.SET: SETS, Kind.RESPONSE: RESPONSES}
_STATUSES = {
    Status.TOO_BIG: TOO_BIGS,
    Status.NO_SUCH_NAME: NO_SUCH_NAMES,
    Status.BAD_VALUE: BAD_VALUES,
    Status.GEN_ERR: GEN_ERRORS,
}


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody asks who may."""

    pdu: Pdu
    asker: Asker
    version: int
    most: int
    """Bytes that the answer's PDU may have."""
    wrap: Callable[[bytes], bytes]
    """Makes a message of it."""
    view: View
    permitted: bool = True
    """Whether the proof of who asks is as good as is wanted."""
    proof: bytes = b""
    """The digest by which it is certain who asks, and that nobody has altered it; empty without one."""

    @property
    def v1(self) -> bool:
        """Whether it is of the first version, which has other words for errors."""
        return self.version == V1


class Dispatcher:
    """Opens what comes, answers what only reads, and gives the rest to `later`."""

    def __init__(
        self,
        communities: Communities,
        engine: Engine,
        counters: Counters,
        traffic: Traffic,
        admission: Admission,
        callers: Callers,
        view: Callable[[str | None], View | None],
        later: Callable[[Question, tuple[str, int]], None],
    ) -> None:
        """`view` finds what is shown of a device, of the agent's for None; `later` answers by itself."""
        self._communities = communities
        self._engine = engine
        self._counters = counters
        self._traffic = traffic
        self._admission = admission
        self._callers = callers
        self._view = view
        self._later = later

    def received(self, data: bytes, address: tuple[str, int]) -> bytes | None:
        """Take a datagram; gives the answer, if there is one now."""
        counters = self._counters
        counters.add(IN_PACKETS)
        if not self._admission.admits(address[0]):
            self._traffic.errors += 1
            return None
        try:
            question = self._open(data, address[0])
        except BerError:
            counters.add(ASN_ERRORS)
            question = None
        if not isinstance(question, Question):
            # Reports, too, are for something that was not as it should be.
            self._traffic.errors += 1
            if question is not None:
                counters.add(OUT_PACKETS)
            return question
        self._callers.heard(address[0])
        answer = self.answer(question)
        if answer is None:
            self._later(question, address)
            return None
        return self.close(question, answer)

    def answer(self, question: Question) -> bytes | None:
        """Give the answer to what reads; None for what takes its time. What cannot be answered gives nothing at all."""
        pdu = question.pdu
        if not question.permitted:
            return self.refuse(question, Status.AUTHORIZATION_ERROR, 0)
        if pdu.kind == Kind.SET or not question.view.ready:
            return None
        found = question.view.reading.answer(pdu, question.most, v1=question.v1)
        self._counters.add(READ, len(pdu.variables))
        return b"" if found is None else found

    def refuse(self, question: Question, status: Status, index: int) -> bytes:
        """Give an answer that says no; empty if it does not fit."""
        return refusal(question.pdu, status, index, question.most, v1=question.v1) or b""

    def close(self, question: Question, answer: bytes) -> bytes | None:
        """Make a message of an answer, and count it."""
        counters = self._counters
        if not answer:
            counters.add(SILENT_DROPS)
            self._traffic.errors += 1
            return None
        status = _status(answer)
        if status:
            self._traffic.errors += 1
            if status in _STATUSES:
                counters.add(_STATUSES[Status(status)])
        else:
            self._traffic.requests += 1
            if question.pdu.kind == Kind.SET:
                counters.add(WRITTEN, len(question.pdu.variables))
        counters.add(ANSWERS)
        counters.add(OUT_PACKETS)
        return question.wrap(answer)

    # Opening

    def _open(self, data: bytes, host: str) -> Question | bytes | None:
        outer = Reader(data)
        message = outer.enter()
        outer.done()
        version = message.integer()
        if version == V3:
            asked = self._engine.open(data, message)
            return self._asked(asked, host) if isinstance(asked, Asked) else asked
        if version not in {V1, V2C}:
            self._counters.add(BAD_VERSIONS)
            return None
        name = message.take(Tag.OCTETS)
        # Who may not ask is not even listened to.
        asker = self._communities.find(name, host)
        if asker is None:
            return None
        pdu = read_pdu(message)
        message.done()
        if not self._wanted(pdu, version):
            return None
        view = self._view(asker.device)
        if view is None:
            return None
        head = integer(version) + octets(name)

        def wrap(content: bytes) -> bytes:
            return element(Tag.SEQUENCE, head + content)

        return Question(pdu, asker, version, largest(pdu, proven=False) - len(head) - 4, wrap, view)

    def _asked(self, asked: Asked, host: str) -> Question | bytes | None:
        if not self._wanted(asked.pdu, V3):
            # A report is not answered with a report.
            return self._engine.report(asked, NO_HANDLER) if asked.pdu.kind == Kind.INFORM else None
        try:
            device = asked.context.decode() or None
        except UnicodeDecodeError:
            device = ""
        view = self._view(device)
        if view is None:
            return self._engine.report(asked, NO_CONTEXT)
        user = asked.user
        asker = Asker(f"SNMP {user.name} {host}", user.write, device)
        return Question(asked.pdu, asker, V3, asked.most, asked.wrap, view, asked.level == user.level, asked.proof)

    def _wanted(self, pdu: Pdu, version: int) -> bool:
        """Whether it is something that an agent answers."""
        counter = _KINDS.get(Kind(pdu.kind))
        if counter is not None:
            self._counters.add(counter)
        return pdu.kind == Kind.SET or (pdu.kind in READING and not (version == V1 and pdu.kind == Kind.GET_BULK))


def _status(answer: bytes) -> int:
    """Read the error status of a PDU of our own."""
    _, start, _ = (reader := Reader(answer)).next()
    inner = Reader(answer, start, reader.end)
    inner.integer()
    return inner.integer()


__all__ = ["V1", "V2C", "V3", "Dispatcher", "Question"]
