"""A client of the bridge's WebSocket API that keeps itself connected.

`start()` connects once and says clearly why it cannot; from then on the client reconnects by itself until `stop()`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum
import logging
import random
from typing import Any

import aiohttp
from aiohttp import hdrs
from homeassistant.util.json import json_loads
from yarl import URL

from . import wire
from .const import API_MAX, API_MIN
from .errors import (
    BridgeUnreachable,
    CertificateChanged,
    CertificateNotTrusted,
    CommandFailed,
    ConfigureFailed,
    DifferentBridge,
    RidethroughError,
    TokenRefused,
    VersionNotSupported,
)
from .mirror import Mirror
from .wire import Hello, MalformedMessage, Ready, Role, Value

_LOGGER = logging.getLogger(__name__)

CONNECT_TIMEOUT = 10.0
"""Seconds for connecting, and for each answer until the snapshot is there: as long as the bridge waits for us."""
CLOSE_TIMEOUT = 2.0
"""Seconds to wait for the bridge to say goodbye too."""
HEARTBEAT = 10.0
"""Seconds between pings; a bridge that vanished is noticed within one and a half times that."""
COMMAND_TIMEOUT = 30.0
"""Seconds for a command's result: a serial UPS may be busy with an answer and a repetition."""
CONFIGURE_TIMEOUT = 10.0
"""Seconds for an answer about the bridge's configuration."""
TEST_TIMEOUT = 30.0
"""Seconds for trying a link: a serial UPS is asked in many ways before the bridge gives up."""
MAX_MESSAGE = 32 * 2**20
"""Bytes. A snapshot of 512 battery modules with all points is about 2 MB."""

CONFIGURE = "configure"
"""The feature of a bridge whose devices can be added, changed and removed from here."""

FIRST_DELAY = 0.5
LAST_DELAY = 30.0
REFUSED_DELAY = 300.0
"""Seconds until a refused token is tried again: it may be valid again, and bridges lock out who guesses tokens."""
STEADY = 10.0
"""Seconds. A connection that lasted less did not prove that all is well again: the back-off goes on."""

CLOSE_MALFORMED = 4400
CLOSE_TOKEN = 4401
CLOSE_VERSION = 4406
CLOSE_AUTH_TIMEOUT = 4408
CLOSE_TOO_SLOW = 4429
CLOSE_REASONS: Mapping[int | None, str] = {
    aiohttp.WSCloseCode.GOING_AWAY: "the bridge is stopping",
    aiohttp.WSCloseCode.TRY_AGAIN_LATER: "the bridge asks to come later",
    CLOSE_MALFORMED: "the bridge did not understand a message",
    CLOSE_TOKEN: "the bridge refuses the token",
    CLOSE_VERSION: "the bridge refuses the version of the API",
    CLOSE_AUTH_TIMEOUT: "the token was sent too late",
    CLOSE_TOO_SLOW: "Home Assistant read too slowly",
}


class ConnectionState(Enum):
    """Where the client is."""

    STOPPED = "stopped"
    CONNECTING = "connecting"
    SYNCHRONISING = "synchronising"
    """Waiting for the snapshot."""
    LIVE = "live"
    WAITING = "waiting"
    """Until the next attempt."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the bridge is and how its certificate is recognised."""

    host: str
    port: int
    tls: bool = False
    fingerprint: str | None = None
    """SHA-256 of its certificate as hex; None to have it verified by the certificate authorities."""

    def url(self, path: str) -> URL:
        """Build the URL of `path`, e.g. `/api/v1/ws`."""
        return URL.build(scheme="https" if self.tls else "http", host=self.host, port=self.port, path=path)

    @property
    def ssl(self) -> aiohttp.Fingerprint | bool:
        """What aiohttp calls `ssl`."""
        return True if self.fingerprint is None else aiohttp.Fingerprint(bytes.fromhex(self.fingerprint))


class Backoff:
    """How long to wait before the next attempt: not at all, then 0.5 s doubling up to 30 s, with jitter."""

    def __init__(self) -> None:
        """Start with an immediate attempt."""
        self._attempts = 0

    def next(self) -> float:
        """Seconds until the next attempt."""
        attempts, self._attempts = self._attempts, self._attempts + 1
        if attempts == 0:
            return 0.0
        # Jitter keeps many Home Assistants from calling a restarted bridge in step.
        return min(LAST_DELAY, FIRST_DELAY * 2.0 ** min(attempts - 1, 10)) * random.uniform(0.5, 1.0)

    def lasted(self, seconds: float) -> None:
        """Take note that a connection was live for that long."""
        if seconds >= STEADY:
            self._attempts = 0


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What the client tells its owner."""

    events_after: Callable[[], int | None]
    """Asked at each subscription: the last event that need not come again."""
    snapshot: Callable[[int], None]
    """The snapshot is in the mirror; with the number of the journal's last event."""
    event: Callable[[wire.Event], None]
    state: Callable[[], None]
    """The connection became live or ceased to be."""
    failed: Callable[[RidethroughError], None]
    """An attempt to reconnect failed, or a live connection ended."""


class BridgeClient:
    """The connection to one bridge."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        address: Address,
        token: str,
        mirror: Mirror,
        callbacks: Callbacks,
        bridge_id: str | None = None,
    ) -> None:
        """Prepare; nothing is sent before `start()`. Another bridge than `bridge_id` is refused."""
        self.address = address
        self.state = ConnectionState.STOPPED
        self.hello: Hello | None = None
        self.role = Role.GUEST
        self.features: frozenset[str] = frozenset()
        self.counters = {"connections": 0, "gaps": 0, "deltas": 0, "events": 0}
        self._session = session
        self._token = token
        self._mirror = mirror
        self._callbacks = callbacks
        self._bridge_id = bridge_id
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._task: asyncio.Task[None] | None = None
        self._commands = _Questions[wire.Result](CommandFailed)
        self._configurations = _Questions[wire.Configured](ConfigureFailed)
        self._backoff = Backoff()

    @property
    def live(self) -> bool:
        """Whether the mirror shows what the bridge shows."""
        return self.state is ConnectionState.LIVE

    async def start(self, create_task: Callable[[Any, str], asyncio.Task[None]]) -> None:
        """Connect and wait for the first snapshot; then stay connected in a task made by `create_task`.

        Raises TokenRefused, VersionNotSupported, DifferentBridge, CertificateChanged, CertificateNotTrusted or
        BridgeUnreachable, and then does not try again.
        """
        first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = create_task(self._run(first), f"ridethrough {self.address.host}")
        try:
            await first
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close the connection for good."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        self._enter(ConnectionState.STOPPED)

    async def command(self, device: str, command: str, arguments: Mapping[str, Value] | None = None) -> wire.Result:
        """Have the bridge carry out a command.

        Raises CommandFailed with the bridge's code, `offline` when the bridge is not connected, or `no_answer`
        when the result does not come in time or the connection breaks before: then it may have been carried out.
        """
        message = {"type": "command", "device": device, "command": command, "arguments": dict(arguments or {})}
        result = await self._commands.ask(self._open_socket, message, COMMAND_TIMEOUT)
        if result.code is not None:
            raise CommandFailed(result.code, result.message)
        return result

    async def configure(self, action: str, arguments: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """Ask the bridge about its configuration, or have it changed; returns the answer's data.

        Raises ConfigureFailed with the bridge's code, `offline` when the bridge is not connected, or `no_answer` when
        the answer does not come in time or the connection breaks before.
        """
        message = {"type": "configure", "action": action, "arguments": dict(arguments or {})}
        timeout = TEST_TIMEOUT if action == "test" else CONFIGURE_TIMEOUT
        answer = await self._configurations.ask(self._open_socket, message, timeout)
        if answer.code is not None:
            raise ConfigureFailed(answer.code, answer.message, answer.field)
        return answer.data

    async def alerts(self, key: str) -> tuple[wire.Alert, ...]:
        """Have the bridge read the alert history that the device with this key keeps itself, oldest first.

        Raises CommandFailed with the bridge's code, `offline` when the bridge is not connected, or `no_answer`.
        """
        if not self.live:
            raise CommandFailed("offline", "The bridge is not connected.")
        try:
            async with (
                asyncio.timeout(COMMAND_TIMEOUT),
                self._session.get(
                    self.address.url(f"/api/v1/history/{key}.json"),
                    ssl=self.address.ssl,
                    headers={hdrs.AUTHORIZATION: f"Bearer {self._token}"},
                    allow_redirects=False,
                ) as response,
            ):
                if response.ok:
                    return wire.alerts(await response.json())
                if response.content_type != "application/json":
                    code = "forbidden" if response.status in (401, 403) else "unknown_command"
                    raise CommandFailed(code, (await response.text()).strip())
                raise CommandFailed(*wire.failed(await response.json()))
        except TimeoutError as error:
            raise CommandFailed("no_answer", f"There was no result within {COMMAND_TIMEOUT:g} s.") from error
        except (aiohttp.ClientError, ValueError) as error:
            raise CommandFailed("no_answer", str(error)) from error

    @property
    def _open_socket(self) -> aiohttp.ClientWebSocketResponse | None:
        return self._socket if self.live else None

    async def _run(self, first: asyncio.Future[None]) -> None:
        """Connect again and again. `first` gets the outcome of the first attempt."""
        loop = asyncio.get_running_loop()
        logged = False
        while True:
            live_since: float | None = None

            def live() -> None:
                nonlocal live_since, logged
                live_since = loop.time()
                if logged:
                    _LOGGER.info("Connected to the bridge at %s again", self.address.host)
                    logged = False
                if not first.done():
                    first.set_result(None)

            try:
                await self._connection(live)
            except RidethroughError as error:
                reason = error
            except Exception as error:
                _LOGGER.exception("Unexpected fault in the conversation with %s", self.address.host)
                reason = BridgeUnreachable(f"unexpected fault: {error!r}")
            finally:
                self._disconnected()
            if not first.done():
                first.set_exception(reason)
                return
            if not logged:
                _LOGGER.warning("The connection to the bridge at %s is lost: %s", self.address.host, reason)
                logged = True
            self._callbacks.failed(reason)
            if live_since is not None:
                self._backoff.lasted(loop.time() - live_since)
            self._enter(ConnectionState.WAITING)
            await asyncio.sleep(REFUSED_DELAY if isinstance(reason, TokenRefused) else self._backoff.next())

    def _disconnected(self) -> None:
        self._socket = None
        self._enter(ConnectionState.CONNECTING)
        self._commands.lost()
        self._configurations.lost()

    def _enter(self, state: ConnectionState) -> None:
        was_live, self.state = self.live, state
        if was_live != self.live:
            self._callbacks.state()

    async def _connection(self, live: Callable[[], None]) -> None:
        """One connection from beginning to end; always raises why it ended."""
        self._enter(ConnectionState.CONNECTING)
        async with greet(self._session, self.address, self._token, self._bridge_id) as greeted:
            socket, self.hello = greeted.socket, greeted.hello
            self.role, self.features = greeted.ready.role, greeted.ready.features
            self._enter(ConnectionState.SYNCHRONISING)
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await self._subscribe(socket)
                self._load(await _receive(socket, "snapshot"))
            self._socket = socket
            self.counters["connections"] += 1
            self._enter(ConnectionState.LIVE)
            live()
            try:
                async with asyncio.timeout(None) as patience:
                    await self._converse(socket, patience)
            finally:
                # At once: to close a socket whose other end is gone takes a while.
                self._disconnected()

    async def _converse(self, socket: aiohttp.ClientWebSocketResponse, patience: asyncio.Timeout) -> None:
        """Take what comes until the connection ends. `patience` runs while a new snapshot is due."""
        in_step = True
        while True:
            raw = await _receive(socket)
            match raw["type"]:
                case "delta" if in_step:
                    self.counters["deltas"] += 1
                    if not self._mirror.apply(wire.delta(raw)):
                        self.counters["gaps"] += 1
                        in_step = False
                        patience.reschedule(asyncio.get_running_loop().time() + CONNECT_TIMEOUT)
                        await self._subscribe(socket)
                case "snapshot":
                    self._load(raw)
                    in_step = True
                    patience.reschedule(None)
                case "event":
                    self.counters["events"] += 1
                    self._callbacks.event(wire.event(raw))
                case "result":
                    self._commands.answered(wire.result(raw))
                case "configured":
                    self._configurations.answered(wire.configured(raw))
                case _:
                    # Deltas on the way to a new snapshot are in it already; a newer bridge may say more than we know.
                    pass

    async def _subscribe(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        await socket.send_json({"type": "subscribe", "events_after": self._callbacks.events_after()})

    def _load(self, raw: wire.Raw) -> None:
        snapshot = wire.snapshot(raw)
        self._mirror.load(snapshot)
        self._callbacks.snapshot(snapshot.seq)


class _Questions[A: (wire.Result, wire.Configured)]:
    """Questions of one kind that wait for their answers."""

    def __init__(self, failure: type[CommandFailed | ConfigureFailed]) -> None:
        """`failure` is what a question without an answer raises."""
        self._failure = failure
        self._waiting: dict[int, asyncio.Future[A]] = {}
        self._last = 0

    async def ask(self, socket: aiohttp.ClientWebSocketResponse | None, message: wire.Raw, patience: float) -> A:
        """Send a message with a number of its own and wait for the answer; at most `patience` seconds."""
        if socket is None:
            raise self._failure("offline", "The bridge is not connected.")
        self._last += 1
        number = self._last
        future: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            async with asyncio.timeout(patience):
                await socket.send_json({**message, "id": number})
                return await future
        except TimeoutError as error:
            raise self._failure("no_answer", f"There was no result within {patience:g} s.") from error
        except aiohttp.ClientError as error:
            raise self._failure("no_answer", "The connection to the bridge was lost.") from error
        finally:
            del self._waiting[number]

    def answered(self, answer: A) -> None:
        """Hand an answer to who waits for it; one that nobody waits for any more is dropped."""
        future = self._waiting.get(answer.id)
        if future is not None and not future.done():
            future.set_result(answer)

    def lost(self) -> None:
        """No answers will come: the connection is gone."""
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(self._failure("no_answer", "The connection to the bridge was lost."))


@dataclass(frozen=True, slots=True)
class Greeted:
    """A connection on which the bridge accepted the token."""

    socket: aiohttp.ClientWebSocketResponse
    hello: Hello
    ready: Ready


@asynccontextmanager
async def greet(
    session: aiohttp.ClientSession, address: Address, token: str, bridge_id: str | None
) -> AsyncIterator[Greeted]:
    """Connect and present the token. Whatever ends the connection, also later, comes out as a RidethroughError."""
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            socket = await session.ws_connect(
                address.url("/api/v1/ws"),
                ssl=address.ssl,
                heartbeat=HEARTBEAT,
                max_msg_size=MAX_MESSAGE,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT),
            )
        async with socket:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                hello = wire.hello(await _receive(socket, "hello"))
                if bridge_id is not None and hello.id != bridge_id:
                    # Before the token is sent: it is none of another bridge's business.
                    raise DifferentBridge(hello)
                if hello.api_min > API_MAX or hello.api_max < API_MIN:
                    raise VersionNotSupported(hello)
                await socket.send_json({"type": "auth", "token": token, "api": min(API_MAX, hello.api_max)})
                try:
                    ready = wire.ready(await _receive(socket, "ready"))
                except _VersionRefused as error:
                    raise VersionNotSupported(hello) from error
            yield Greeted(socket, hello, ready)
    except aiohttp.ServerFingerprintMismatch as error:
        raise CertificateChanged(error.got.hex()) from error
    except aiohttp.ClientConnectorCertificateError as error:
        raise CertificateNotTrusted(str(error)) from error
    except TimeoutError as error:
        raise BridgeUnreachable("no answer in time") from error
    except (aiohttp.ClientError, OSError) as error:
        raise BridgeUnreachable(str(error) or type(error).__name__) from error
    except MalformedMessage as error:
        raise BridgeUnreachable(f"a malformed message: {error}") from error


class _VersionRefused(BridgeUnreachable):
    """The bridge closed the connection because of the version."""


async def _receive(socket: aiohttp.ClientWebSocketResponse, wanted: str | None = None) -> dict[str, Any]:
    """Wait for the next message; one of type `wanted` if that is given. Raises what the close code means when it closes."""
    message = await socket.receive()
    if message.type is aiohttp.WSMsgType.TEXT:
        try:
            raw = json_loads(message.data)
        except ValueError as error:
            raise MalformedMessage("not JSON") from error
        if not isinstance(raw, dict) or not isinstance(raw.get("type"), str):
            raise MalformedMessage("not an object with a type")
        if wanted is not None and raw["type"] != wanted:
            raise MalformedMessage(f"{wanted} was expected, not {raw['type']:.40}")
        return raw
    reason = CLOSE_REASONS.get(socket.close_code, f"closed with code {socket.close_code}")
    if message.type is aiohttp.WSMsgType.CLOSE and message.extra:
        reason = f"{reason} ({message.extra})"
    if socket.close_code == CLOSE_TOKEN:
        raise TokenRefused(reason)
    if socket.close_code == CLOSE_VERSION:
        raise _VersionRefused(reason)
    raise BridgeUnreachable(reason)
