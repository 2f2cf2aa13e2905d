"""SNMPv3 messages and their security: users, time window, reports (RFC 3412 §6 and §7, RFC 3414 §3)."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ridethrough.config.feeds import SnmpUser

from .ber import BerError, Reader, Tag, element, integer, octets
from .counters import (
    BAD_MODELS,
    INVALID,
    NAMES,
    NO_ENGINE,
    NO_HANDLER,
    NO_LEVEL,
    NO_USER,
    NOT_IN_TIME,
    UNDECIPHERED,
    WRONG_DIGESTS,
    Counters,
)
from .engine_identity import EngineIdentity
from .keys import Authentication, Privacy, Salt, authentication, privacy
from .pdu import Kind, Pdu, read_pdu, response
from .reading import counted
from .system import LARGEST_MESSAGE

MODEL = 3
"""The user-based security model."""
WINDOW = 150
"""Seconds by which a message may be off (RFC 3414 §2.2.3)."""
ONE_FRAME = 1472
"""Bytes of a datagram that goes through an Ethernet in one piece."""
LATCHED = 2**31 - 1
"""Boots at which an engine gives up until it gets a new id."""
SMALLEST_MESSAGE = 484
"""Bytes that everybody must be able to take."""
_AUTH, _PRIV, _REPORTABLE = 1, 2, 4
_AROUND = 96
"""Bytes of a message around its PDU, apart from names and digest."""
_NO_REQUEST = integer(0)


@dataclass(frozen=True, slots=True, repr=False)
class User:
    """Somebody who may ask, with keys for this engine."""

    name: str
    authentication: Authentication | None
    privacy: Privacy | None
    write: bool

    @property
    def level(self) -> int:
        """The least security that is asked of them, as the flags of a message say it."""
        return (_AUTH if self.authentication else 0) | (_PRIV if self.privacy else 0)


def users(configured: Iterable[SnmpUser], engine_id: bytes) -> Mapping[bytes, User]:
    """Make the keys of all users, by their names. Takes some milliseconds for each of them."""
    salt = Salt()
    found: dict[bytes, User] = {}
    for one in configured:
        signs = hides = None
        if one.auth != "none" and one.password is not None:
            signs = authentication(one.auth, one.password, engine_id)
            if one.privacy != "none" and one.privacy_password is not None:
                hides = privacy(one.privacy, one.privacy_password, one.auth, engine_id, salt)
        found[one.name.encode()] = User(one.name, signs, hides, one.write)
    return found


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asks by SNMPv3, and has the right to be answered."""

    user: User
    level: int
    context: bytes
    pdu: Pdu
    most: int
    """Bytes that the answer's PDU may have."""
    wrap: Callable[[bytes], bytes]
    """Makes a message of it."""
    proof: bytes = b""
    """The digest of the message, empty for one without: no other message has the same."""


class _ReportError(Exception):
    """The message is to be answered with a counter."""

    def __init__(self, counter: str, level: int = 0, user: User | None = None) -> None:
        super().__init__(counter)
        self.counter = counter
        self.level = level
        self.user = user


@dataclass(slots=True)
class _Header:
    message_id: bytes
    largest: int
    flags: int

    @property
    def level(self) -> int:
        return self.flags & (_AUTH | _PRIV)


@dataclass(slots=True)
class _Security:
    engine_id: bytes
    boots: int
    time: int
    name: bytes
    digest: bytes
    digest_at: int
    salt: bytes


class Engine:
    """Opens messages, and closes their answers."""

    def __init__(
        self,
        identity: EngineIdentity,
        known: Mapping[bytes, User],
        counters: Counters,
        uptime: Callable[[], float],
    ) -> None:
        """`known` are the users by their names."""
        self.identity = identity
        self._users = known
        self._counters = counters
        self._uptime = uptime

    def open(self, data: bytes, message: Reader) -> Asked | bytes | None:
        """Open a message whose version has been read; gives a report where one is due. Raises BerError."""
        header = self._header(message.enter())
        if header is None:
            return None
        parameters = message.enter(Tag.OCTETS)
        security = self._security(parameters)
        tag, start, end = message.next()
        message.done()
        scoped, request_id = Reader(data, start, end), _NO_REQUEST
        if tag == Tag.SEQUENCE:
            request_id = _request_id(data, start, end) or _NO_REQUEST
        elif tag != Tag.OCTETS:
            raise BerError("neither a PDU nor one that is encrypted")
        if bool(header.level & _PRIV) != (tag == Tag.OCTETS):
            self._counters.add(INVALID)
            return None
        try:
            user = self._authentic(data, header, security)
            if tag == Tag.OCTETS:
                scoped = self._deciphered(data[start:end], security, user)
                request_id = _request_id(scoped.data, 0, scoped.end) or _NO_REQUEST
            return self._scoped(scoped, header, user, security.digest if header.level & _AUTH else b"")
        except _ReportError as error:
            self._counters.add(error.counter)
            if not header.flags & _REPORTABLE:
                return None
            return self._report(error, header, request_id)

    def report(self, asked: Asked, counter: str) -> bytes:
        """Answer with a counter what could be opened but not be asked so."""
        self._counters.add(counter)
        variables = (counted(NAMES[counter], self._counters[counter]),)
        return asked.wrap(response(asked.pdu.request_id, variables, kind=Kind.REPORT))

    # Opening

    def _header(self, reader: Reader) -> _Header | None:
        before = reader.place
        reader.integer()
        message_id = reader.data[before : reader.place]
        largest, flags, model = reader.integer(), reader.take(Tag.OCTETS), reader.integer()
        reader.done()
        if model != MODEL:
            self._counters.add(BAD_MODELS)
            return None
        if len(flags) != 1 or largest < SMALLEST_MESSAGE:
            raise BerError("a header that cannot be")
        if flags[0] & _PRIV and not flags[0] & _AUTH:
            self._counters.add(INVALID)
            return None
        return _Header(message_id, largest, flags[0])

    def _security(self, parameters: Reader) -> _Security:
        reader = parameters.enter()
        parameters.done()
        engine_id = reader.take(Tag.OCTETS)
        boots, time = reader.integer(), reader.integer()
        name = reader.take(Tag.OCTETS)
        digest = reader.enter(Tag.OCTETS)
        salt = reader.take(Tag.OCTETS)
        reader.done()
        if len(engine_id) > 32 or len(name) > 32 or boots < 0 or time < 0:
            raise BerError("security parameters that cannot be")
        return _Security(engine_id, boots, time, name, digest.data[digest.place : digest.end], digest.place, salt)

    def _authentic(self, data: bytes, header: _Header, security: _Security) -> User:
        """Find out who it is (RFC 3414 §3.2)."""
        if security.engine_id != self.identity.engine_id:
            raise _ReportError(NO_ENGINE)
        user = self._users.get(security.name)
        if user is None:
            raise _ReportError(NO_USER)
        if header.level & ~user.level:
            raise _ReportError(NO_LEVEL)
        if header.level & _AUTH:
            assert user.authentication is not None
            at, to = security.digest_at, security.digest_at + len(security.digest)
            zeroed = b"".join((data[:at], bytes(to - at), data[to:]))
            if not user.authentication.verifies(zeroed, security.digest):
                raise _ReportError(WRONG_DIGESTS)
            boots = self.identity.boots
            if boots >= LATCHED or security.boots != boots or abs(security.time - self._time()) > WINDOW:
                raise _ReportError(NOT_IN_TIME, _AUTH, user)
        return user

    def _deciphered(self, hidden: bytes, security: _Security, user: User) -> Reader:
        assert user.privacy is not None
        try:
            plain = user.privacy.decrypt(hidden, security.salt, security.boots, security.time)
            # DES fills up the last block.
            return Reader(plain).enter()
        except ValueError:
            raise _ReportError(UNDECIPHERED) from None

    def _scoped(self, scoped: Reader, header: _Header, user: User, proof: bytes) -> Asked:
        try:
            engine, context = scoped.take(Tag.OCTETS), scoped.take(Tag.OCTETS)
            pdu = read_pdu(scoped)
            scoped.done()
        except BerError:
            if header.level & _PRIV:
                raise _ReportError(UNDECIPHERED) from None
            raise
        if engine != self.identity.engine_id:
            raise _ReportError(NO_HANDLER, header.level, user)

        def wrap(content: bytes) -> bytes:
            return self._message(header.message_id, header.level, user, context, content)

        signature = user.authentication.size if user.authentication is not None else 0
        spare = _AROUND + 2 * len(engine) + len(user.name.encode()) + len(context) + signature
        most = min(header.largest, largest(pdu, proven=bool(proof))) - spare
        return Asked(user, header.level, context, pdu, most, wrap, proof)

    # Closing

    def _report(self, error: _ReportError, header: _Header, request_id: bytes) -> bytes:
        variables = (counted(NAMES[error.counter], self._counters[error.counter]),)
        content = response(request_id, variables, kind=Kind.REPORT)
        return self._message(header.message_id, error.level, error.user, b"", content)

    def _message(self, message_id: bytes, level: int, user: User | None, context: bytes, content: bytes) -> bytes:
        boots, time = self.identity.boots, self._time()
        scoped = element(Tag.SEQUENCE, octets(self.identity.engine_id) + octets(context) + content)
        salt = b""
        if level & _PRIV:
            assert user is not None and user.privacy is not None
            hidden, salt = user.privacy.encrypt(scoped, boots, time)
            scoped = octets(hidden)
        signs = None if user is None or not level & _AUTH else user.authentication
        blank = bytes(signs.size) if signs is not None else b""
        head = octets(self.identity.engine_id) + integer(boots) + integer(time)
        head += octets(b"" if user is None else user.name.encode())
        parameters = element(Tag.SEQUENCE, head + octets(blank) + octets(salt))
        about = message_id + integer(LARGEST_MESSAGE) + octets(bytes((level,))) + integer(MODEL)
        before = integer(3) + element(Tag.SEQUENCE, about)
        message = element(Tag.SEQUENCE, before + octets(parameters) + scoped)
        if signs is None:
            return message
        # The digest stands before the salt and what is asked.
        at = len(message) - len(scoped) - len(octets(salt)) - signs.size
        return b"".join((message[:at], signs.digest(message), message[at + signs.size :]))

    def _time(self) -> int:
        return int(self._uptime())


def largest(pdu: Pdu, *, proven: bool) -> int:
    """Give the bytes that an answer may have.

    Without a proof of who asks, the address may be that of somebody else, whom a short GETBULK must not bury. Whoever
    wants more than a frame has asks again.
    """
    return LARGEST_MESSAGE if proven or pdu.kind != Kind.GET_BULK else ONE_FRAME


def _request_id(data: bytes, start: int, end: int) -> bytes | None:
    """Find the request id of a PDU that may be anything, for a report."""
    try:
        scoped = Reader(data, start, end)
        scoped.next()
        scoped.next()
        _, at, to = scoped.next()
        body = Reader(data, at, to)
        body.integer()
        return data[at : body.place]
    except BerError:
        return None


__all__ = ["ONE_FRAME", "WINDOW", "Asked", "Engine", "User", "largest", "users"]
