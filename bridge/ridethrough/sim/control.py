"""The simulator's control: HTTP and JSON, for tests and for people with curl.

GET  /state                  the truth about the UPS or the battery
GET  /exchanges?after=N      what went over the line, with the moment of each answer's last byte
POST /set                    what a scenario may change: {"mains": false, "load": 1.2, "fault": {…}, "line": {…}};
                             for a battery see `blocks.change`: {"mains": false, "age": {"block": 17, "factor": 1.6}}
POST /scenario               {"name": "outage"}
POST /speed                  {"factor": 10}
POST /pause                  {} or {"paused": false}
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
import json
from typing import Protocol

from aiohttp import web
import voluptuous as vol

from .change import explain, flag, number, section, text
from .exchange import Exchanges
from .speed import SPEEDS

_LARGEST = 65536
_speed = section({"factor": number(*SPEEDS)}, required=["factor"])
_pause = section({"paused": flag})
_scenario = section({"name": text}, required=["name"])


class Controlled(Protocol):
    """What can be controlled: a simulated UPS or battery."""

    speed: float

    @property
    def exchanges(self) -> Exchanges:
        """What went over the line."""

    def state(self) -> Mapping[str, object]:
        """Tell the truth, fit for JSON."""

    def order(self, data: object) -> None:
        """Change what came as JSON. Raises vol.Invalid, and OSError when a name is taken."""

    def choose(self, name: str) -> None:
        """Play a scenario. Raises vol.Invalid when there is none of this name."""

    def pause(self, *, paused: bool) -> None:
        """Stop the time, or let it go on."""


class Control:
    """The routes and what they do."""

    def __init__(self, simulation: Controlled) -> None:
        """Control `simulation`."""
        self._simulation = simulation

    def application(self) -> web.Application:
        """Make an application of the routes."""
        application = web.Application(client_max_size=_LARGEST)
        application.add_routes(
            [
                web.get("/state", self._state),
                web.get("/exchanges", self._exchanges),
                web.post("/set", self._posted(self._simulation.order)),
                web.post("/scenario", self._posted(self._play)),
                web.post("/speed", self._posted(self._hasten)),
                web.post("/pause", self._posted(self._hold)),
            ]
        )
        return application

    async def _state(self, _: web.Request) -> web.Response:
        return web.json_response(self._simulation.state())

    async def _exchanges(self, request: web.Request) -> web.Response:
        after = request.query.get("after", "0")
        if not (after.isascii() and after.isdigit()):
            return _bad(f"after: {after!r} must be the number of an exchange")
        ring = self._simulation.exchanges
        return web.json_response(
            {"last": ring.count, "exchanges": [asdict(exchange) for exchange in ring.after(int(after))]}
        )

    def _posted(self, act: Callable[[object], None]) -> Callable[[web.Request], Awaitable[web.Response]]:
        """Take JSON, do it, and answer with the state after it, or say what is wrong with it."""

        async def respond(request: web.Request) -> web.Response:
            try:
                act(json.loads(await request.read() or b"{}"))
            except (ValueError, RecursionError) as error:
                return _bad(f"This is not JSON: {error}")
            except vol.Invalid as error:
                return _bad(explain(error))
            except OSError as error:  # the name of the line is taken
                return _bad(str(error), status=409)
            return web.json_response(self._simulation.state())

        return respond

    def _play(self, data: object) -> None:
        self._simulation.choose(str(_scenario(data)["name"]))

    def _hasten(self, data: object) -> None:
        factor = _speed(data)["factor"]
        assert isinstance(factor, float)
        self._simulation.speed = factor

    def _hold(self, data: object) -> None:
        self._simulation.pause(paused=bool(_pause(data).get("paused", True)))


def _bad(message: str, status: int = 400) -> web.Response:
    return web.json_response({"error": message}, status=status)


@asynccontextmanager
async def serve_control(simulation: Controlled, host: str, port: int) -> AsyncIterator[str]:
    """Listen while the context is open; yields the address, e.g. http://127.0.0.1:8481. Port 0 takes a free one."""
    runner = web.AppRunner(Control(simulation).application(), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        bound = runner.addresses[0]
        shown = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        yield f"http://{shown}:{bound[1]}"
    finally:
        await runner.cleanup()
