"""The user-based security of SNMPv3 for what we send without being asked, and for its answers (RFC 3412, RFC 3414).

    30 len | 02 version 3
           | 30 02 message id, 02 largest size, 04 flags, 02 model 3
           | 04 ( 30 04 engine id, 02 boots, 02 time, 04 user, 04 digest, 04 salt )
           | 30 or, encrypted, 04 ( 30 04 context engine id, 04 context name, PDU )

The engine named in the message is the one whose clock counts: ours for a trap, the receiver's for an inform.
"""

from dataclasses import dataclass

from ridethrough.config.feeds import SnmpUser

from .ber import BerError, Reader, Tag, element, integer, octets
from .keys import Salt, authentication, privacy
from .pdu import Kind, Pdu, read_pdu, response

LARGEST = 65507
"""Bytes that a datagram can have."""
_AUTH, _PRIV, _REPORTABLE = 1, 2, 4
_VERSION, _MODEL = 3, 3
_SALT = Salt()


@dataclass(frozen=True, slots=True)
class EngineTime:
    """The clock of an engine as messages tell it."""

    engine_id: bytes
    boots: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What an answer says once it has been checked."""

    message_id: int
    engine: EngineTime
    signed: bool
    """Whether its digest is that of the user: only then it may be believed."""
    pdu: Pdu


class Seal:
    """Signs and encrypts for one user with one engine, and opens what comes back."""

    def __init__(self, user: SnmpUser, engine_id: bytes) -> None:
        """Make the keys; that takes some milliseconds: do it in a thread."""
        self.engine_id = engine_id
        self._name = user.name.encode()
        self._signs = self._hides = None
        if user.auth != "none" and user.password is not None:
            self._signs = authentication(user.auth, user.password, engine_id)
            if user.privacy != "none" and user.privacy_password is not None:
                self._hides = privacy(user.privacy, user.privacy_password, user.auth, engine_id, _SALT)

    @property
    def signs(self) -> bool:
        """Whether messages are signed at all."""
        return self._signs is not None

    def message(self, message_id: int, engine: EngineTime, scoped: bytes, *, reportable: bool) -> bytes:
        """Make a message around a scoped PDU."""
        flags = (_AUTH if self._signs else 0) | (_PRIV if self._hides else 0) | (_REPORTABLE if reportable else 0)
        salt = b""
        if self._hides is not None:
            hidden, salt = self._hides.encrypt(scoped, engine.boots, engine.seconds)
            scoped = octets(hidden)
        blank = bytes(0 if self._signs is None else self._signs.size)
        security = octets(engine.engine_id) + integer(engine.boots) + integer(engine.seconds) + octets(self._name)
        tail = octets(salt) + scoped
        data = _whole(message_id, flags, security + octets(blank) + octets(salt), scoped)
        if self._signs is None:
            return data
        at = len(data) - len(tail) - len(blank)
        return data[:at] + self._signs.digest(data) + data[at + len(blank) :]

    def open(self, data: bytes) -> Answer:
        """Read an answer. Raises BerError when it is none, or not from somebody who knows the password."""
        message = Reader(data).enter()
        if message.integer() != _VERSION:
            raise BerError("another version")
        header = message.enter()
        message_id, _, flags, model = header.integer(), header.integer(), header.take(Tag.OCTETS), header.integer()
        if model != _MODEL or len(flags) != 1:
            raise BerError("another model of security")
        security = message.enter(Tag.OCTETS).enter()
        engine = EngineTime(security.take(Tag.OCTETS), security.integer(), security.integer())
        if engine.boots < 0 or engine.seconds < 0:
            raise BerError("a clock that cannot be")
        security.take(Tag.OCTETS)
        digest = security.enter(Tag.OCTETS)
        salt = security.take(Tag.OCTETS)
        signed = bool(flags[0] & _AUTH)
        if signed:
            blank = data[: digest.place] + bytes(digest.end - digest.place) + data[digest.end :]
            said = data[digest.place : digest.end]
            if self._signs is None or engine.engine_id != self.engine_id or not self._signs.verifies(blank, said):
                raise BerError("a digest that is not right")
        if flags[0] & _PRIV:
            if not signed or self._hides is None:
                raise BerError("encrypted for somebody else")
            scoped = Reader(self._plain(message.take(Tag.OCTETS), salt, engine)).enter()
        else:
            scoped = message.enter()
        scoped.take(Tag.OCTETS)
        scoped.take(Tag.OCTETS)
        return Answer(message_id, engine, signed, read_pdu(scoped))

    def _plain(self, hidden: bytes, salt: bytes, engine: EngineTime) -> bytes:
        assert self._hides is not None
        try:
            return self._hides.decrypt(hidden, salt, engine.boots, engine.seconds)
        except ValueError as error:
            raise BerError(str(error)) from error


def question(message_id: int) -> bytes:
    """Make the message that asks an engine who it is (RFC 3414 §4)."""
    nobody = octets(b"") + integer(0) + integer(0) + octets(b"") * 3
    pdu = response(integer(message_id), (), kind=Kind.GET)
    return _whole(message_id, _REPORTABLE, nobody, scoped_pdu(b"", pdu))


def scoped_pdu(context_engine_id: bytes, pdu: bytes) -> bytes:
    """Say whose objects a PDU is about; the context has no name."""
    return element(Tag.SEQUENCE, octets(context_engine_id) + octets(b"") + pdu)


def _whole(message_id: int, flags: int, security: bytes, content: bytes) -> bytes:
    header = integer(message_id) + integer(LARGEST) + octets(bytes([flags])) + integer(_MODEL)
    around = octets(element(Tag.SEQUENCE, security))
    return element(Tag.SEQUENCE, integer(_VERSION) + element(Tag.SEQUENCE, header) + around + content)


__all__ = ["Answer", "EngineTime", "Seal", "question", "scoped_pdu"]
