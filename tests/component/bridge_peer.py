"""A bridge to play with: it speaks the real contract on a real socket, and misbehaves on request."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cache
import json
from pathlib import Path
import ssl
from typing import Any

from aiohttp import WSMsgType, web
from jsonschema import Draft202012Validator

SCHEMA = Path(__file__).parents[2] / "bridge" / "ridethrough" / "api" / "schema.json"

BRIDGE_ID = "0b1d6e0e-0000-4000-8000-000000000001"
UPS_ID = "0b1d6e0e-0000-4000-8000-000000000002"
OUTLET_ID = "0b1d6e0e-0000-4000-8000-000000000003"
NOW = 1_800_000_000.0

type Message = dict[str, Any]


def device(device_id: str, kind: str, name: str, parent: str | None, **more: Any) -> Message:
    """Describe a device as the bridge does."""
    return {
        "id": device_id,
        "key": name.lower().replace(" ", "-"),
        "kind": kind,
        "name": name,
        "parent": parent,
        "manufacturer": None,
        "model": None,
        "serial": None,
        "firmware": None,
        "commands": [],
    } | more


def reading(value: Any, quality: str = "good", at: float = NOW) -> Message:
    """Tell a reading as the bridge does."""
    return {"value": value, "quality": quality, "at": at, "source": "measured"}


def state(active: bool, quality: str = "good", since: float = NOW) -> Message:
    """Tell the state of a condition as the bridge does."""
    return {"active": active, "quality": quality, "since": since}


@dataclass(eq=False)
class Connection:
    """One client."""

    socket: web.WebSocketResponse
    role: str
    subscribed: bool = False


@dataclass(eq=False)
class BridgePeer:
    """The scripted bridge."""

    id: str = BRIDGE_ID
    name: str = "Server room"
    version: str = "0.1.0"
    api_min: int = 1
    api_max: int = 1
    tokens: dict[str, str] = field(default_factory=lambda: {"good-token": "admin"})
    ssl_context: ssl.SSLContext | None = None
    port: int = 0
    devices: dict[str, Message] = field(default_factory=dict)
    points: dict[str, dict[str, Message]] = field(default_factory=dict)
    conditions: dict[str, dict[str, Message]] = field(default_factory=dict)
    revision: int = 1
    journal: list[Message] = field(default_factory=list)
    received: list[Message] = field(default_factory=list)
    connections: list[Connection] = field(default_factory=list)
    attempts: int = 0
    silent: bool = False
    """Hears everything and answers nothing."""
    refuse_with: int | None = None
    """Closes with this code instead of taking the token."""
    greeting: Message | None = None
    """Said instead of hello."""
    lawful: bool = True
    """Keeps to the contract; a test that lets it break the contract says so."""
    health: Message | None = None
    """Said instead of its health."""
    features: list[str] = field(default_factory=list)
    """What it says it can beyond the first version; with `configure` it answers questions about its configuration."""
    configured: dict[str, Message] = field(default_factory=dict)
    """The devices of its configuration file, by id."""
    writing: int = 1
    """Counts the changes of that file."""
    schemes: Message = field(default_factory=lambda: json.loads(json.dumps(SCHEMES)))
    obstacles: dict[str, Message | None] = field(default_factory=dict)
    """What an action of `configure` fails with, by action; None for no answer at all."""
    found: Message = field(default_factory=lambda: json.loads(json.dumps(FOUND)))
    """What a test of any link finds."""
    histories: dict[str, tuple[int, Any]] = field(default_factory=dict)
    """What devices remember themselves, by key: status and body of the download."""
    after_put: Callable[[str], Awaitable[None]] | None = None
    """What happens at the bridge after a device was put, before that is answered."""
    answer: Callable[[Message], Message | None] = lambda _: {"ok": True, "message": "Done.", "confirmed": True}
    """What a command results in; None for no result."""

    def __post_init__(self) -> None:
        """Begin with a bridge, a UPS and an outlet."""
        self.devices = {
            BRIDGE_ID: device(self.id, "bridge", self.name, None, firmware=self.version),
            UPS_ID: device(
                UPS_ID, "ups", "Rack UPS", self.id, manufacturer="Acme", model="Model 3", serial="SERIAL-1",
                firmware="1.2", commands=["test.battery.start.quick", "beeper.toggle", "shutdown.return"],
            ),
            OUTLET_ID: device(OUTLET_ID, "outlet", "Outlet 1", UPS_ID, commands=["outlet.on", "outlet.off"]),
        }  # fmt: skip
        if self.id != BRIDGE_ID:
            self.devices[self.id] = self.devices.pop(BRIDGE_ID)
        self.points = {
            UPS_ID: {
                "battery.charge": reading(97.6),
                "battery.runtime": reading(1800),
                "input.voltage": reading(230.4),
                "input.L1-N.voltage": reading(229.9),
                "ups.mode": reading("line"),
                "link.state": reading("connected"),
            }
        }
        self.conditions = {
            UPS_ID: {"on_battery": state(False), "battery_low": state(False), "beeper_enabled": state(True)},
            OUTLET_ID: {"outlet_on": state(True)},
        }
        self._runner: web.AppRunner | None = None
        self._news = asyncio.Condition()

    # Starting and stopping

    async def start(self) -> None:
        """Listen on loopback; the second time on the same port as the first."""
        app = web.Application()
        app.router.add_get("/api/v1/ws", self._serve)
        app.router.add_get("/api/v1/health", self._health)
        app.router.add_get("/api/v1/history/{key:.+}.json", self._history)
        self._runner = web.AppRunner(app, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self.ssl_context, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close everything and stop to listen."""
        await self.close(1001)
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def close(self, code: int) -> None:
        """Close all connections with this code."""
        for connection in tuple(self.connections):
            await connection.socket.close(code=code)

    def cut(self) -> None:
        """Break all connections as a pulled cable does: without a word."""
        for connection in self.connections:
            transport = connection.socket._req and connection.socket._req.transport
            if transport:
                transport.abort()

    async def until(self, happened: Callable[[], bool]) -> None:
        """Wait until `happened`, which is asked whenever a client did something."""
        async with asyncio.timeout(10), self._news:
            await self._news.wait_for(happened)

    async def subscriptions(self, count: int) -> None:
        """Wait until there were `count` subscriptions in all."""
        await self.until(lambda: sum(message["type"] == "subscribe" for message in self.received) >= count)

    # What happens at the bridge

    async def change(
        self,
        points: dict[str, dict[str, Message]] | None = None,
        conditions: dict[str, dict[str, Message]] | None = None,
        devices: dict[str, Message | None] | None = None,
        *,
        tell: bool = True,
    ) -> None:
        """Change the state, and tell the clients unless `tell` is False: the next delta leaves a gap."""
        since, self.revision = self.revision, self.revision + 1
        for device_id, described in (devices or {}).items():
            if described is None:
                for table in (self.devices, self.points, self.conditions):
                    table.pop(device_id, None)
            else:
                self.devices[device_id] = described
        for table, changes in ((self.points, points), (self.conditions, conditions)):
            for device_id, values in (changes or {}).items():
                table.setdefault(device_id, {}).update(values)
        delta = {
            "type": "delta",
            "since": since,
            "revision": self.revision,
            "points": points or {},
            "conditions": conditions or {},
            "devices": devices or {},
        }
        if tell:
            await self.tell(delta)

    async def happen(self, key: str, edge: str, device_id: str | None = UPS_ID, **more: Any) -> int:
        """Write an event into the journal, tell the clients, and return its number."""
        event: Message = {
            "type": "event",
            "seq": len(self.journal) + 1,
            "at": NOW + len(self.journal),
            "kind": "condition",
            "device": device_id,
            "key": key,
            "edge": edge,
            "severity": "warning",
            "details": {},
        } | more
        self.journal.append(event)
        await self.tell(event)
        return int(event["seq"])

    async def tell(self, message: Message) -> None:
        """Send to all who have subscribed."""
        for connection in tuple(self.connections):
            if connection.subscribed:
                await self._send(connection, message)

    async def say(self, text: str) -> None:
        """Send just any text to everyone."""
        for connection in tuple(self.connections):
            await connection.socket.send_str(text)

    # The conversation

    async def _health(self, request: web.Request) -> web.Response:
        api = {"min": self.api_min, "max": self.api_max}
        health = {"status": "ok", "api": api, "id": self.id, "version": self.version}
        return web.json_response(self.health or health)

    async def _history(self, request: web.Request) -> web.Response:
        role = self.tokens.get(request.headers.get("Authorization", "").removeprefix("Bearer "), "guest")
        if role == "guest":
            return web.Response(status=403, text="This needs a token of the role customer.\n")
        status, answer = self.histories.get(request.match_info["key"], (404, None))
        if answer is None:
            error = {"code": "unknown_command", "message": "It keeps no history."}
            return web.json_response({"error": error}, status=404)
        return web.json_response(answer, status=status)

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        self.attempts += 1
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await self._tell_news()
        connection = Connection(socket, "guest")
        hello: Message = {
            "type": "hello",
            "api": {"min": self.api_min, "max": self.api_max},
            "bridge": {"id": self.id, "name": self.name, "version": self.version},
        }
        await self._send(connection, self.greeting or hello)
        self.connections.append(connection)
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._take(connection, json.loads(message.data))
        finally:
            self.connections.remove(connection)
            await self._tell_news()
        return socket

    async def _take(self, connection: Connection, message: Message) -> None:
        self._check(message)
        self.received.append(message)
        if self.silent:
            await self._tell_news()
            return
        match message["type"]:
            case "auth" if self.refuse_with is not None:
                await connection.socket.close(code=self.refuse_with)
            case "auth" if message["token"] not in self.tokens:
                await connection.socket.close(code=4401)
            case "auth":
                connection.role = self.tokens[message["token"]]
                ready: Message = {"type": "ready", "role": connection.role, "api": 1}
                await self._send(connection, ready | ({"features": self.features} if self.features else {}))
            case "subscribe":
                await self._subscribe(connection, message["events_after"])
            case "command":
                if (answer := self.answer(message)) is not None:
                    await self._send(connection, {"type": "result", "id": message["id"]} | answer)
            case "configure":
                await self._configure(connection, message)
        await self._tell_news()

    async def _configure(self, connection: Connection, message: Message) -> None:
        action, arguments = message["action"], message["arguments"]
        if self.lawful and (checked := contract_of(f"{action.title()}Arguments")) is not None:
            checked.validate(arguments)
        needed = {"schemes": ("engineer", "admin"), "list": ("engineer", "admin")}.get(action, ("admin",))
        if action in self.obstacles:
            error = self.obstacles[action]
        elif connection.role not in needed:
            error = {"code": "forbidden", "message": f"The role {connection.role} may not do that."}
        elif arguments.get("revision", self.file) != self.file:
            error = {"code": "conflict", "message": "The file was changed."}
        else:
            data = await self._act(action, arguments)
            await self._send(connection, {"type": "configured", "id": message["id"], "ok": True, "data": data})
            return
        if error is not None:
            await self._send(connection, {"type": "configured", "id": message["id"], "ok": False, "error": error})

    @property
    def file(self) -> str:
        """The revision of the configuration file."""
        return f"file-{self.writing}"

    async def _act(self, action: str, arguments: Message) -> Message:
        match action:
            case "schemes":
                return self.schemes
            case "list":
                return {"revision": self.file, "devices": list(self.configured.values())}
            case "test":
                return self.found
            case "put":
                put = arguments["device"]
                secrets = put.pop("secrets", {})
                known = self.configured.get(put["id"], {})
                uuid = known.get("device") or f"0b1d6e0e-0000-4000-8000-{len(self.configured) + 100:012}"
                kept = sorted({*known.get("secrets", []), *secrets})
                self.configured[put["id"]] = put | {"device": uuid, "secrets": kept}
                self.writing += 1
                if self.after_put is not None:
                    await self.after_put(uuid)
                return {"revision": self.file, "device": uuid}
        gone = self.configured.pop(arguments["id"])
        self.writing += 1
        parts = [key for key, described in self.devices.items() if described["parent"] == gone["device"]]
        await self.change(devices=dict.fromkeys([*parts, gone["device"]]))
        return {"revision": self.file}

    async def _subscribe(self, connection: Connection, after: int | None) -> None:
        snapshot = {
            "type": "snapshot",
            "revision": self.revision,
            "seq": len(self.journal),
            "devices": list(self.devices.values()),
            "points": self.points,
            "conditions": self.conditions,
        }
        await self._send(connection, snapshot)
        for event in self.journal[after:] if after is not None else ():
            await self._send(connection, event)
        connection.subscribed = True

    async def _send(self, connection: Connection, message: Message) -> None:
        self._check(message)
        await connection.socket.send_json(message)

    async def _tell_news(self) -> None:
        async with self._news:
            self._news.notify_all()

    def _check(self, message: Message) -> None:
        """Both sides must keep to the contract's schema, where the bridge's package is at hand."""
        if self.lawful and (schema := contract()) is not None and _is_in_contract(message["type"]):
            schema.validate(message)


def in_file(key: str, device_id: str, **more: Any) -> Message:
    """Describe a device as the bridge's configuration has it."""
    return {
        "id": key,
        "kind": "ups",
        "name": key.replace("-", " ").title().replace("Ups", "UPS"),
        "link": "megatec:/dev/ttyUSB0?baud=9600",
        "enabled": True,
        "device": device_id,
        "settings": {},
        "allow": ["test"],
        "secrets": [],
    } | more


def _option(name: str, kind: str, **more: Any) -> Message:
    nothing: Message = {"default": None, "choices": [], "minimum": None, "maximum": None, "unit": ""}
    return {"name": name, "summary": f"what {name} is", "kind": kind} | nothing | more


SCHEMES: Message = {
    "schemes": [
        {
            "scheme": "megatec", "title": "Megatec on a serial line", "example": "megatec:/dev/ttyUSB0",
            "reach": "serial", "port": None, "secrets": [],
            "options": [
                _option("baud", "choice", choices=["2400", "9600"], default="2400"),
                _option("patience", "number", minimum=0.05, maximum=10, default="1", unit="s"),
                _option("packs", "number", minimum=1, maximum=500),
                _option("restart", "flag", default="yes"),
                _option("colour", "text"),
            ],
        },
        {
            "scheme": "nut", "title": "Network UPS Tools", "example": "nut://127.0.0.1:3493/ups1",
            "reach": "host", "port": 3493, "secrets": ["username", "password"],
            "options": [_option("tls", "flag"), _option("ca", "text")],
        },
        {
            "scheme": "modbus", "title": "Modbus", "example": "modbus://192.0.2.7?profile=cs141",
            "reach": "either", "port": 502, "secrets": [], "options": [_option("profile", "choice", choices=["cs141"])],
        },
    ],
    "groups": {"ups": ["test", "beeper", "shutdown"], "transfer_switch": ["transfer"]},
    "models": [{"id": "zinto", "title": "Zinto"}],
    "ports": ["/dev/serial/by-id/usb-one", "/dev/ttyUSB0"],
    "writable": True,
    "reason": "",
}  # fmt: skip

FOUND: Message = {
    "identity": {"manufacturer": "Acme", "model": "Model 3", "serial": "SERIAL-2", "firmware": None},
    "values": [
        {"device": "", "key": "battery.charge", "name": "Battery charge", "value": 97.5, "unit": "%"},
        {"device": "", "key": "ups.mode", "name": "Mode", "value": "line", "unit": ""},
    ],
    "conditions": [{"device": "", "key": "on_battery", "active": False}],
    "commands": [],
    "complete": True,
    "running": False,
}


@cache
def _is_in_contract(message_type: str) -> bool:
    return f'"const": "{message_type}"' in SCHEMA.read_text(encoding="utf-8")


@cache
def contract_of(name: str) -> Draft202012Validator | None:
    """Read a part of the contract's schema, where it has one."""
    if not SCHEMA.exists() or name not in (definitions := json.loads(SCHEMA.read_text(encoding="utf-8"))["$defs"]):
        return None
    return Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": definitions})


@cache
def contract() -> Draft202012Validator | None:
    """Read the contract's schema."""
    return Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))) if SCHEMA.exists() else None
