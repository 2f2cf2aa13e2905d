"""Who the agent is to SNMPv3: its engine id, and how often it has started (RFC 3414 §2.2)."""

import asyncio
from dataclasses import dataclass
from hashlib import sha256
import logging
from pathlib import Path
import secrets
import uuid

from ridethrough.feeds.base import FeedContext

_LOGGER = logging.getLogger(__name__)

PREFIX = bytes.fromhex("80001f8803")
"""Enterprise 8072 with the bit for the newer format, and 3 for an Ethernet address behind it (RFC 3411 §5, M:1961)."""
LATCHED = 2**31 - 1
"""The number of starts that is the last one: an engine that has come to it may not be believed any more."""
_ID, _BOOTS = "snmp.engine_id", "snmp.engine_boots"
_MAC = 6
_GROUP, _LOCAL = 0x01, 0x02
"""Bits of the first byte of an Ethernet address: not of one station; not given by a maker, so perhaps not the only one."""
_INTERFACES = Path("/sys/class/net")


@dataclass(frozen=True, slots=True)
class EngineIdentity:
    """What managers know the agent by."""

    engine_id: bytes
    boots: int
    """How often an engine of this id has started, this time included."""


async def load_identity(context: FeedContext) -> EngineIdentity:
    """Return who the engine is from now on; that it has started once more is on the disk then.

    The id stays when a network card changes. Should the number of starts have come to its end, or be lost, the engine
    takes a new id and counts anew, which is how RFC 3414 §2.2.1 has it put right: no old message fits a new id, and
    managers have to learn it.
    """
    facts = context.facts
    known, starts = await facts.get(_ID), await facts.get(_BOOTS)
    engine_id = _parsed(known)
    boots = int(starts) if starts is not None and starts.isascii() and starts.isdecimal() else None
    if engine_id is None:
        given = await asyncio.to_thread(_ethernet_address)
        engine_id = PREFIX + (_made_address(context.bridge.id) if given is None else given)
        boots = boots or 0
    if boots is None or boots + 1 >= LATCHED:
        engine_id = PREFIX + _marked(secrets.token_bytes(_MAC))
        _LOGGER.warning(
            "The SNMP engine cannot count its starts any further and has a new engine id, %s: "
            "managers that use version 3 have to be told",
            engine_id.hex(),
        )
        boots = 0
    if engine_id.hex() != known:
        # In this order: an id without a number of starts is one that is not believed.
        await facts.put(_BOOTS, str(boots))
        await facts.put(_ID, engine_id.hex())
    await facts.put(_BOOTS, str(boots + 1))
    return EngineIdentity(engine_id, boots + 1)


def _parsed(known: str | None) -> bytes | None:
    try:
        engine_id = bytes.fromhex(known or "")
    except ValueError:
        return None
    return engine_id if 5 <= len(engine_id) <= 32 else None


def _ethernet_address() -> bytes | None:
    """Find the address that a maker has given this computer; blocks while it looks.

    One that software has made up does not count: many containers and virtual machines have the same.
    """
    found = [_read(path) for path in sorted(_INTERFACES.glob("*/address"), key=_rank)]
    found.append(uuid.getnode().to_bytes(_MAC))
    return next((address for address in found if _is_unique(address)), None)


def _rank(path: Path) -> tuple[bool, str]:
    """Order network interfaces: those of hardware first, then by their names."""
    return not path.with_name("device").exists(), path.parent.name


def _read(path: Path) -> bytes:
    try:
        return bytes.fromhex(path.read_text(encoding="ascii").strip().replace(":", ""))
    except OSError, ValueError:
        return b""


def _is_unique(address: bytes) -> bool:
    return len(address) == _MAC and any(address) and not address[0] & (_GROUP | _LOCAL)


def _made_address(bridge_id: str) -> bytes:
    """Make an address from the identity of the bridge, which is random and stays."""
    return _marked(sha256(bridge_id.encode()).digest()[:_MAC])


def _marked(address: bytes) -> bytes:
    """Mark an address as one that no maker has given."""
    return bytes([address[0] & ~_GROUP & 0xFF | _LOCAL]) + address[1:]


__all__ = ["EngineIdentity", "load_identity"]
