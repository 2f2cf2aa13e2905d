"""Protocol data units: what a request asks, and the bytes of its answer (RFC 1157 §4, RFC 3416 §3). Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from .ber import VALUES, BerError, Oid, Reader, Tag, element, integer, overhead, read_name

MOST_VARIABLES = 4096
"""Variables in one request: more do not fit into a datagram anyway."""


class Kind(IntEnum):
    """What a PDU is."""

    GET = 0xA0
    GET_NEXT = 0xA1
    RESPONSE = 0xA2
    SET = 0xA3
    TRAP_V1 = 0xA4
    GET_BULK = 0xA5
    INFORM = 0xA6
    TRAP = 0xA7
    REPORT = 0xA8


READING = frozenset({Kind.GET, Kind.GET_NEXT, Kind.GET_BULK})


class Status(IntEnum):
    """The error status of an answer (RFC 3416 §3)."""

    NO_ERROR = 0
    TOO_BIG = 1
    NO_SUCH_NAME = 2
    BAD_VALUE = 3
    READ_ONLY = 4
    GEN_ERR = 5
    NO_ACCESS = 6
    WRONG_TYPE = 7
    WRONG_LENGTH = 8
    WRONG_ENCODING = 9
    WRONG_VALUE = 10
    NO_CREATION = 11
    INCONSISTENT_VALUE = 12
    RESOURCE_UNAVAILABLE = 13
    COMMIT_FAILED = 14
    UNDO_FAILED = 15
    AUTHORIZATION_ERROR = 16
    NOT_WRITABLE = 17
    INCONSISTENT_NAME = 18


_BAD_VALUE = frozenset(
    {
        Status.WRONG_VALUE,
        Status.WRONG_ENCODING,
        Status.WRONG_TYPE,
        Status.WRONG_LENGTH,
        Status.INCONSISTENT_VALUE,
    }
)
_NO_SUCH_NAME = frozenset(
    {
        Status.NO_ACCESS,
        Status.NOT_WRITABLE,
        Status.NO_CREATION,
        Status.INCONSISTENT_NAME,
        Status.AUTHORIZATION_ERROR,
    }
)


def in_v1(status: Status) -> Status:
    """Say a status in the words of the first version (RFC 3584 §4.4)."""
    if status in _BAD_VALUE:
        return Status.BAD_VALUE
    if status in _NO_SUCH_NAME:
        return Status.NO_SUCH_NAME
    return min(status, Status.GEN_ERR)


@dataclass(frozen=True, slots=True)
class Variable:
    """A name with what stands beside it."""

    name: Oid
    tag: int
    content: bytes
    raw: bytes
    """Both as they came, for answers that repeat them."""


@dataclass(frozen=True, slots=True)
class Pdu:
    """What somebody asks, or has answered."""

    kind: int
    request_id: bytes
    """The whole element, as it is only ever repeated."""
    first: int
    """The error status, or the non-repeaters of GETBULK."""
    second: int
    """The error index, or the max-repetitions of GETBULK."""
    variables: tuple[Variable, ...]

    @property
    def raw(self) -> bytes:
        """The variables as they came."""
        return b"".join(variable.raw for variable in self.variables)


def read_pdu(reader: Reader) -> Pdu:
    """Take a PDU. Raises BerError."""
    kind, start, end = reader.next()
    if kind == Kind.TRAP_V1 or not Kind.GET <= kind <= Kind.REPORT:
        raise BerError("no PDU that is known")
    body = Reader(reader.data, start, end)
    before = body.place
    body.integer()
    request_id = body.data[before : body.place]
    first, second = body.integer(), body.integer()
    rows = body.enter()
    body.done()
    variables = []
    data = rows.data
    while rows:
        begin = rows.place
        row = rows.enter()
        tag, at, to = row.next()
        if tag != Tag.OID:
            raise BerError("a variable without a name")
        name = read_name(data[at:to])
        tag, at, to = row.next()
        row.done()
        if tag not in VALUES and kind not in {Kind.RESPONSE, Kind.REPORT}:
            raise BerError("a value of a type that is unknown")
        variables.append(Variable(name, tag, data[at:to], data[begin : rows.place]))
        if len(variables) > MOST_VARIABLES:
            raise BerError("more variables than can be answered")
    return Pdu(kind, request_id, first, second, tuple(variables))


def variable(name: bytes, value: bytes) -> bytes:
    """Encode a variable of an encoded name and an encoded value."""
    return element(Tag.SEQUENCE, name + value)


def response(
    request_id: bytes, variables: Iterable[bytes], status: int = 0, index: int = 0, kind: int = Kind.RESPONSE
) -> bytes:
    """Encode an answer."""
    rows = element(Tag.SEQUENCE, b"".join(variables))
    return element(kind, request_id + integer(status) + integer(index) + rows)


def room(request_id: bytes, most: int) -> int:
    """Tell how many bytes of variables fit into an answer of at most `most` bytes."""
    # Status 0 and index 0 take three bytes each; what stands before the list and before the whole takes up to ten.
    return most - len(request_id) - 6 - 2 * overhead(most)


def joined(parts: Sequence[bytes]) -> int:
    """How many bytes these are together."""
    return sum(map(len, parts))


__all__ = [
    "READING",
    "Kind",
    "Pdu",
    "Status",
    "Variable",
    "in_v1",
    "joined",
    "read_pdu",
    "response",
    "room",
    "variable",
]
