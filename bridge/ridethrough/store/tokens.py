"""The API's tokens: random secrets of which only a hash is kept."""

from dataclasses import dataclass
from datetime import datetime, timedelta
import hashlib
import logging
import secrets
from typing import Any
from uuid import uuid4

from sqlalchemy import Row, delete, insert, or_, select, update

from ridethrough.catalogue import Role
from ridethrough.clock import Clock
from ridethrough.tasks import unbroken

from .database import Database, StoreError, instant, stamp
from .tables import TOKENS

_LOGGER = logging.getLogger(__name__)

PREFIX = "rt_"
"""Lets a person, and programs that look for leaked secrets, recognise one."""
USE_NOTED_EVERY = timedelta(minutes=5)
"""`last_used` is for people who clean up; it is not worth a write on each use."""
_LONGEST = 200


class TokenError(ValueError):
    """A token cannot be made as asked; the message says why."""


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """What is known of a token; not the token."""

    id: str
    name: str
    role: Role
    created: datetime
    expires: datetime | None
    last_used: datetime | None
    """Within five minutes; None if never."""


class Tokens:
    """Who may use the API. Every call looks into the database, so that `ridethrough token` works beside the bridge."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Keep tokens in `database`; `clock` tells whether one has expired."""
        self._database = database
        self._clock = clock

    @unbroken
    async def create(self, name: str, role: Role, expires: datetime | None = None) -> str:
        """Make a token of 256 random bits and return it, this once.

        Raises TokenError when the name is taken, empty, longer than 64 characters or not printable, or `expires` has
        passed or has no time zone; StoreError when it cannot be kept.
        """
        if not name.strip() or len(name) > 64 or not name.isprintable():
            raise TokenError("The name of a token must have 1 to 64 printable characters.")
        now = self._clock.utc()
        if expires is not None and (expires.tzinfo is None or expires <= now):
            raise TokenError("A token must expire in the future, at a time with a zone.")
        secret = PREFIX + secrets.token_urlsafe(32)
        row = {
            "id": str(uuid4()),
            "name": name,
            "role": str(role),
            "hash": _hash(secret),
            "created": stamp(now),
            "expires": None if expires is None else stamp(expires),
        }
        async with self._database.write() as connection:
            taken = select(TOKENS.c.id).where(or_(TOKENS.c.name == name, TOKENS.c.id == name))
            if (await connection.execute(taken)).first() is not None:
                raise TokenError(f"There is a token {name} already; revoke it or choose another name.")
            await connection.execute(insert(TOKENS).values(row))
        return secret

    @unbroken
    async def verify(self, secret: str) -> TokenInfo | None:
        """Return whose token this is, or None when it is unknown, revoked or expired. Raises StoreError.

        It is found by its hash: how long that takes tells nothing of any token's text.
        """
        if len(secret) > _LONGEST or not secret.startswith(PREFIX):
            return None
        return await self._valid(TOKENS.c.hash == _hash(secret), used=True)

    @unbroken
    async def get(self, token_id: str) -> TokenInfo | None:
        """Return a token by its id if it is still valid; for connections that were let in with it."""
        return await self._valid(TOKENS.c.id == token_id, used=False)

    @unbroken
    async def list(self) -> list[TokenInfo]:
        """Return all tokens by name, expired ones included."""
        async with self._database.read() as connection:
            return [_info(row) for row in await connection.execute(select(TOKENS).order_by(TOKENS.c.name))]

    @unbroken
    async def revoke(self, name_or_id: str) -> bool:
        """Delete a token; False when there is none of that name or id."""
        query = delete(TOKENS).where(or_(TOKENS.c.name == name_or_id, TOKENS.c.id == name_or_id))
        async with self._database.write() as connection:
            return (await connection.execute(query)).rowcount > 0

    async def _valid(self, which: Any, *, used: bool) -> TokenInfo | None:
        async with self._database.read() as connection:
            row = (await connection.execute(select(TOKENS).where(which))).first()
        if row is None:
            return None
        info = _info(row)
        now = self._clock.utc()
        if info.expires is not None and info.expires <= now:
            return None
        if used and (info.last_used is None or abs(now - info.last_used) >= USE_NOTED_EVERY):
            await self._note_use(info, now)
        return info

    async def _note_use(self, info: TokenInfo, now: datetime) -> None:
        query = update(TOKENS).where(TOKENS.c.id == info.id).values(last_used=stamp(now))
        try:
            async with self._database.write() as connection:
                await connection.execute(query)
        except StoreError as error:
            # A full disk must not lock people out.
            _LOGGER.debug("The use of the token %s could not be noted: %s", info.name, error)


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _info(row: Row[Any]) -> TokenInfo:
    return TokenInfo(
        id=row.id,
        name=row.name,
        role=Role(row.role),
        created=instant(row.created),
        expires=None if row.expires is None else instant(row.expires),
        last_used=None if row.last_used is None else instant(row.last_used),
    )
