"""Who the agent is for SNMPv3."""

from dataclasses import dataclass
import uuid

from ridethrough.feeds.base import FeedContext

_PREFIX = bytes.fromhex("80001f8803")
_ENGINE, _BOOTS = "feed.snmp.engine", "feed.snmp.boots"


@dataclass(frozen=True)
class EngineIdentity:
    """The engine id, and how often the engine has been started with it."""

    engine_id: bytes
    boots: int


async def load_identity(context: FeedContext) -> EngineIdentity:
    """Return it, with one more boot."""
    kept = await context.facts.get(_ENGINE)
    engine = bytes.fromhex(kept) if kept else _PREFIX + uuid.getnode().to_bytes(6)
    if not kept:
        await context.facts.put(_ENGINE, engine.hex())
    boots = int(await context.facts.get(_BOOTS) or 0) + 1
    await context.facts.put(_BOOTS, str(boots))
    return EngineIdentity(engine, boots)
