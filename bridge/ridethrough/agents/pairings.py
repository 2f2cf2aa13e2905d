"""Which agents are paired, kept in the store's facts: the bridge reads them, `ridethrough agent` changes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import uuid4

import orjson

AUTHORITY = "agents.authority"
"""Fingerprint of the authority with which agents have been paired."""
REVISION = "agents.revision"
"""Another one whenever a pairing has changed, so that the bridge need look at one fact only."""
_PREFIX = "agent.pairing."


class Facts(Protocol):
    """Remembers single facts: `store.Facts`."""

    async def get(self, key: str) -> str | None:
        """Return what is remembered, None for nothing."""

    async def under(self, prefix: str) -> Mapping[str, str]:
        """Return all that is remembered under keys that begin with `prefix`."""

    async def change(self, values: Mapping[str, str | None]) -> None:
        """Remember all of these, or forget what is None, durably and in one step."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """What is known of the newest pairing of an agent."""

    certificate: str
    """Fingerprint (SHA-256, DER) of the only certificate that is accepted of it."""
    at: datetime
    name: str = ""
    """What the computer calls itself."""
    version: str = ""
    address: str = ""
    """From where it was paired."""


class Pairings:
    """The pairings of one bridge. Its methods raise what the store raises."""

    def __init__(self, facts: Facts) -> None:
        """Keep them in these facts."""
        self._facts = facts

    async def authority(self) -> str | None:
        """Return the fingerprint of the authority that agents rely on; None while none is paired."""
        return await self._facts.get(AUTHORITY)

    async def revision(self) -> str:
        """Return what is another text after each change."""
        return await self._facts.get(REVISION) or ""

    async def all(self) -> Mapping[str, Pairing]:
        """Return all pairings by the keys of their agents."""
        found = await self._facts.under(_PREFIX)
        pairings = {key.removeprefix(_PREFIX): _read(text) for key, text in found.items()}
        return {key: pairing for key, pairing in pairings.items() if pairing is not None}

    async def put(self, key: str, pairing: Pairing, authority: str) -> None:
        """Let this be the pairing of an agent, signed by this authority."""
        text = orjson.dumps(
            {
                "certificate": pairing.certificate,
                "at": pairing.at.isoformat(),
                "name": pairing.name,
                "version": pairing.version,
                "address": pairing.address,
            }
        ).decode()
        await self._facts.change({_PREFIX + key: text, AUTHORITY: authority, REVISION: str(uuid4())})

    async def forget(self, key: str) -> None:
        """Let an agent be unpaired."""
        await self._facts.change({_PREFIX + key: None, REVISION: str(uuid4())})

    async def forget_all(self) -> None:
        """Let there be no pairing, nor an authority that agents rely on."""
        keys = await self._facts.under(_PREFIX)
        await self._facts.change({**dict.fromkeys(keys), AUTHORITY: None, REVISION: str(uuid4())})


def _read(text: str) -> Pairing | None:
    """Read one; what is damaged counts as none, and the agent is paired anew."""
    try:
        values = orjson.loads(text)
        return Pairing(
            values["certificate"],
            datetime.fromisoformat(values["at"]),
            values["name"],
            values["version"],
            values["address"],
        )
    except ValueError, KeyError, TypeError:
        return None


__all__ = ["Facts", "Pairing", "Pairings"]
