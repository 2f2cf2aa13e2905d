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
from .protocols import EventHistory, TraceSource
from .reception import PRIVATE, Reception, attachment
from .roster import Roster
from .sheets import alert_lines

_LOGGER = logging.getLogger(__name__)

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
        reception: Reception,
        traces: TraceSource,
        roster: Roster,
        health: wire.Json,
        mibs: Callable[[], Mapping[str, str]],
    ) -> None:
        """`health` is what anyone may know. `mibs` makes the files that describe the SNMP agent; it may take a while."""
        self._site = site
        self._history = history
        self._memories = memories
        self._reception = reception
        self._traces = traces
        self._roster = roster
        self._health = health
        self._mibs = mibs

    async def health(self, request: web.Request) -> web.Response:
        """GET /api/v1/health: whether the bridge answers, and which; without a token."""
        return web.Response(body=wire.encode(self._health), content_type="application/json")

    async def events(self, request: web.Request) -> web.StreamResponse:
        """GET /api/v1/events.csv?after=N: the journal from event N+1 on."""
        await self._reception.authorise(request, Role.CUSTOMER)
        after = request.query.get("after", "0")
        if not (after.isascii() and after.isdecimal() and len(after) <= 15):
            raise web.HTTPBadRequest(text="after must be the number of an event, or 0 for all.\n")
        pages = self._pages(int(after))
        try:
            first = await anext(pages)
        except JournalError as error:
            _LOGGER.warning("The journal cannot be downloaded: %s", error)
            raise web.HTTPServiceUnavailable(text="The journal cannot be read at the moment.\n") from error
        response = web.StreamResponse(headers=attachment("events.csv"))
        await response.prepare(request)
        await self._reception.write(request, response, ",".join(EVENT_COLUMNS) + "\r\n" + first)
        async for page in pages:
            await self._reception.write(request, response, page)
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
        await self._reception.authorise(request, Role.CUSTOMER)
        key = request.match_info["key"]
        as_json = request.match_info["form"] == "json"
        try:
            alerts = await self._recall(key)
        except CommandError as error:
            status = 404 if error.code in ("unknown_device", "unknown_command") else 503
            if as_json:
                return _json(wire.failed(error), status)
            return web.Response(status=status, text=f"{error}\n", headers=PRIVATE)
        if as_json:
            return _json(wire.alerts(alerts))
        return web.Response(text=alert_lines(alerts), headers=attachment("history.csv"))

    async def _recall(self, key: str) -> tuple[Alert, ...]:
        device = self._site.device_by_key(key)
        if device is None:
            raise CommandError("unknown_device", f"There is no device {key}.")
        return await self._memories.recall(device.id)

    async def mibs(self, request: web.Request) -> web.Response:
        """GET /api/v1/mibs: the names of the MIB files."""
        await self._reception.authorise(request, Role.GUEST)
        return _json({"files": list(await asyncio.to_thread(self._mibs))})

    async def mib(self, request: web.Request) -> web.Response:
        """GET /api/v1/mibs/<name>: a MIB file, which describes to SNMP managers what the bridge serves."""
        await self._reception.authorise(request, Role.GUEST)
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
            | PRIVATE,
        )

    async def trace(self, request: web.Request) -> web.StreamResponse:
        """GET /api/v1/trace/<device key>: what goes over the device's line, until the client has seen enough."""
        token = await self._reception.authorise(request, Role.ENGINEER)
        key = request.match_info["key"]
        listening = self._traces.trace(key)
        if listening is None:
            raise web.HTTPNotFound(text=f"There is no trace of a device {key}.\n")
        response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: "text/plain; charset=utf-8"} | PRIVATE)
        try:
            async with asyncio.timeout(None) as scope:
                follower = _Follower(scope)
                if not self._roster.admit(follower, token):
                    raise web.HTTPServiceUnavailable(text="Too many clients are connected.\n")
                try:
                    await response.prepare(request)
                    with listening as lines:
                        async for line in lines:
                            await self._reception.write(request, response, f"{line}\n")
                finally:
                    self._roster.leave(follower)
        except TimeoutError:
            # It was ended from outside, with all that came before.
            pass
        return response


def _json(value: wire.Json, status: int = 200) -> web.Response:
    return web.Response(status=status, body=wire.encode(value), content_type="application/json", headers=PRIVATE)


__all__ = ["Downloads"]
