"""A running simulation on a real pseudo terminal, with time that is moved by hand, and a plain serial client."""

import asyncio
from collections.abc import AsyncIterator, Iterator
import contextlib
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import serial

from ridethrough.clock import ManualClock
from ridethrough.sim import DESIGNS, Scenario, Simulation
from ridethrough.sim.face import Place
from ridethrough.sim.scenario import STEADY


class Client:
    """A plain client: pyserial, one request after the other. Use it in a thread."""

    def __init__(self, path: Path, timeout: float = 1.0) -> None:
        self.port = serial.Serial(str(path), 2400, timeout=timeout, exclusive=True)

    def ask(self, request: bytes) -> bytes:
        self.port.write(request + b"\r")
        return bytes(self.port.read_until(b"\r"))

    def tell(self, request: bytes) -> None:
        """Order something; it is not answered, but a request that follows shows that it has been taken."""
        self.port.write(request + b"\rF\r")
        assert self.port.read_until(b"\r").startswith(b"#")


@contextlib.contextmanager
def client(path: Path | None, timeout: float = 1.0) -> Iterator[Client]:
    assert path is not None
    opened = Client(path, timeout)
    try:
        yield opened
    finally:
        opened.port.close()


class Bench:
    """Makes simulations and asks them things."""

    def __init__(self, folder: Path) -> None:
        self.link = folder / "ups"
        self.clock = ManualClock()

    @asynccontextmanager
    async def simulation(
        self, design: str = "interactive-1000", scenario: Scenario = STEADY, **options: object
    ) -> AsyncIterator[Simulation]:
        wanted: dict[str, object] = {"port": self.link, "baud": None}
        wanted |= {name: options.pop(name) for name in ("baud", "address", "trap") if name in options}
        place = Place(**wanted)  # type: ignore[arg-type] # as the test has it
        given = {"place": place, "clock": self.clock, **options}
        simulation = Simulation(DESIGNS[design], scenario, **given)  # type: ignore[arg-type]
        simulation.open()
        running = asyncio.create_task(simulation.run())
        try:
            yield simulation
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            simulation.close()  # a task that is cancelled before it has begun cleans nothing up

    async def ask(self, request: bytes, timeout: float = 1.0) -> bytes:
        """Come, ask once and go."""

        def visit() -> bytes:
            with client(self.link, timeout) as visitor:
                return visitor.ask(request)

        return await asyncio.to_thread(visit)

    async def tell(self, request: bytes) -> None:
        """Come, order something and go."""

        def visit() -> None:
            with client(self.link) as visitor:
                visitor.tell(request)

        await asyncio.to_thread(visit)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)
