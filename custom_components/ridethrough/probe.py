"""Looks at a bridge before it is set up: how to recognise it, and whether it accepts a token."""

import asyncio
from dataclasses import dataclass, replace

import aiohttp

from .client import CONNECT_TIMEOUT, Address, greet
from .errors import BridgeUnreachable, CertificateNotTrusted
from .wire import Hello, Role

NO_FINGERPRINT = aiohttp.Fingerprint(bytes(32))
"""The fingerprint of nothing: comparing with it tells what the certificate's is, before anything is sent."""


@dataclass(frozen=True, slots=True)
class Probed:
    """A bridge that accepted a token."""

    hello: Hello
    role: Role


async def recognise(session: aiohttp.ClientSession, address: Address) -> Address:
    """Find out how to talk to the bridge: with TLS if it can, and with which fingerprint. No token is sent.

    Raises BridgeUnreachable when nothing there is a bridge.
    """
    secure = replace(address, tls=True, fingerprint=None)
    try:
        await _health(session, secure)
    except CertificateNotTrusted:
        return replace(secure, fingerprint=await _shown_fingerprint(session, secure))
    except BridgeUnreachable:
        # An address that was announced with TLS is not tried without.
        if address.tls:
            raise
        plain = replace(address, tls=False, fingerprint=None)
        await _health(session, plain)
        return plain
    return secure


async def probe(session: aiohttp.ClientSession, address: Address, token: str, bridge_id: str | None) -> Probed:
    """Try a token. Raises what `BridgeClient.start` raises."""
    async with greet(session, address, token, bridge_id) as greeted:
        return Probed(greeted.hello, greeted.ready.role)


async def _health(session: aiohttp.ClientSession, address: Address) -> None:
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT), session.get(address.url("/api/v1/health")) as response:
            health = await response.json()
    except aiohttp.ClientConnectorCertificateError as error:
        raise CertificateNotTrusted(str(error)) from error
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise BridgeUnreachable(str(error)) from error
    if not isinstance(health, dict) or not isinstance(health.get("api"), dict):
        raise BridgeUnreachable("what answers is no bridge")


async def _shown_fingerprint(session: aiohttp.ClientSession, address: Address) -> str:
    try:
        async with (
            asyncio.timeout(CONNECT_TIMEOUT),
            session.get(address.url("/api/v1/health"), ssl=NO_FINGERPRINT),
        ):
            raise BridgeUnreachable("its certificate has the fingerprint of nothing")
    except aiohttp.ServerFingerprintMismatch as error:
        return error.got.hex()
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise BridgeUnreachable(str(error)) from error
