"""What the tests of the links share: a report that remembers, open ports, a line with somebody at its other end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from ridethrough.clock import SystemClock
from ridethrough.links.base import Conditions, Identity, Points
from ridethrough.links.megatec import link as link_module
from ridethrough.links.ports import SerialPorts
from ridethrough.site import Value

from .peers import MEGATEC, SerialPeer


class Notebook:
    """A report that keeps everything; the link runner's place is taken in tests that look at one link alone."""

    def __init__(self) -> None:
        self.points: dict[str, Value | None] = {}
        self.rare: dict[str, Value | None] = {}
        self.conditions: dict[str, bool] = {}
        self.identity: Identity | None = None
        self.counters: dict[str, int] = {}
        self.polls = 0
        self.gone: list[str] = []
        self.children: dict[tuple[str, str], Notebook] = {}
        self.names: dict[tuple[str, str], str] = {}
        self._news = asyncio.Event()

    def identified(self, identity: Identity) -> None:
        self.identity = identity
        self._news.set()

    def status(self, points: Points, conditions: Conditions | None = None) -> None:
        self.polls += 1
        self.points.update(points)
        self.conditions.update(conditions or {})
        self._news.set()

    def details(self, points: Points, conditions: Conditions | None = None) -> None:
        self.rare.update(points)
        self.conditions.update(conditions or {})
        self._news.set()

    def dropped(self, keys: list[str]) -> None:
        self.gone += keys
        self._news.set()

    def count(self, counter: str, amount: int = 1) -> None:
        self.counters[counter] = self.counters.get(counter, 0) + amount
        self._news.set()

    def child(self, kind: str, number: str, name: str) -> Notebook:
        self.names[kind, number] = name
        return self.children.setdefault((kind, number), Notebook())

    def together(self) -> AbstractContextManager[None]:
        return nullcontext()

    async def until_poll(self, more: int = 1) -> None:
        """Wait for so many further status polls."""
        await self.until(lambda polls=self.polls + more: self.polls >= polls)

    async def until_condition(self, key: str, active: bool = True) -> None:
        """Wait until a condition is so."""
        await self.until(lambda: self.conditions.get(key) is active)

    async def until_counted(self, counter: str, amount: int = 1) -> None:
        """Wait until something has been counted so often."""
        await self.until(lambda: self.counters.get(counter, 0) >= amount)

    async def until(self, holds: object) -> None:
        assert callable(holds)
        while not holds():
            self._news.clear()
            await self._news.wait()


@pytest.fixture
async def ports() -> AsyncIterator[SerialPorts]:
    """Own ports, and close them at the end."""
    owner = SerialPorts(SystemClock())
    yield owner
    await owner.close()


@pytest.fixture
async def peer(tmp_path: Path) -> AsyncIterator[SerialPeer]:
    """Put a Megatec UPS at the other end of a line."""
    async with SerialPeer(tmp_path, MEGATEC) as equipment:
        yield equipment


@pytest.fixture
def notebook() -> Notebook:
    """Give a report that keeps everything."""
    return Notebook()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Believe the first status after a command, for equipment that never changes its status."""
    monkeypatch.setattr(link_module, "CONFIRMATION", 0.0)
