"""Commands to devices of another bridge, by its API (DESIGN §5, manual M:2543)."""

import asyncio
from collections.abc import Iterator, Mapping
import ssl

import aiohttp
import orjson
from yarl import URL

from ridethrough.addresses import plain
from ridethrough.config.actions import RemoteAction
from ridethrough.config.jobs import RemoteConfig
from ridethrough.events.steps import ActionError, Occasion
from ridethrough.site import Value

from .complaint import complaint, passing
from .context import JobContext
from .trust import Trust
from .wording import filled, one_line

VERSION = 1
"""Of the API that is spoken here."""
LARGEST = 32 * 1024 * 1024
"""Octets of a message. The snapshot of a site with 512 battery modules has less than one million."""
SOON = 256 * 1024
"""Octets from which a message is read in a thread."""
WRONG_TOKEN = 4401
HEARTBEAT = 10.0
FAREWELL = aiohttp.ClientWSTimeout(ws_close=1.0)
"""Seconds that the other side has to close; what became of the command is known then."""

type Json = dict[str, object]


class Remote:
    """Gives one command over a connection of its own."""

    def __init__(self, context: JobContext) -> None:
        """Nothing is opened yet."""
        self._context = context
        self._bridges = {one.key: one for one in context.config.bridges}
        self._trust = {one.key: Trust(None) for one in context.config.bridges}

    async def perform(self, action: RemoteAction, occasion: Occasion) -> str:
        """See `Performer`."""
        config = self._bridges.get(action.bridge)
        if config is None:
            known = ", ".join(self._bridges) or "none"
            raise ActionError(f"There is no bridge {action.bridge} in the section bridges; there is {known}.")
        where = f"the bridge {config.key}"
        talk = Talk(where)
        try:
            url, tls = await self._way(config)
            async with (
                asyncio.timeout(self._context.limits.remote),
                aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
                session.ws_connect(url, ssl=tls, max_msg_size=LARGEST, heartbeat=HEARTBEAT, timeout=FAREWELL) as socket,
            ):
                arguments = filled(action.arguments, occasion, self._context)
                return await talk.command(socket, config.token, action, arguments)
        except aiohttp.ServerFingerprintMismatch as error:
            raise ActionError(
                f"The certificate of {where} is not the one that fingerprint: names; it has {error.got.hex()}. "
                "If it was renewed, take the new one over; if not, somebody stands between."
            ) from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            self._trust[config.key].doubt()
            if talk.given:
                raise ActionError(
                    f"{complaint(error, where)} The command {action.command} was sent and may have been carried out."
                ) from error
            raise ActionError(complaint(error, where), again=passing(error)) from error

    async def _way(self, config: RemoteConfig) -> tuple[URL, ssl.SSLContext | aiohttp.Fingerprint | bool]:
        """Return where to connect to, and whom to take for it. Raises ActionError."""
        try:
            url = URL(config.url)
            address = url / "api/v1/ws"
        except ValueError as error:
            raise ActionError(f"{config.url!r:.200} is no address of a bridge, as https://host:8480 is.") from error
        if url.scheme == "http" and _is_loopback(url.host or ""):
            return address, True
        if url.scheme != "https":
            raise ActionError(
                f"The bridge {config.key} is to be reached by https: its token must not be sent in the clear."
            )
        if config.fingerprint is None:
            return address, await self._trust[config.key].context()
        try:
            return address, aiohttp.Fingerprint(bytes.fromhex(config.fingerprint.replace(":", "")))
        except ValueError as error:
            raise ActionError(
                f"The fingerprint of the bridge {config.key} is no SHA-256: it has 64 hexadecimal digits."
            ) from error


class Talk:
    """One conversation: hello, auth, ready, subscribe, snapshot, command, result."""

    def __init__(self, where: str) -> None:
        """Nothing has been said yet."""
        self._where = where
        self.given = False
        """Whether the command has been sent: from then on nobody knows whether it was carried out."""

    async def command(
        self,
        socket: aiohttp.ClientWebSocketResponse,
        token: str,
        action: RemoteAction,
        arguments: Mapping[str, Value],
    ) -> str:
        """Give the command to the device of that key and return what became of it."""
        hello = await self._hear(socket, "hello")
        if not _speaks(hello.get("api"), VERSION):
            raise ActionError(f"{self._where} does not speak version {VERSION} of the API; bring both up to date.")
        await self._say(socket, {"type": "auth", "token": token, "api": VERSION})
        await self._hear(socket, "ready")
        await self._say(socket, {"type": "subscribe", "events_after": None})
        device, name = self._find(await self._hear(socket, "snapshot"), action.device)
        self.given = True
        order = {"device": device, "command": action.command, "arguments": arguments}
        await self._say(socket, {"type": "command", "id": 1, **order})
        while (result := await self._hear(socket, "result")).get("id") != 1:
            pass
        if result.get("ok") is True:
            return f"{name} at {self._where}: {_text(result.get('message'))}"
        error = result.get("error")
        said = error if isinstance(error, dict) else {}
        raise ActionError(
            f"{name} at {self._where}: {_text(said.get('message')) or 'refused without a reason'}",
            again=said.get("code") == "offline",
        )

    def _find(self, snapshot: Json, key: str) -> tuple[str, str]:
        for device in _objects(snapshot.get("devices")):
            if device.get("key") == key and isinstance(device.get("id"), str):
                return str(device["id"]), _text(device.get("name")) or key
        raise ActionError(f"There is no device {key} at {self._where} at the moment.", again=True)

    async def _say(self, socket: aiohttp.ClientWebSocketResponse, message: Json) -> None:
        await socket.send_str(orjson.dumps(message).decode())

    async def _hear(self, socket: aiohttp.ClientWebSocketResponse, kind: str) -> Json:
        """Return the next message of a type; what else there is on the way is of no interest."""
        while True:
            message = await socket.receive()
            if message.type is not aiohttp.WSMsgType.TEXT:
                raise self._ended(socket, message)
            try:
                long = len(message.data) > SOON
                said = await asyncio.to_thread(orjson.loads, message.data) if long else orjson.loads(message.data)
            except orjson.JSONDecodeError as error:
                raise self._strange(kind) from error
            if not isinstance(said, dict):
                raise self._strange(kind)
            if said.get("type") == kind:
                return said
            if kind == "hello":
                raise self._strange(kind)

    def _strange(self, kind: str) -> ActionError:
        return ActionError(f"{self._where} is no bridge: it says something else than {kind}. Is the address right?")

    def _ended(self, socket: aiohttp.ClientWebSocketResponse, message: aiohttp.WSMessage) -> ActionError:
        reason = _text(message.extra) if message.type is aiohttp.WSMsgType.CLOSE else ""
        if socket.close_code == WRONG_TOKEN:
            return ActionError(f"{self._where} does not know the token: {reason or 'it is wrong, revoked or expired.'}")
        fate = " The command was sent and may have been carried out." if self.given else ""
        said = reason or f"code {socket.close_code}"
        return ActionError(f"{self._where} has ended the conversation: {said.rstrip('.')}.{fate}", again=not self.given)


def _speaks(api: object, version: int) -> bool:
    if not isinstance(api, dict):
        return False
    low, high = api.get("min"), api.get("max")
    return isinstance(low, int) and isinstance(high, int) and low <= version <= high


def _objects(rows: object) -> Iterator[Json]:
    if isinstance(rows, list):
        yield from (row for row in rows if isinstance(row, dict))


def _text(said: object) -> str:
    return one_line(said)[:300] if isinstance(said, str) else ""


def _is_loopback(host: str) -> bool:
    try:
        return plain(host).is_loopback
    except ValueError:
        return host == "localhost"


__all__ = ["Remote"]
