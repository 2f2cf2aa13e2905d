"""A client of Home Assistant as its frontend is one: first user, login, config flow, states as they change."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
import itertools
import time
from typing import Any, Self

import aiohttp


class HomeAssistantError(Exception):
    """Home Assistant answered something else than hoped for."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A state as it arrived over Home Assistant's WebSocket."""

    entity: str
    state: str
    attributes: Mapping[str, Any]
    changed: float
    """Epoch seconds at which Home Assistant's state machine took it."""
    arrived: float
    """Epoch seconds at which this client had it in its hands."""


class HomeAssistant:
    """One logged-in connection that follows all states."""

    def __init__(self, url: str, session: aiohttp.ClientSession, token: str) -> None:
        """Use `first_login` or `login`."""
        self.url = url
        self._session = session
        self._token = token
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._changed = asyncio.Condition()
        self._reader: asyncio.Task[None] | None = None
        self.states: dict[str, Seen] = {}
        self.events: list[Mapping[str, Any]] = []
        """Every event that `listen` was asked to collect, oldest first."""

    @classmethod
    async def first_login(cls, url: str, session: aiohttp.ClientSession, user: str, password: str) -> Self:
        """Create the first user of a fresh Home Assistant, as its onboarding does, and log in."""
        answer = await cls._post(
            session,
            f"{url}/api/onboarding/users",
            json={
                "client_id": f"{url}/",
                "name": user.capitalize(),
                "username": user,
                "password": password,
                "language": "en",
            },
        )
        return cls(url, session, await cls._exchange(url, session, answer["auth_code"]))

    @classmethod
    async def login(cls, url: str, session: aiohttp.ClientSession, user: str, password: str) -> Self:
        """Log in with name and password, as the login page does."""
        flow = await cls._post(
            session,
            f"{url}/auth/login_flow",
            json={"client_id": f"{url}/", "handler": ["homeassistant", None], "redirect_uri": f"{url}/"},
        )
        answer = await cls._post(
            session,
            f"{url}/auth/login_flow/{flow['flow_id']}",
            json={"client_id": f"{url}/", "username": user, "password": password},
        )
        return cls(url, session, await cls._exchange(url, session, answer["result"]))

    @classmethod
    async def _exchange(cls, url: str, session: aiohttp.ClientSession, code: str) -> str:
        form = {"client_id": f"{url}/", "grant_type": "authorization_code", "code": code}
        answer = await cls._post(session, f"{url}/auth/token", data=form)
        return str(answer["access_token"])

    @staticmethod
    async def _post(session: aiohttp.ClientSession, url: str, **arguments: Any) -> Any:
        async with session.post(url, **arguments) as response:
            if response.status not in (200, 201):
                raise HomeAssistantError(f"{url} answered {response.status}: {await response.text()}")
            return await response.json()

    async def connect(self) -> None:
        """Open the WebSocket and follow all states."""
        self._socket = await self._session.ws_connect(f"{self.url}/api/websocket", max_msg_size=0)
        await self._socket.receive_json()
        await self._socket.send_json({"type": "auth", "access_token": self._token})
        answer = await self._socket.receive_json()
        if answer["type"] != "auth_ok":
            raise HomeAssistantError(f"Home Assistant refused the login: {answer}")
        self._reader = asyncio.create_task(self._read(self._socket))
        await self.ask("subscribe_entities")

    async def close(self) -> None:
        """Close the WebSocket."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()

    async def ask(self, kind: str, **arguments: Any) -> Any:
        """Send a WebSocket command and return its result."""
        assert self._socket is not None
        number = next(self._ids)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "type": kind, **arguments})
        async with asyncio.timeout(30):
            return await answer

    async def listen(self, event_type: str) -> None:
        """Collect the events of this type in `events`."""
        await self.ask("subscribe_events", event_type=event_type)

    async def add_integration(self, domain: str, *answers: Mapping[str, Any]) -> Mapping[str, Any]:
        """Go through a config flow with one answer per form; return the last step."""
        headers = {"Authorization": f"Bearer {self._token}"}
        base = f"{self.url}/api/config/config_entries/flow"
        step = await self._post(
            self._session, base, json={"handler": domain, "show_advanced_options": False}, headers=headers
        )
        for answer in answers:
            step = await self._post(self._session, f"{base}/{step['flow_id']}", json=dict(answer), headers=headers)
        return dict(step)

    async def wait_for(self, entity: str, wanted: Callable[[Seen], bool], seconds: float) -> Seen:
        """Wait until the entity's state is as wanted, and return it.

        Raises HomeAssistantError, naming what was seen instead, when the time is up.
        """

        def reached() -> bool:
            seen = self.states.get(entity)
            return seen is not None and wanted(seen)

        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(reached)
        except TimeoutError:
            seen = self.states.get(entity)
            last = "does not exist" if seen is None else f"is {seen.state}"
            raise HomeAssistantError(f"{entity} {last} after {seconds:.0f} s of waiting") from None
        return self.states[entity]

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            arrived = time.time()
            for item in _as_list(message.json()):
                self._take(item, arrived)
            async with self._changed:
                self._changed.notify_all()

    def _take(self, item: Mapping[str, Any], arrived: float) -> None:
        if item["type"] == "result":
            answer = self._answers.pop(item["id"])
            if item["success"]:
                answer.set_result(item.get("result"))
            else:
                answer.set_exception(HomeAssistantError(str(item["error"])))
            return
        if item["type"] != "event":
            return
        event = item["event"]
        if "event_type" in event:
            self.events.append(event)
            return
        for entity, full in event.get("a", {}).items():
            self.states[entity] = Seen(entity, full["s"], full.get("a", {}), full["lc"], arrived)
        for entity, change in event.get("c", {}).items():
            added = change.get("+", {})
            old = self.states[entity]
            attributes = {**old.attributes, **added.get("a", {})}
            for gone in change.get("-", {}).get("a", ()):
                attributes.pop(gone, None)
            self.states[entity] = Seen(
                entity, added.get("s", old.state), attributes, added.get("lc", added.get("lu", old.changed)), arrived
            )
        for entity in event.get("r", ()):
            self.states.pop(entity, None)


def _as_list(message: Any) -> list[Any]:
    return message if isinstance(message, list) else [message]


@asynccontextmanager
async def connected(url: str, user: str, password: str, *, first: bool = False) -> AsyncIterator[HomeAssistant]:
    """Give a connection that follows all states, and close it at the end."""
    async with aiohttp.ClientSession() as session:
        enter = HomeAssistant.first_login if first else HomeAssistant.login
        home_assistant = await enter(url, session, user, password)
        await home_assistant.connect()
        try:
            yield home_assistant
        finally:
            await home_assistant.close()
