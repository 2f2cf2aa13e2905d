"""TLS to a receiver (RFC 5425): whom to trust, and the encryption, which tells how many octets a message takes."""

import asyncio
from contextlib import suppress
from pathlib import Path
import ssl

from ridethrough.config.feeds import SyslogReceiver

NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which Python has no name for: dates are not looked at, all else is."""
_CHUNK = 16384


def trust(receiver: SyslogReceiver) -> ssl.SSLContext:
    """Make the context of a receiver: 1.2 at least, its certificate and name checked. It reads files: use a thread.

    Raises OSError with a message that names the file; ssl.SSLError is one.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if receiver.ca is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        # A receiver's own certificate may stand there too, without whoever signed it (manual M:2129).
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
        try:
            context.load_verify_locations(receiver.ca)
        except OSError as error:
            raise _named(error, receiver.ca, "certificates") from error
    if not receiver.reject_expired:
        context.verify_flags = ssl.VerifyFlags(context.verify_flags | NO_CHECK_TIME)
    if receiver.certificate is not None:
        try:
            # Without a password of our own OpenSSL would ask for one on the terminal.
            context.load_cert_chain(receiver.certificate.certificate, receiver.certificate.key, password="")
        except OSError as error:
            raise _named(error, receiver.certificate.certificate, "certificate with its key") from error
    return context


def _named(error: OSError, file: Path, what: str) -> OSError:
    if isinstance(error, ssl.SSLError):
        return OSError(f"{file} holds no {what} in PEM form")
    return OSError(f"{file} cannot be read: {error.strerror}")


class Tls:
    """One side of an encrypted connection. asyncio's own does not tell what has left it and what has not."""

    def __init__(self, context: ssl.SSLContext, server_name: str) -> None:
        """Begin; `server_name` is what the certificate must be for, a name or an address. Raises OSError."""
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        try:
            self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)
        except ValueError as error:
            raise OSError(f"{server_name} cannot be the name in a certificate") from error

    async def shake_hands(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Agree with the receiver. Raises OSError, of which ssl.SSLError is one."""
        while True:
            try:
                self._object.do_handshake()
            except ssl.SSLWantReadError:
                pass
            else:
                break
            finally:
                # Also what tells the receiver why it was not trusted.
                writer.write(self._outgoing.read())
            data = await reader.read(_CHUNK)
            if not data:
                raise ConnectionError("it closed the connection while TLS was agreed on")
            self._incoming.write(data)

    def encrypt(self, data: bytes) -> bytes:
        """Give what goes over the wire for this."""
        self._object.write(data)
        return self._outgoing.read()

    def hear(self, data: bytes) -> bytes:
        """Take what came over the wire: receivers say nothing, but TLS does. Gives its answer.

        Raises OSError when the receiver ends the connection.
        """
        self._incoming.write(data)
        try:
            while self._object.read(_CHUNK):
                pass
        except ssl.SSLWantReadError:
            return self._outgoing.read()
        raise ConnectionError("it closed the connection")

    def part(self) -> bytes:
        """Give what tells the receiver that nothing more will come (RFC 5425 §4.4)."""
        with suppress(ssl.SSLError):
            self._object.unwrap()
        return self._outgoing.read()


__all__ = ["NO_CHECK_TIME", "Tls", "trust"]
