"""The user-based security of SNMPv3 for what we send: keys, and messages that are signed and encrypted (RFC 3414).

    30 len | 02 version 3
           | 30 02 message id, 02 largest size, 04 flags, 02 model 3
           | 04 ( 30 04 engine id, 02 boots, 02 time, 04 user, 04 signature, 04 salt )
           | 30 or, encrypted, 04 ( 30 04 context engine id, 04 context name, PDU )

The engine named in the message is the one whose clock counts: ours for a trap, the receiver's for an inform.
"""

from dataclasses import dataclass
import hashlib
import hmac
import itertools
import secrets

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from ridethrough.config.feeds import SnmpUser

from .trap_message import Answer, MessageError, Reader, Tag, integer, octets, read_pdu, sequence

AUTHENTICATIONS = {
    "md5": ("md5", 12),
    "sha": ("sha1", 12),
    "sha224": ("sha224", 16),
    "sha256": ("sha256", 24),
    "sha384": ("sha384", 32),
    "sha512": ("sha512", 48),
}
"""The hash and the bytes of it that sign a message (RFC 3414 §6 and §7, RFC 7860 §4)."""
PRIVACIES = {"des": 16, "aes": 16, "aes192": 24, "aes256": 32}
"""Bytes of a key: DES has eight more for its first block (RFC 3414 §8, RFC 3826, draft-blumenthal-aes-usm-04)."""
LARGEST = 65507
"""Bytes that a datagram can have."""
_AUTH, _PRIV, _REPORTABLE = 1, 2, 4
_USM = 3
_MOST = 2**31 - 1
_PASSPHRASE = 2**20
"""Bytes to which a password is repeated (RFC 3414 §A.2)."""


@dataclass(frozen=True, slots=True)
class EngineTime:
    """The clock of an engine as it is told in messages."""

    engine_id: bytes
    boots: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Secured:
    """What a message of v3 says once it has been checked."""

    message_id: int
    engine: EngineTime
    signed: bool
    """Whether its signature is that of the user: only then its clock may be believed."""
    answer: Answer


class UserKeys:
    """A user with the keys that its passwords give. Making it takes some milliseconds; do it in a thread."""

    def __init__(self, user: SnmpUser) -> None:
        """Work out the keys that are common to all engines."""
        self.name = user.name.encode()
        self.privacy = user.privacy
        self.hash, self.signature = AUTHENTICATIONS.get(user.auth, ("", 0))
        self._auth = self._stretched(user.password)
        self._priv = self._stretched(user.privacy_password) if user.privacy != "none" else b""

    @property
    def flags(self) -> int:
        """The level of security as the flags of a message have it."""
        return (_AUTH if self._auth else 0) | (_PRIV if self._priv else 0)

    def localised(self, engine_id: bytes) -> tuple[bytes, bytes]:
        """Return the keys for signing and for encrypting that hold with one engine; empty for what it does not do."""
        if not self._auth:
            return b"", b""
        size = PRIVACIES.get(self.privacy, 0)
        key = self._local(self._priv, engine_id) if self._priv else b""
        while key and len(key) < size:
            key += hashlib.new(self.hash, key).digest()
        return self._local(self._auth, engine_id), key[:size]

    def _stretched(self, password: str | None) -> bytes:
        if not self.hash or not password:
            return b""
        secret = password.encode()
        return hashlib.new(self.hash, (secret * (_PASSPHRASE // len(secret) + 1))[:_PASSPHRASE]).digest()

    def _local(self, key: bytes, engine_id: bytes) -> bytes:
        return hashlib.new(self.hash, key + engine_id + key).digest()


class Seal:
    """Signs and encrypts for one user with one engine."""

    _salts = itertools.count(secrets.randbits(62))

    def __init__(self, user: UserKeys, engine_id: bytes) -> None:
        """Work out the keys for this engine."""
        self.engine_id = engine_id
        self._user = user
        self._auth_key, self._priv_key = user.localised(engine_id)

    def message(self, message_id: int, engine: EngineTime, scoped: bytes, *, reportable: bool) -> bytes:
        """Make a message around a scoped PDU."""
        flags = self._user.flags | (_REPORTABLE if reportable else 0)
        salt = b""
        if self._priv_key:
            salt, encrypted = self._encrypt(engine, scoped)
            scoped = octets(encrypted)
        signature = bytes(self._user.signature if self._auth_key else 0)
        tail = octets(signature) + octets(salt)
        data = sequence(
            integer(3),
            _header(message_id, flags),
            octets(
                sequence(
                    octets(engine.engine_id),
                    integer(engine.boots),
                    integer(engine.seconds),
                    octets(self._user.name),
                    tail,
                )
            ),
            scoped,
        )
        if not signature:
            return data
        # The signature stands before the salt and the PDU, whose lengths are known.
        at = len(data) - len(scoped) - len(octets(salt)) - len(signature)
        return data[:at] + self._sign(data) + data[at + len(signature) :]

    def open(self, data: bytes) -> Secured:
        """Read an answer. Raises MessageError when it is none, or not from who knows the password."""
        message = Reader(data).enter(Tag.SEQUENCE)
        if message.integer() != _USM:
            raise MessageError("another version")
        header = message.enter(Tag.SEQUENCE)
        message_id, _, flags, model = header.integer(), header.integer(), header.take(Tag.OCTETS), header.integer()
        if model != _USM or len(flags) != 1:
            raise MessageError("another model of security")
        security = Reader(data, *message.span(Tag.OCTETS)).enter(Tag.SEQUENCE)
        engine_id, boots, seconds = security.take(Tag.OCTETS), security.integer(), security.integer()
        security.take(Tag.OCTETS)
        start, end = security.span(Tag.OCTETS)
        salt = security.take(Tag.OCTETS)
        if not (0 <= boots <= _MOST and 0 <= seconds <= _MOST):
            raise MessageError("a clock that cannot be")
        engine = EngineTime(engine_id, boots, seconds)
        signed = bool(flags[0] & _AUTH)
        if signed:
            blank = data[:start] + bytes(end - start) + data[end:]
            if not self._auth_key or engine_id != self.engine_id:
                raise MessageError("signed for somebody else")
            if not hmac.compare_digest(self._sign(blank), data[start:end]):
                raise MessageError("a wrong signature")
        if flags[0] & _PRIV:
            if not signed or not self._priv_key or len(salt) != 8:
                raise MessageError("encrypted for somebody else")
            scoped = Reader(self._decrypt(engine, salt, message.take(Tag.OCTETS))).enter(Tag.SEQUENCE)
        else:
            scoped = message.enter(Tag.SEQUENCE)
        scoped.take(Tag.OCTETS)
        scoped.take(Tag.OCTETS)
        return Secured(message_id, engine, signed, read_pdu(scoped))

    def _sign(self, data: bytes) -> bytes:
        return hmac.digest(self._auth_key, data, self._user.hash)[: self._user.signature]

    def _encrypt(self, engine: EngineTime, plain: bytes) -> tuple[bytes, bytes]:
        number = next(self._salts)
        if self._user.privacy == "des":
            salt = engine.boots.to_bytes(4) + (number % 2**32).to_bytes(4)
            plain += bytes(-len(plain) % 8)
        else:
            salt = number.to_bytes(8)
        encryptor = self._cipher(engine, salt).encryptor()
        return salt, encryptor.update(plain) + encryptor.finalize()

    def _decrypt(self, engine: EngineTime, salt: bytes, encrypted: bytes) -> bytes:
        if self._user.privacy == "des" and len(encrypted) % 8:
            raise MessageError("cut off")
        decryptor = self._cipher(engine, salt).decryptor()
        return decryptor.update(encrypted) + decryptor.finalize()

    def _cipher(self, engine: EngineTime, salt: bytes) -> Cipher[CBC] | Cipher[CFB]:
        if self._user.privacy == "des":
            # Three times the same key makes triple DES plain DES, which the library no longer has by itself.
            start = bytes(one ^ other for one, other in zip(salt, self._priv_key[8:], strict=True))
            return Cipher(TripleDES(self._priv_key[:8] * 3), CBC(start))
        return Cipher(AES(self._priv_key), CFB(engine.boots.to_bytes(4) + engine.seconds.to_bytes(4) + salt))


def question(message_id: int, pdu: bytes) -> bytes:
    """Make the message that asks an engine who it is (RFC 3414 §4)."""
    security = sequence(octets(b""), integer(0), integer(0), octets(b""), octets(b""), octets(b""))
    return sequence(integer(3), _header(message_id, _REPORTABLE), octets(security), scoped_pdu(b"", pdu))


def scoped_pdu(context_engine_id: bytes, pdu: bytes) -> bytes:
    """Say whose objects a PDU is about; the context has no name."""
    return sequence(octets(context_engine_id), octets(b""), pdu)


def _header(message_id: int, flags: int) -> bytes:
    return sequence(integer(message_id), integer(LARGEST), octets(bytes([flags])), integer(_USM))


__all__ = ["EngineTime", "Seal", "Secured", "UserKeys", "question", "scoped_pdu"]
