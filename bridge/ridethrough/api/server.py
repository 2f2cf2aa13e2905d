"""The API's server: one port, a WebSocket for what is live and REST for downloads."""

import asyncio
from collections.abc import Callable, Mapping
import errno
import logging
from pathlib import Path
import socket
import sys
from typing import Literal

from aiohttp import hdrs, web

from ridethrough.clock import Clock
from ridethrough.config.model import ApiConfig
from ridethrough.events.orders import Orders
from ridethrough.events.pending import Pending
from ridethrough.site import Commands, Device, Memories, Site
from ridethrough.tasks import Supervisor

from . import wire
from .announce import Announcement, announce
from .batteries import Batteries
from .broadcast import Broadcast
from .certificate import CertificateError, identity
from .configuration import Desk
from .connection import SERVER, Connection
from .downloads import Downloads
from .gate import Gate, same_origin
from .limits import MAX_REQUEST, Limits
from .protocols import (
    BatteryHistory,
    BatteryInventory,
    Configurator,
    EventHistory,
    EventSource,
    TokenVerifier,
    TraceSource,
)
from .reception import Reception
from .roster import Roster
from .session import GOING_AWAY, House, Session

_LOGGER = logging.getLogger(__name__)

HANDSHAKE = 10.0
"""Seconds for a TLS handshake."""


class ApiStartError(Exception):
    """The API cannot be served; the message says what to do."""

    def __init__(self, message: str, *, may_pass: bool = False) -> None:
        """`may_pass`: it may be otherwise in a while without anybody doing anything, as when a network comes up."""
        super().__init__(message)
        self.may_pass = may_pass


class ApiServer:
    """Serves one site. `start` and `stop` once each."""

    def __init__(
        self,
        config: ApiConfig,
        site: Site,
        commands: Commands,
        events: EventSource,
        history: EventHistory,
        tokens: TokenVerifier,
        clock: Clock,
        *,
        bridge: Device,
        pending: Pending | None = None,
        version: str,
        data: Path,
        traces: TraceSource,
        configurator: Configurator | None = None,
        limits: Limits | None = None,
        memories: Memories | None = None,
        mibs: Callable[[], Mapping[str, str]] = dict,
        battery_log: BatteryHistory | None = None,
        inventory: BatteryInventory | None = None,
    ) -> None:
        """`bridge` is the device of the bridge itself, whose id names it and its journal, and `version` its software's.

        Commands under way are noted in `pending`. A certificate is kept in the folder `data`. Without a `configurator`
        clients cannot configure anything. `mibs` makes the files that describe the SNMP agent, by their names.
        Without `battery_log` and `inventory` nothing is kept of batteries.
        """
        limits = limits or Limits()
        self._config = config
        self._site = site
        self._bridge = bridge
        self._version = version
        self._data = data
        self._clock = clock
        self._limits = limits
        self._gate = Gate(clock, limits)
        self._roster = Roster(tokens, limits)
        self._broadcast = Broadcast(site, events, history, clock, limits)
        self._orders = Orders(site, commands, events, clock, limits, pending)
        self._desk = Desk(configurator, limits)
        self._house = House(
            self._greeting, tokens, self._gate, self._roster, self._broadcast, self._orders, self._desk, limits
        )
        reception = Reception(tokens, self._gate, limits)
        self._batteries = Batteries(site, reception, battery_log, inventory)
        self._downloads = Downloads(
            site,
            history,
            Memories(site) if memories is None else memories,
            reception,
            traces,
            self._roster,
            {"status": "ok", "api": dict(wire.API), "id": bridge.id, "version": version},
            mibs,
        )
        self._connections: set[Connection] = set()
        self._sessions: set[asyncio.Task[None]] = set()
        self._supervisor = Supervisor(clock)
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None
        self.port = config.port
        """Where it listens; with port 0 in the configuration, the one that was free."""
        self.fingerprint: str | None = None
        """SHA-256 of the certificate in hex; None without TLS."""

    @property
    def url(self) -> str:
        """The address for a person."""
        listen = self._config.listen
        host = f"[{listen}]" if ":" in listen and not listen.startswith("[") else listen
        return f"{'http' if self.fingerprint is None else 'https'}://{host}:{self.port}"

    async def start(self) -> None:
        """Listen. Raises ApiStartError when that is not possible, JournalError when the journal cannot be read."""
        try:
            tls = await asyncio.to_thread(identity, self._config, self._data, self._clock)
        except CertificateError as error:
            raise ApiStartError(str(error)) from error
        await self._broadcast.start()
        runner = web.AppRunner(self._application(), handler_cancellation=True, shutdown_timeout=self._limits.farewell)
        await runner.setup()
        self._runner = runner
        server = runner.server
        assert server is not None
        loop = asyncio.get_running_loop()
        try:
            self._listener = await loop.create_server(
                lambda: Connection(server, loop, self._connections, self._limits.connections, self._limits.idle),
                self._config.listen.strip("[]"),
                self._config.port,
                ssl=None if tls is None else tls.context,
                ssl_handshake_timeout=None if tls is None else HANDSHAKE,
            )
        except OSError as error:
            await self.stop()
            away = isinstance(error, socket.gaierror) or error.errno in (errno.EADDRNOTAVAIL, None)
            raise ApiStartError(self._reason(error), may_pass=away) from error
        self.port = self._listener.sockets[0].getsockname()[1]
        self.fingerprint = None if tls is None else tls.fingerprint
        self._supervisor.start("The broadcast of changes", self._broadcast.run)
        self._supervisor.start("The check of connected tokens", self._recheck)
        if self._config.zeroconf:
            self._supervisor.start("The announcement of the API", self._announce)
        _LOGGER.info("The API listens on %s", self.url)
        if self.fingerprint is not None:
            _LOGGER.info("Its certificate has the SHA-256 fingerprint %s", self.fingerprint)

    async def stop(self) -> None:
        """Say goodbye to everyone and free the port; takes a second or two at most."""
        if self._listener is not None:
            self._listener.close()
        self._roster.hangup_all(GOING_AWAY, "The bridge is going away.")
        patience = self._limits.farewell
        await asyncio.gather(self._supervisor.stop(), self._orders.stop(patience), self._desk.stop(patience))
        self._roster.hangup_all(GOING_AWAY, "The bridge is going away.")
        if self._sessions:
            await asyncio.wait(self._sessions, timeout=2 * self._limits.farewell)
        self._broadcast.stop()
        if self._runner is not None:
            await self._runner.cleanup()
        self._listener = self._runner = None

    def _application(self) -> web.Application:
        app = web.Application(client_max_size=MAX_REQUEST)
        app.router.add_get("/api/v1/ws", self._converse)
        app.router.add_get("/api/v1/health", self._downloads.health)
        app.router.add_get("/api/v1/events.csv", self._downloads.events)
        app.router.add_get("/api/v1/history/{key:.+}.{form:csv|json}", self._downloads.history)
        app.router.add_get("/api/v1/battery/{key:.+}.csv", self._batteries.log)
        app.router.add_get("/api/v1/inventory/{key:.+}.csv", self._batteries.inventory)
        app.router.add_put("/api/v1/inventory/{key:.+}.csv", self._batteries.take_inventory)
        app.router.add_get("/api/v1/mibs", self._downloads.mibs)
        app.router.add_get("/api/v1/mibs/{name}", self._downloads.mib)
        app.router.add_get("/api/v1/trace/{key:.+}", self._downloads.trace)
        app.on_response_prepare.append(_sign)
        return app

    async def _converse(self, request: web.Request) -> web.StreamResponse:
        """GET /api/v1/ws: upgrade to a WebSocket and converse."""
        if not same_origin(request.headers.get(hdrs.ORIGIN), request.host, request.scheme):
            raise web.HTTPForbidden(text="Pages of other origins may not talk to the bridge.\n")
        # Not compressed: what is written once is sent to everyone as it is. Pings and slow clients are the session's:
        # aiohttp would queue pongs without bound, waits in a way that cannot be given up, and pings the dead.
        socket_ = web.WebSocketResponse[Literal[False]](
            timeout=self._limits.farewell,
            compress=False,
            max_msg_size=MAX_REQUEST,
            writer_limit=sys.maxsize,
            autoping=False,
            decode_text=False,
        )
        await socket_.prepare(request)
        connection = request.protocol
        assert isinstance(connection, Connection)
        session = asyncio.current_task()
        assert session is not None
        self._sessions.add(session)
        session.add_done_callback(self._sessions.discard)
        await Session(self._house, socket_, connection, request.remote or "").run()
        return socket_

    def _greeting(self) -> bytes:
        # The name as it is now: it may have been changed.
        bridge = self._site.devices.get(self._bridge.id, self._bridge)
        return wire.hello(bridge.id, bridge.name, self._version)

    async def _recheck(self) -> None:
        while True:
            await self._clock.sleep(self._limits.recheck)
            await self._roster.recheck()

    async def _announce(self) -> None:
        await announce(
            Announcement(
                self._bridge.id, self._bridge.name, self._version, self._config.listen, self.port, self.fingerprint
            ),
            self._clock,
        )

    def _reason(self, error: OSError) -> str:
        listen, port = self._config.listen, self._config.port
        if isinstance(error, socket.gaierror):
            return f"api: listen: {listen} is no address of this computer and no name that it knows."
        match error.errno:
            case errno.EADDRINUSE:
                return (
                    f"Port {port} on {listen} is in use; is the bridge running already? Else choose another api: port."
                )
            case errno.EADDRNOTAVAIL | None:  # asyncio tries all addresses of a name and has no number then
                return f"api: listen: {listen} is no address of this computer."
            case errno.EACCES | errno.EPERM:
                return (
                    f"Port {port} needs privileges that the bridge does not have; choose one above 1023 as api: port."
                )
        return f"The API cannot listen on {listen}, port {port}: {error.strerror or error}."


async def _sign(request: web.Request, response: web.StreamResponse) -> None:
    response.headers[hdrs.SERVER] = SERVER


__all__ = ["ApiServer", "ApiStartError"]
