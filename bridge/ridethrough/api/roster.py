"""Who is connected: strangers, and clients whose token is looked at again and again."""

from typing import Protocol

from .limits import Limits
from .protocols import TokenInfo, TokenVerifier

WRONG_TOKEN = 4401
NO_AUTH = 4408
TRY_LATER = 1013


class Visitor(Protocol):
    """A connection that can be ended."""

    def hangup(self, code: int, reason: str) -> None:
        """End it soon, saying why."""


class Roster:
    """All connections of one server. There is only so much room for them."""

    def __init__(self, tokens: TokenVerifier, limits: Limits) -> None:
        """Look tokens up in `tokens`."""
        self._tokens = tokens
        self._limits = limits
        self._strangers: dict[Visitor, None] = {}
        """Oldest first."""
        self._clients: dict[Visitor, TokenInfo] = {}

    @property
    def clients(self) -> int:
        """How many have shown a token."""
        return len(self._clients)

    @property
    def strangers(self) -> int:
        """How many have not."""
        return len(self._strangers)

    def arrive(self, visitor: Visitor) -> None:
        """Someone has connected; when there are too many strangers, the one who has been here longest must go."""
        if len(self._strangers) >= self._limits.strangers:
            oldest = next(iter(self._strangers))
            del self._strangers[oldest]
            oldest.hangup(NO_AUTH, "Others are waiting; show the token at once.")
        self._strangers[visitor] = None

    def admit(self, visitor: Visitor, token: TokenInfo) -> bool:
        """Make the stranger a client, since it has a good token; False when there is no room for another client."""
        self._strangers.pop(visitor, None)
        if len(self._clients) >= self._limits.clients:
            return False
        self._clients[visitor] = token
        return True

    def leave(self, visitor: Visitor) -> None:
        """Forget a connection that has ended."""
        self._strangers.pop(visitor, None)
        self._clients.pop(visitor, None)

    async def recheck(self) -> None:
        """End the connections whose token has been revoked, has expired, or has another role now."""
        for visitor, token in list(self._clients.items()):
            current = await self._tokens.get(token.id)
            if current is None:
                visitor.hangup(WRONG_TOKEN, "The token has been revoked or has expired.")
            elif current.role is not token.role:
                # It is good, so the client must not take it for refused.
                visitor.hangup(TRY_LATER, "The token has another role now; connect again.")

    def hangup_all(self, code: int, reason: str) -> None:
        """End all connections."""
        for visitor in [*self._strangers, *self._clients]:
            visitor.hangup(code, reason)


__all__ = ["NO_AUTH", "TRY_LATER", "WRONG_TOKEN", "Roster", "Visitor"]
