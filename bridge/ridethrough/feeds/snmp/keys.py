"""Keys made of passwords, and what they are used for: digests and ciphers of SNMPv3 (RFC 3414, 3826, 7860). Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
import hashlib
import hmac
import secrets

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

_MEGABYTE = 1 << 20
"""So much of a password is hashed, again and again the same (RFC 3414 §A.2)."""

AUTHENTICATIONS: Mapping[str, tuple[str, int]] = {
    # The hash, and how many bytes of a digest are sent.
    "md5": ("md5", 12),
    "sha": ("sha1", 12),
    "sha224": ("sha224", 16),
    "sha256": ("sha256", 24),
    "sha384": ("sha384", 32),
    "sha512": ("sha512", 48),
}
_KEY_LENGTHS: Mapping[str, int] = {"des": 16, "aes": 16, "aes192": 24, "aes256": 32}


def localized(password: str, algorithm: str, engine_id: bytes) -> bytes:
    """Make the key of a password for one engine (RFC 3414 §A.2). Takes some milliseconds."""
    word = password.encode()
    whole = (word * (_MEGABYTE // len(word) + 1))[:_MEGABYTE]
    key = hashlib.new(algorithm, whole, usedforsecurity=False).digest()
    return hashlib.new(algorithm, key + engine_id + key, usedforsecurity=False).digest()


@dataclass(frozen=True, slots=True, repr=False)
class Authentication:
    """Signs messages."""

    algorithm: str
    size: int
    key: bytes

    def digest(self, message: bytes) -> bytes:
        """Sign a message in which the place of the digest is filled with zeros."""
        return hmac.digest(self.key, message, self.algorithm)[: self.size]

    def verifies(self, message: bytes, digest: bytes) -> bool:
        """Whether this is the digest of such a message."""
        return len(digest) == self.size and hmac.compare_digest(self.digest(message), digest)


class Salt:
    """Gives a number that has not been given before; the first one nobody can guess."""

    def __init__(self) -> None:
        """Begin somewhere."""
        self._next = secrets.randbits(64)

    def take(self, size: int) -> bytes:
        """Give the next one in so many bytes."""
        self._next = (self._next + 1) & 0xFFFFFFFFFFFFFFFF
        return (self._next & ((1 << 8 * size) - 1)).to_bytes(size)


@dataclass(frozen=True, slots=True, repr=False)
class Privacy:
    """Hides what is asked and answered."""

    protocol: str
    key: bytes
    salt: Salt

    def encrypt(self, plain: bytes, boots: int, time: int) -> tuple[bytes, bytes]:
        """Give what is sent, and the privacy parameters that go with it."""
        if self.protocol == "des":
            salt = boots.to_bytes(4) + self.salt.take(4)
            padded = plain + bytes(-len(plain) % 8)
            run = self._des(salt).encryptor()
            return run.update(padded) + run.finalize(), salt
        salt = self.salt.take(8)
        run = self._aes(salt, boots, time).encryptor()
        return run.update(plain) + run.finalize(), salt

    def decrypt(self, hidden: bytes, salt: bytes, boots: int, time: int) -> bytes:
        """Give what was hidden. Raises ValueError for what cannot be."""
        if len(salt) != 8:
            raise ValueError("the privacy parameters have eight bytes")
        run: Callable[[bytes], bytes]
        if self.protocol == "des":
            if len(hidden) % 8:
                raise ValueError("DES works on blocks of eight bytes")
            run = self._des(salt).decryptor().update
        else:
            run = self._aes(salt, boots, time).decryptor().update
        return run(hidden)

    def _des(self, salt: bytes) -> Cipher[CBC]:
        # Three times the same key is simple DES (RFC 3414 §8.1.1); the other half of the key goes into the vector.
        vector = bytes(one ^ other for one, other in zip(self.key[8:16], salt, strict=True))
        return Cipher(TripleDES(self.key[:8] * 3), CBC(vector))

    def _aes(self, salt: bytes, boots: int, time: int) -> Cipher[CFB]:
        return Cipher(AES(self.key), CFB(boots.to_bytes(4) + time.to_bytes(4) + salt))


def authentication(protocol: str, password: str, engine_id: bytes) -> Authentication:
    """Make what signs with a password."""
    algorithm, size = AUTHENTICATIONS[protocol]
    return Authentication(algorithm, size, localized(password, algorithm, engine_id))


def privacy(protocol: str, password: str, signed_by: str, engine_id: bytes, salt: Salt) -> Privacy:
    """Make what hides with a password; the hash is that of the user's authentication protocol.

    AES-192 and AES-256 lengthen a key that is too short for them by its own hash, as net-snmp's `AES-192` and
    `AES-256` do (draft-blumenthal-aes-usm-04 §3.1.2.1).
    """
    algorithm, _ = AUTHENTICATIONS[signed_by]
    key = localized(password, algorithm, engine_id)
    while len(key) < _KEY_LENGTHS[protocol]:
        key += hashlib.new(algorithm, key, usedforsecurity=False).digest()
    return Privacy(protocol, key[: _KEY_LENGTHS[protocol]], salt)


__all__ = ["AUTHENTICATIONS", "Authentication", "Privacy", "Salt", "authentication", "localized", "privacy"]
