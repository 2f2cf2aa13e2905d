"""What is fetched rather than subscribed to: health, the journal as CSV, MIB files, and the live trace of a line."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
import logging

from aiohttp import hdrs, web

from ridethrough.catalogue import Role
from ridethrough.events.event import JournalError
from ridethrough.events.sheets import EVENT_COLUMNS, event_lines
from ridethrough.site import Alert, CommandError, Memories, Site

from . import wire
from .gate import Gate
from .limits import Limits
from .protocols import EventHistory, TokenInfo, TokenVerifier, TraceSource
from .requests import LONGEST_TOKEN
from .roster import Roster
from .sheets import alert_lines

_LOGGER = logging.getLogger(__name__)

_PRIVATE = {hdrs.CACHE_CONTROL: "no-store", "X-Content-Type-Options": "nosniff"}
PAGE = 1000
"""Events read from the journal at once."""


class _Follower:
    """Whoever follows a stream; ended when its token is revoked or the bridge stops."""

    def __init__(self, scope: asyncio.Timeout) -> None:
        self._scope = scope

    def hangup(self, code: int, reason: str) -> None:
        """End the stream; HTTP has no place for a reason once it has begun."""
        self._scope.reschedule(asyncio.get_running_loop().time())


class Downloads:
    """The REST part of the API."""

    def __init__(
        self,
        site: Site,
        history: EventHistory,
        memories: Memories,
        tokens: TokenVerifier,
        traces: TraceSource,
        gate: Gate,
        roster: Roster,
        limits: Limits,
        health: wire.Json,
        mibs: Callable[[], Mapping[str, str]],
    ) -> None:
        """`health` is what anyone may know. `mibs` makes the files that describe the SNMP agent; it may take a while."""
        self._site = site
        self._history = history
        self._memories = memories
        self._tokens = tokens
        self._traces = traces
        self._gate = gate
        self._roster = roster
        self._limits = limits
        self._health = health
        self._mibs = mibs

    async def health(self, request: web.Request) -> web.Response:
        """GET /api/v1/health: whether the bridge answers, and which; without a token."""
        return web.Response(body=wire.encode(self._health), content_type="application/json")

    async def events(self, request: web.Request) -> web.StreamResponse:
        """GET /api/v1/events.csv?after=N: the journal from event N+1 on."""
        await self._authorise(request, Role.CUSTOMER)
        after = request.query.get("after", "0")
        if not (after.isascii() and after.isdecimal() and len(after) <= 15):
            raise web.HTTPBadRequest(text="after must be the number of an event, or 0 for all.\n")
        pages = self._pages(int(after))
        try:
            first = await anext(pages)
        except JournalError as error:
            _LOGGER.warning("The journal cannot be downloaded: %s", error)
            raise web.HTTPServiceUnavailable(text="The journal cannot be read at the moment.\n") from error
        response = web.StreamResponse(
            headers={
                hdrs.CONTENT_TYPE: "text/csv; charset=utf-8",
                hdrs.CONTENT_DISPOSITION: 'attachment; filename="events.csv"',
            }
            | _PRIVATE
        )
        await response.prepare(request)
        await self._write(request, response, ",".join(EVENT_COLUMNS) + "\r\n" + first)
        async for page in pages:
            await self._write(request, response, page)
        return response

    async def _pages(self, after: int) -> AsyncIterator[str]:
        names = {device.id: device.key for device in self._site.devices.values()}
        # Up to where it is now: a download that follows the present never ends.
        last = await self._history.last()
        while True:
            events = [event for event in await self._history.after(after, PAGE) if event.seq <= last]
            yield event_lines(events, names)
            if not events:
                return
            after = events[-1].seq

    async def history(self, request: web.Request) -> web.Response:
        """GET /api/v1/history/<device key>.csv or .json: the alerts that a device remembers itself, read from it now."""
        await self._authorise(request, Role.CUSTOMER)
        key = request.match_info["key"]
        as_json = request.match_info["form"] == "json"
        try:
            alerts = await self._recall(key)
        except CommandError as error:
            status = 404 if error.code in ("unknown_device", "unknown_command") else 503
            if as_json:
                return _json(wire.failed(error), status)
            return web.Response(status=status, text=f"{error}\n", headers=_PRIVATE)
        if as_json:
            return _json(wire.alerts(alerts))
        return web.Response(
            text=alert_lines(alerts),
            headers={
                hdrs.CONTENT_TYPE: "text/csv; charset=utf-8",
                hdrs.CONTENT_DISPOSITION: 'attachment; filename="history.csv"',
            }
            | _PRIVATE,
        )

    async def _recall(self, key: str) -> tuple[Alert, ...]:
        device = self._site.device_by_key(key)
        if device is None:
            raise CommandError("unknown_device", f"There is no device {key}.")
        return await self._memories.recall(device.id)

    async def mibs(self, request: web.Request) -> web.Response:
        """GET /api/v1/mibs: the names of the MIB files."""
        await self._authorise(request, Role.GUEST)
        return _json({"files": list(await asyncio.to_thread(self._mibs))})

    async def mib(self, request: web.Request) -> web.Response:
        """GET /api/v1/mibs/<name>: a MIB file, which describes to SNMP managers what the bridge serves."""
        await self._authorise(request, Role.GUEST)
        name = request.match_info["name"]
        text = (await asyncio.to_thread(self._mibs)).get(name)
        if text is None:
            raise web.HTTPNotFound(text=f"There is no MIB file {name}; /api/v1/mibs lists them.\n")
        return web.Response(
            text=text,
            headers={
                hdrs.CONTENT_TYPE: "text/plain; charset=utf-8",
                hdrs.CONTENT_DISPOSITION: f'attachment; filename="{name}"',
            }
            | _PRIVATE,
        )

    async def trace(self, request: web.Request) -> web.StreamResponse:
        """GET /api/v1/trace/<device key>: what goes over the device's line, until the client has seen enough."""
        token = await self._authorise(request, Role.ENGINEER)
        key = request.match_info["key"]
        listening = self._traces.trace(key)
        if listening is None:
            raise web.HTTPNotFound(text=f"There is no trace of a device {key}.\n")
        response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: "text/plain; charset=utf-8"} | _PRIVATE)
        try:
            async with asyncio.timeout(None) as scope:
                follower = _Follower(scope)
                if not self._roster.admit(follower, token):
                    raise web.HTTPServiceUnavailable(text="Too many clients are connected.\n")
                try:
                    await response.prepare(request)
                    with listening as lines:
                        async for line in lines:
                            await self._write(request, response, f"{line}\n")
                finally:
                    self._roster.leave(follower)
        except TimeoutError:
            # It was ended from outside, with all that came before.
            pass
        return response

    async def _write(self, request: web.Request, response: web.StreamResponse, text: str) -> None:
        try:
            async with asyncio.timeout(self._limits.send):
                await response.write(text.encode("utf-8", "replace"))
        except TimeoutError as error:
            _LOGGER.warning("%s reads %s too slowly and is dropped", request.remote, request.path)
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError("The client reads too slowly.") from error

    async def _authorise(self, request: web.Request, role: Role) -> TokenInfo:
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


def _json(value: wire.Json, status: int = 200) -> web.Response:
    return web.Response(status=status, body=wire.encode(value), content_type="application/json", headers=_PRIVATE)


__all__ = ["Downloads"]
