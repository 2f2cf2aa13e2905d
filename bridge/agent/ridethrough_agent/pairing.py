"""Pairing: a code that somebody carries over says which certificate to trust and proves that we were invited."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import socket
import ssl
from typing import Any

from . import VERSION
from .bridges import Bridge, Bridges, PairingError
from .frames import LIMIT, FrameError, encode, parse
from .texts import clean

PORT = 6005
"""Where a bridge listens while an invitation is open."""
PATIENCE = 15.0
"""Seconds for the connection, and for each answer."""
_SECRET = 5
_FINGERPRINT = 10


def read_code(code: str) -> tuple[bytes, bytes]:
    """Return the secret and the first bytes of the certificate's SHA-256. Case, blanks and dashes do not matter."""
    try:
        content = base64.b32decode("".join(code.replace("-", " ").split()).upper())
    except ValueError:  # binascii.Error is one
        content = b""
    if len(content) != _SECRET + _FINGERPRINT:
        raise PairingError("the code is mistyped: it has 24 letters and digits (A-Z, 2-7), in groups of four")
    return content[:_SECRET], content[_SECRET:]


def read_host(text: str) -> tuple[str, int]:
    """Return host and port of `HOST[:PORT]`; an IPv6 address with a port stands in brackets."""
    host, port = text, str(PORT)
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest[1:] if rest.startswith(":") else rest or port
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if not host or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
        raise PairingError(f"{text} is no HOST[:PORT]")
    return host, int(port)


def pair(bridges: Bridges, host: str, port: int, code: str, name: str, own_port: int) -> Bridge:
    """Pair with the bridge that listens there. Nothing is sent before its certificate was compared with the code."""
    secret, fingerprint = read_code(code)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the code says which certificate is right
    try:
        with contextlib.ExitStack() as stack:
            plain = stack.enter_context(socket.create_connection((host, port), PATIENCE))
            secured = stack.enter_context(context.wrap_socket(plain, server_hostname=host))
            shown = hashlib.sha256(secured.getpeercert(binary_form=True) or b"").digest()[:_FINGERPRINT]
            if not hmac.compare_digest(shown, fingerprint):
                raise PairingError(
                    "the code does not belong to the bridge that answers there: mistyped, or another host"
                )
            request = {"type": "pair", "protocol": 1, "secret": secret.hex(), "name": name, "port": own_port}
            secured.sendall(encode({**request, "version": VERSION}))
            answer = parse(_line(secured))
    except FrameError as error:
        raise PairingError(f"the bridge's answer is not understood: {error}") from None
    except OSError as error:
        raise PairingError(f"no answer from {host} port {port}: {error}; is the invitation still open?") from None
    return _accept(bridges, answer)


def _line(secured: ssl.SSLSocket) -> bytes:
    """Read one frame, however the network cuts it up."""
    got = b""
    while not got.endswith(b"\n") and len(got) <= LIMIT:
        part = secured.recv(LIMIT)
        if not part:
            break
        got += part
    return got


def _accept(bridges: Bridges, answer: dict[str, Any]) -> Bridge:
    if answer.get("type") != "paired":
        said = answer.get("message")
        raise PairingError(f"refused: {clean(said, 200) if isinstance(said, str) else 'no reason given'}")
    bridge = answer.get("bridge")
    parts = [answer.get(key) for key in ("agent", "key", "certificate", "ca")]
    if isinstance(bridge, dict):
        parts = [bridge.get("id"), bridge.get("name"), *parts]
    texts = [part for part in parts if isinstance(part, str)]
    if len(texts) != 6:
        raise PairingError("the bridge's answer lacks something: are its version and this agent's of one time?")
    return bridges.add(*texts)


__all__ = ["PORT", "pair", "read_code", "read_host"]
