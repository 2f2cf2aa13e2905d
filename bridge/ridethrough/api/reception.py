"""Who may fetch or bring something by REST, and sending it to who reads slowly."""

import asyncio
import logging

from aiohttp import hdrs, web

from ridethrough.catalogue import Role

from .gate import Gate
from .limits import Limits
from .protocols import TokenInfo, TokenVerifier
from .requests import LONGEST_TOKEN

_LOGGER = logging.getLogger(__name__)

PRIVATE = {hdrs.CACHE_CONTROL: "no-store", "X-Content-Type-Options": "nosniff"}
"""What is fetched is for who has fetched it."""


def attachment(name: str) -> dict[str, str]:
    """Return the headers of a CSV file."""
    return {
        hdrs.CONTENT_TYPE: "text/csv; charset=utf-8",
        hdrs.CONTENT_DISPOSITION: f'attachment; filename="{name}"',
    } | PRIVATE


class Reception:
    """Lets requests in by their token."""

    def __init__(self, tokens: TokenVerifier, gate: Gate, limits: Limits) -> None:
        """`gate` slows down who tries tokens."""
        self._tokens = tokens
        self._gate = gate
        self._limits = limits

    async def authorise(self, request: web.Request, role: Role) -> TokenInfo:
        """Whose token the request carries. Raises HTTPUnauthorized, HTTPForbidden or HTTPTooManyRequests."""
        address = request.remote or ""
        scheme, _, secret = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        secret = secret.strip()
        if scheme.lower() == "bearer" and 0 < len(secret) <= LONGEST_TOKEN:
            token = await self._tokens.verify(secret)
            if token is not None:
                if token.role.may(role):
                    return token
                raise web.HTTPForbidden(text=f"This needs a token of the role {role}; this one has {token.role}.\n")
            if (wait := self._gate.wait(address)) > 0:
                raise web.HTTPTooManyRequests(
                    text="Too many wrong tokens came from this address.\n", headers={hdrs.RETRY_AFTER: f"{wait:.0f}"}
                )
            self._gate.failed(address)
            _LOGGER.warning("A client at %s has shown a wrong token", address)
        raise web.HTTPUnauthorized(
            text="This needs a valid token: Authorization: Bearer <token>\n", headers={hdrs.WWW_AUTHENTICATE: "Bearer"}
        )

    async def write(self, request: web.Request, response: web.StreamResponse, text: str) -> None:
        """Send a piece. Raises ConnectionResetError when the client reads too slowly for that."""
        try:
            async with asyncio.timeout(self._limits.send):
                await response.write(text.encode("utf-8", "replace"))
        except TimeoutError as error:
            _LOGGER.warning("%s reads %s too slowly and is dropped", request.remote, request.path)
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError("The client reads too slowly.") from error


__all__ = ["PRIVATE", "Reception", "attachment"]
