"""Writes objects, and finds out why an SNMPv3 agent does not listen: what gufo-snmp has no means for.

pysnmp does it, in a thread of its own: it takes its time to start, and commands are rare.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from pysnmp.hlapi.v3arch import asyncio as hlapi
from pysnmp.proto import errind

from .agent import SYS_UPTIME
from .options import SnmpOptions

RETRIES = 1
"""A SET is repeated once when its answer is lost: what it sets is the same."""

_AUTHENTICATION = {
    None: hlapi.USM_AUTH_NONE,
    "md5": hlapi.USM_AUTH_HMAC96_MD5,
    "sha": hlapi.USM_AUTH_HMAC96_SHA,
    "sha224": hlapi.USM_AUTH_HMAC128_SHA224,
    "sha256": hlapi.USM_AUTH_HMAC192_SHA256,
    "sha384": hlapi.USM_AUTH_HMAC256_SHA384,
    "sha512": hlapi.USM_AUTH_HMAC384_SHA512,
}
_PRIVACY = {
    None: hlapi.USM_PRIV_NONE,
    "des": hlapi.USM_PRIV_CBC56_DES,
    "aes": hlapi.USM_PRIV_CFB128_AES,
    "aes192": hlapi.USM_PRIV_CFB192_AES_BLUMENTHAL,
    "aes256": hlapi.USM_PRIV_CFB256_AES_BLUMENTHAL,
}


@dataclass(frozen=True, slots=True)
class Write:
    """One object to be set."""

    oid: str
    value: int | str
    """A number, an OID or, if it begins with @, the text that follows."""


@dataclass(frozen=True, slots=True)
class Written:
    """How a SET ended."""

    status: str = "noError"
    """The error status as SNMP calls it; `silent` if there was no answer."""
    at: int = 0
    """The number of the object it is about, from 1; 0 for none."""
    why: str = ""
    """An error of SNMPv3 in words."""


async def write(address: str, options: SnmpOptions, writes: Sequence[Write]) -> Written:
    """Set objects, all of them or none."""
    return await asyncio.to_thread(lambda: asyncio.run(_write(address, options, writes)))


async def reason(address: str, options: SnmpOptions) -> str:
    """Ask once, and name in a word why there is no answer: `user`, `password`, `privacy`, `level`, `silent` or ``."""
    written = await asyncio.to_thread(lambda: asyncio.run(_ask(address, options)))
    # An agent that knows the user, and answers that it may not read (RFC 3416 §4.2.1), wants a better proof of it.
    level = "level" if written.status == "authorizationError" else ""
    return written.why or ("silent" if written.status == "silent" else level)


async def _write(address: str, options: SnmpOptions, writes: Sequence[Write]) -> Written:
    engine = hlapi.SnmpEngine()
    try:
        binds = [hlapi.ObjectType(hlapi.ObjectIdentity(write.oid), _syntax(write.value)) for write in writes]
        target = await _target(address, options)
        answer = await hlapi.set_cmd(engine, _who(options), target, hlapi.ContextData(), *binds, lookupMib=False)
        return _written(answer)
    finally:
        engine.close_dispatcher()


async def _ask(address: str, options: SnmpOptions) -> Written:
    engine = hlapi.SnmpEngine()
    try:
        bind = hlapi.ObjectType(hlapi.ObjectIdentity(SYS_UPTIME))
        target = await _target(address, options)
        answer = await hlapi.get_cmd(engine, _who(options), target, hlapi.ContextData(), bind, lookupMib=False)
        return _written(answer)
    finally:
        engine.close_dispatcher()


async def _target(address: str, options: SnmpOptions) -> hlapi.UdpTransportTarget | hlapi.Udp6TransportTarget:
    kind = hlapi.Udp6TransportTarget if ":" in address else hlapi.UdpTransportTarget
    return await kind.create((address, options.port), timeout=options.timeout, retries=RETRIES)


def _who(options: SnmpOptions) -> hlapi.CommunityData | hlapi.UsmUserData:
    user = options.user
    if user is None:
        return hlapi.CommunityData(options.community, mpModel=0 if options.version == "1" else 1)
    return hlapi.UsmUserData(
        user.name,
        authKey=user.password if user.auth else None,
        privKey=user.privacy_password if user.privacy else None,
        authProtocol=_AUTHENTICATION[user.auth],
        privProtocol=_PRIVACY[user.privacy],
    )


def _syntax(value: int | str) -> hlapi.Integer32 | hlapi.ObjectIdentifier | hlapi.OctetString:
    if isinstance(value, int):
        return hlapi.Integer32(value)
    return hlapi.OctetString(value[1:]) if value.startswith("@") else hlapi.ObjectIdentifier(value)


def _written(answer: tuple[object, object, object, object]) -> Written:
    indication, status, index, _ = answer
    if indication:
        words = (
            (errind.UnknownUserName | errind.UnknownSecurityName, "user"),
            (errind.WrongDigest | errind.AuthenticationFailure | errind.AuthenticationError, "password"),
            (errind.DecryptionError, "privacy"),
            (errind.UnsupportedSecurityLevel, "level"),
        )
        why = next((word for kind, word in words if isinstance(indication, kind)), "")
        return Written("silent" if not why else "authorizationError", 0, why)
    return Written(status.prettyPrint() if status else "noError", int(index) if index else 0)  # type: ignore[attr-defined, call-overload]  # pysnmp's own numbers, which it types as object


__all__ = ["Write", "Written", "reason", "write"]
