"""The desk: who may ask for what, how much at once, and what becomes of it when something fails."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from ridethrough.api import ApiServer
from ridethrough.config import ConfigureError
from ridethrough.config.draft import DeviceDraft

from .harness import CONFIG, LIMITS, Client, Raw, World, running


class Notebook:
    """A configurator that does as it is told."""

    def __init__(self) -> None:
        self.asked: list[object] = []
        self.fails: Exception | None = None
        self.go = asyncio.Event()
        self.go.set()
        self.cancelled = 0

    async def _answer(self, *asked: object, **data: object) -> Mapping[str, object]:
        self.asked.append(asked)
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.fails is not None:
            raise self.fails
        return data

    async def schemes(self) -> Mapping[str, object]:
        nothing: list[str] = []
        groups = {"ups": nothing, "transfer_switch": nothing}
        return await self._answer(
            "schemes", schemes=nothing, groups=groups, models=nothing, ports=nothing, writable=True, reason=None
        )

    async def list(self, *, secrets: bool) -> Mapping[str, object]:
        return await self._answer("list", secrets, revision="1", devices=[])

    async def test(self, draft: DeviceDraft) -> Mapping[str, object]:
        return await self._answer("test", draft, revision="1", devices=[])

    async def put(self, draft: DeviceDraft, revision: str, actor: str) -> Mapping[str, object]:
        return await self._answer("put", draft, revision, actor, revision="2", device="u")

    async def remove(self, key: str, revision: str, actor: str) -> Mapping[str, object]:
        return await self._answer("remove", key, revision, actor, revision="3")


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()


@pytest.fixture
async def world(tmp_path: Path, notebook: Notebook) -> AsyncIterator[World]:
    """Run the API with something to configure."""
    async with configurable(tmp_path, notebook) as world:
        yield world


@asynccontextmanager
async def configurable(folder: Path, notebook: Notebook) -> AsyncIterator[World]:
    async with running(folder) as world:
        server = ApiServer(
            CONFIG, world.site, world.commands, world.recorder, world.journal, world.tokens, world.clock,
            bridge=next(iter(world.site.devices.values())), version="0.1.0", data=folder, traces=world.traces,
            configurator=notebook, limits=replace(LIMITS, configuring=6, tests=2),
        )  # fmt: skip
        await server.start()
        closed, world.server = world.server, server
        try:
            yield world
        finally:
            world.server = closed
            await server.stop()


async def ask(client: Client, number: int, action: str, **arguments: object) -> None:
    await client.send({"type": "configure", "id": number, "action": action, "arguments": arguments})


async def answer(client: Client) -> Raw:
    while (said := await client.receive())["type"] != "configured":
        pass
    return said


async def test_a_bridge_that_cannot_be_configured_is_as_one_that_does_not_know_the_word(tmp_path: Path) -> None:
    async with running(tmp_path) as world, world.connect() as client:
        ready = await client.authenticate("admin")
        assert ready["features"] == []
        await ask(client, 1, "list")
        assert await client.close_code() == 4400


async def test_what_a_client_says_of_a_device_arrives(world: World, notebook: Notebook) -> None:
    device = {
        "id": "a", "kind": "transfer_switch", "name": None, "link": "nut://h/u", "enabled": True, "device": "x",
        "settings": {"power": 1500.5, "load": "1 kVA", "hold_time": 10, "model": None}, "allow": ["test"],
        "secrets": {"username": "me", "password": None},
    }  # fmt: skip
    async with world.client() as client:
        await ask(client, 7, "put", device=device, revision="1")
        assert await answer(client) == {
            "type": "configured", "id": 7, "ok": True, "data": {"revision": "2", "device": "u"},
        }  # fmt: skip
    fields = {
        "name": None, "link": "nut://h/u", "enabled": "yes", "power": "1500.5", "load": "1 kVA", "hold_time": "10",
        "model": None,
    }  # fmt: skip
    draft = DeviceDraft("a", "transfer_switch", fields, ("test",), {"username": "me", "password": None})
    assert notebook.asked == [("put", draft, "1", "the admin")]


async def test_answers_may_come_in_another_order(world: World, notebook: Notebook) -> None:
    notebook.go.clear()
    async with world.client() as client:
        await ask(client, 1, "list")
        await ask(client, 2, "put", device=[], revision="1")
        assert (await answer(client))["id"] == 2
        notebook.go.set()
        assert (await answer(client))["id"] == 1


async def test_a_failure_inside_is_told_as_one_and_the_conversation_goes_on(
    world: World, notebook: Notebook, caplog: pytest.LogCaptureFixture
) -> None:
    async with world.client() as client:
        notebook.fails = RuntimeError("nobody foresaw this")
        await ask(client, 1, "list")
        assert "log says more" in (await answer(client))["error"]["message"]
        assert "nobody foresaw this" in caplog.text
        notebook.fails = ConfigureError("invalid", "x" * 5000, "link")
        await ask(client, 2, "list")
        error = (await answer(client))["error"]
        assert (error["code"], error["field"], len(error["message"])) == ("invalid", "link", 501)


async def test_no_client_has_more_than_its_share(world: World, notebook: Notebook) -> None:
    notebook.go.clear()
    async with world.client() as client, world.client() as other:
        for number in range(5):
            await ask(client, number, "list")
        said = await answer(client)
        assert (said["id"], said["error"]["code"]) == (4, "busy")
        await ask(other, 1, "list")
        await ask(other, 2, "list")
        await ask(other, 3, "list")
        said = await answer(other)
        assert (said["id"], said["error"]["code"]) == (3, "busy"), "six are all that are worked on at once"
        notebook.go.set()
        assert sorted([(await answer(client))["id"] for _ in range(4)]) == [0, 1, 2, 3]


async def test_a_client_that_leaves_ends_its_test_and_not_its_change(world: World, notebook: Notebook) -> None:
    notebook.go.clear()
    async with world.client() as client:
        await ask(client, 1, "test", device={"id": "a"})
        await ask(client, 2, "put", device={"id": "a"}, revision="1")
        async with asyncio.timeout(5):
            while len(notebook.asked) < 2:
                await asyncio.sleep(0)
    async with asyncio.timeout(5):
        while not notebook.cancelled:
            await asyncio.sleep(0)
    async with world.client() as client:
        await ask(client, 3, "list")
        notebook.go.set()
        assert (await answer(client))["ok"]
    assert notebook.cancelled == 1


async def test_a_bridge_that_ends_gives_up_what_does_not(tmp_path: Path, notebook: Notebook) -> None:
    notebook.go.clear()
    async with configurable(tmp_path, notebook) as world, world.client() as client:
        await ask(client, 1, "list")
        async with asyncio.timeout(5):
            while not notebook.asked:
                await asyncio.sleep(0)
        await world.server.stop()
    assert notebook.cancelled == 1
