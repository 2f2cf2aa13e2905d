"""What is kept of batteries, fetched and brought by REST: the battery log and the inventory, both as CSV."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
import logging
import re

from aiohttp import web

from ridethrough.battery.records import Entry, RecordsError
from ridethrough.catalogue import Role
from ridethrough.config.battery import MODULES, STRINGS
from ridethrough.site import Device, Site

from .battery_sheets import LOG_COLUMNS, SheetError, inventory_lines, log_lines, read_inventory
from .protocols import BatteryHistory, BatteryInventory
from .reception import PRIVATE, Reception, attachment

_LOGGER = logging.getLogger(__name__)

LARGEST = 1024 * 1024
"""Bytes of an inventory that is brought: 512 blocks with five notes of 200 characters each."""
_QUERIES = ("module", "string", "begin", "end")


class Batteries:
    """The part of the REST API that is about batteries."""

    def __init__(
        self, site: Site, reception: Reception, log: BatteryHistory | None, inventory: BatteryInventory | None
    ) -> None:
        """Without a log or an inventory there is none of any system."""
        self._site = site
        self._reception = reception
        self._log = log
        self._inventory = inventory

    async def log(self, request: web.Request) -> web.StreamResponse:
        """GET /api/v1/battery/<system's key>.csv?module=17 or ?string=3, &begin=…&end=…: what was logged of it."""
        await self._reception.authorise(request, Role.CUSTOMER)
        system = self._system(request)
        if self._log is None:
            raise web.HTTPNotFound(text=f"There is no battery log of {system.key}.\n")
        strange = next((name for name in request.query if name not in _QUERIES), None)
        if strange is not None:
            raise web.HTTPBadRequest(text=f"There is no {strange}; permitted: {', '.join(_QUERIES)}.\n")
        module, string = _number(request, "module", MODULES), _number(request, "string", STRINGS)
        if module is not None and string is not None:
            raise web.HTTPBadRequest(text="Name a module or a string, not both.\n")
        begin, end = _instant(request, "begin"), _instant(request, "end")
        if begin is not None and end is not None and end < begin:
            raise web.HTTPBadRequest(text="end must not be before begin.\n")
        pages = self._log.read(system.id, string=string, module=module, begin=begin, end=end)
        try:
            first: list[Entry] = await anext(pages, [])
        except RecordsError as error:
            _LOGGER.warning("The battery log cannot be downloaded: %s", error)
            raise web.HTTPServiceUnavailable(text="The battery log cannot be read at the moment.\n") from error
        response = web.StreamResponse(headers=attachment("battery.csv"))
        await response.prepare(request)
        await self._reception.write(request, response, ",".join(LOG_COLUMNS) + "\r\n")
        await self._send(request, response, first)
        await self._rest(request, response, pages)
        return response

    async def _rest(
        self, request: web.Request, response: web.StreamResponse, pages: AsyncIterator[list[Entry]]
    ) -> None:
        try:
            async for page in pages:
                await self._send(request, response, page)
        except RecordsError as error:
            # It has begun: only by breaking off can it be told that the rest is missing.
            _LOGGER.warning("The download of the battery log breaks off: %s", error)
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError("The battery log cannot be read any further.") from error

    async def _send(self, request: web.Request, response: web.StreamResponse, page: list[Entry]) -> None:
        if page:
            await self._reception.write(request, response, await asyncio.to_thread(log_lines, page))

    async def inventory(self, request: web.Request) -> web.Response:
        """GET /api/v1/inventory/<system's key>.csv: the notes about its blocks."""
        await self._reception.authorise(request, Role.ENGINEER)
        system, kept = self._system(request), self._kept()
        try:
            sheet = await kept.sheet(system.id)
        except RecordsError as error:
            raise _unavailable(error) from error
        return web.Response(text=inventory_lines(sheet, self._modules(system)), headers=attachment("inventory.csv"))

    async def take_inventory(self, request: web.Request) -> web.Response:
        """PUT /api/v1/inventory/<system's key>.csv: put a sheet in the place of all notes, or none of it if it is wrong."""
        token = await self._reception.authorise(request, Role.ENGINEER)
        system, kept = self._system(request), self._kept()
        content = bytearray()
        async for piece in request.content.iter_chunked(64 * 1024):
            content += piece
            if len(content) > LARGEST:
                raise web.HTTPRequestEntityTooLarge(LARGEST, len(content))
        try:
            sheet = await asyncio.to_thread(read_inventory, bytes(content), self._modules(system))
        except SheetError as error:
            return web.Response(status=400, text=f"{error}\n", headers=PRIVATE)
        try:
            await kept.replace(system.id, sheet)
        except RecordsError as error:
            raise _unavailable(error) from error
        _LOGGER.info("%s has brought an inventory of %s with %d notes", token.name, system.key, len(sheet.notes))
        return web.Response(status=204)

    def _system(self, request: web.Request) -> Device:
        key = request.match_info["key"]
        device = self._site.device_by_key(key)
        if device is None or device.kind != "battery_system":
            raise web.HTTPNotFound(text=f"There is no battery system {key}.\n")
        return device

    def _kept(self) -> BatteryInventory:
        if self._inventory is None:
            raise web.HTTPNotFound(text="No inventory is kept.\n")
        return self._inventory

    def _modules(self, system: Device) -> int:
        """Tell how many blocks a system has; as many as there can be if that is not known."""
        reading = self._site.reading(system.id, "battery.modules")
        value = None if reading is None else reading.value
        return int(value) if isinstance(value, int | float) and 1 <= value <= MODULES else MODULES


def _unavailable(error: RecordsError) -> web.HTTPServiceUnavailable:
    _LOGGER.warning("The inventory cannot be used: %s", error)
    return web.HTTPServiceUnavailable(text="The inventory cannot be used at the moment.\n")


def _number(request: web.Request, name: str, most: int) -> int | None:
    text = request.query.get(name)
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= most:
        raise web.HTTPBadRequest(text=f"{name} must be a number from 1 to {most}.\n")
    return int(text)


def _instant(request: web.Request, name: str) -> datetime | None:
    text = request.query.get(name)
    if text is None:
        return None
    try:
        # A plus in a query stands for a blank.
        at = datetime.fromisoformat(re.sub(r" (?=[0-9:]+$)", "+", text.strip()) if "T" in text else text.strip())
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise web.HTTPBadRequest(text=f"{name} must be a time such as 2026-03-01T08:00:00Z.\n") from error


__all__ = ["Batteries"]
