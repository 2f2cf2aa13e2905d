"""The server room of the case study: the UPS, the bridge, the computers and their power, as real processes."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
import csv
from dataclasses import dataclass, field
import io
import json
import os
from pathlib import Path
import shutil
import socket
import sys
from typing import Any

import aiohttp

from scripts.demonstration.feeds import free_port
from scripts.demonstration.process import Process, ProcessFailed
from scripts.demonstration.simulator import Simulator

from . import configuration
from .computers import BOOT, COMPUTERS, SCRIPT, Model
from .configuration import Way
from .pace import Pace, QuickClock

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {"PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("bridge", "bridge/agent", "."))}
WAKE_PORT = 9
SUPPLIED = 0.3
"""Real seconds between two looks at whether the UPS still feeds anything."""
_HURRIED = (sys.executable, "-m", "tests.e2e.case_study.hurried")


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that has happened, at a second of the story."""

    second: float
    what: str
    who: str = ""


@dataclass(slots=True)
class Computer:
    """One computer with its power button and its network cable."""

    model: Model
    process: Process
    log: Path
    on: bool = False
    going: bool = False
    """Whether it has begun to shut down."""
    booting: bool = False
    reachable: bool = True
    hole: list[socket.socket] = field(default_factory=list)
    """What swallows connections while the network does not work."""


class NoNetwork(Exception):
    """Magic packets cannot be heard on this machine."""


class Rig:
    """Everything in one folder. `network` is a hundred and more addresses of the loopback that nobody else uses."""

    def __init__(self, folder: Path, way: Way, network: str) -> None:
        """Prepare; `start` starts."""
        self.folder = folder
        self.way = way
        self.network = network
        folder.mkdir(parents=True, exist_ok=True)
        self.pace = Pace.create(folder / "pace")
        self.clock = QuickClock(self.pace)
        self.marks: list[Mark] = []
        self.api_port, self.control_port = free_port(), free_port()
        self._tasks: set[asyncio.Task[None]] = set()
        self._socket: asyncio.DatagramTransport | None = None
        self._pipe = -1
        self.config = folder / "ridethrough.yaml"
        self.computers: dict[str, Computer] = {}
        for model in COMPUTERS:
            home = folder / model.key
            command = [*_HURRIED, str(self.pace.path), "agent", "--config", str(home / "agent.ini"), "run"]
            process = Process(model.name, command, home / "output.log", ENVIRONMENT)
            self.computers[model.key] = Computer(model, process, home / "agent.log")
        self.bridge = Process(
            "The bridge",
            [*_HURRIED, str(self.pace.path), "bridge", str(self.config)],
            folder / "bridge.log",
            ENVIRONMENT,
        )
        self._simulator = Process(
            "The simulator",
            [
                *(sys.executable, "-m", "ridethrough.sim", "--design", "interactive-1000-packs", "--no-pacing"),
                *("--port", str(folder / "ttyUPS"), "--control", f"127.0.0.1:{self.control_port}"),
            ],
            folder / "simulator.log",
            ENVIRONMENT,
        )

    # Beginning and end

    def write(self) -> None:
        """Write all configurations."""
        self.config.write_text(
            configuration.bridge(self.way, self.folder, self.network, self.folder / "ttyUPS", self.api_port)
        )
        pipe, off = self.folder / "power", self.folder / "off.sh"
        with suppress(FileExistsError):
            os.mkfifo(pipe)
        configuration.power_button(off, pipe)
        for key, computer in self.computers.items():
            home = self.folder / key
            home.mkdir(exist_ok=True)
            (home / "agent.ini").write_text(configuration.agent(computer.model, home, self.network, off))

    async def start(self, papers: Path) -> None:
        """Have everything run, paired as in the folder `papers`, and wait until all agents are connected."""
        shutil.copytree(papers / "data", self.folder / "data")
        for key in self.computers:
            shutil.copytree(papers / key / "state", self.folder / key / "state")
        self.write()
        self.token = (papers / "token").read_text()
        await self._listen()
        await self._simulator.start()
        await self._simulator.wait_until(lambda text: "ready" in text, 20)
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        self.ups = Simulator(self._session, f"http://127.0.0.1:{self.control_port}")
        await self.ups.set(mains=True, charge=1.0, load=1.0)
        for computer in self.computers.values():
            await self._boot(computer)
        await self.start_bridge()
        self._keep(self._watch_supply())
        async with asyncio.timeout(60):
            while (await self.events()).count("agent_connected", edge="raised") < len(self.computers):
                await asyncio.sleep(0.2)

    async def stop(self) -> None:
        """End everything."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._pipe >= 0:
            asyncio.get_running_loop().remove_reader(self._pipe)
            os.close(self._pipe)
        if self._socket is not None:
            self._socket.close()
        for computer in self.computers.values():
            for hole in computer.hole:
                hole.close()
        await asyncio.gather(*(computer.process.kill() for computer in self.computers.values()))
        await self.bridge.stop()
        await self._simulator.stop()
        if hasattr(self, "_session"):
            await self._session.close()

    # Time

    async def speed(self, factor: float) -> None:
        """Let time pass so quickly from now on."""
        await self.ups.speed(factor)
        self.pace.factor = factor

    async def wait(self, seconds: float) -> None:
        """Let so much of the story pass."""
        await self.clock.sleep(seconds)

    async def until(self, so: Callable[[], bool], seconds: float) -> bool:
        """Wait until something is so, no longer than so much of the story; return whether it is."""
        end = self.pace.now() + seconds
        while not so() and self.pace.now() < end:
            await asyncio.sleep(0.02)
        return so()

    def mark(self, what: str, who: str = "") -> None:
        """Note what happens now."""
        self.marks.append(Mark(self.pace.now(), what, who))

    # Power and computers

    async def mains(self, *, on: bool) -> None:
        """Let power fail, or return."""
        self.mark("mains returns" if on else "mains fails")
        await self.ups.set(mains=on)

    async def charge(self) -> float:
        """Return the true charge in percent."""
        return 100.0 * float((await self.state())["charge"])

    async def state(self) -> Mapping[str, Any]:
        """Ask the simulator for the truth."""
        async with self._session.get(f"http://127.0.0.1:{self.control_port}/state") as response:
            found: Mapping[str, Any] = await response.json()
            return found

    def up(self) -> set[str]:
        """Return the keys of the computers that are on."""
        return {key for key, computer in self.computers.items() if computer.on}

    async def cut_off(self, key: str, how: str) -> None:
        """Let a computer be unreachable though it runs: `stopped`, `ended` (its agent) or `swallowed` (its network)."""
        computer = self.computers[key]
        computer.reachable = False
        self.mark(f"unreachable: {how}", key)
        if how == "stopped":
            computer.process.pause()
            return
        await computer.process.kill()
        if how == "swallowed":
            computer.hole = swallow(configuration.address(self.network, computer.model))

    async def _load(self) -> None:
        with suppress(aiohttp.ClientError):
            await self.ups.set(load=len(self.up()) / len(self.computers))

    async def _boot(self, computer: Computer) -> None:
        computer.on, computer.going, computer.booting = True, False, False
        await computer.process.start()

    async def _off(self, computer: Computer, after: float) -> None:
        """Shut a computer down: what its operating system does once the shutdown command has been run."""
        await self.clock.sleep(after)
        await computer.process.kill()
        computer.on = False
        self.mark("off", computer.model.key)
        await self._load()

    async def _on(self, computer: Computer) -> None:
        await self.clock.sleep(BOOT)
        self.mark("on", computer.model.key)
        await self._boot(computer)
        await self._load()

    async def switch_off(self, key: str) -> None:
        """Let its user go home."""
        self.mark("switched off by its user", key)
        await self._off(self.computers[key], self.computers[key].model.takes)

    async def switch_on(self, key: str) -> None:
        """Let its user press the power button."""
        self.mark("switched on by its user", key)
        self.computers[key].booting = True
        await self._on(self.computers[key])

    async def _watch_supply(self) -> None:
        """Take the power from all computers when the UPS gives none any more."""
        while True:
            await asyncio.sleep(SUPPLIED)
            with suppress(aiohttp.ClientError, TimeoutError):
                if (await self.state())["output_on"]:
                    continue
                for key in sorted(self.up()):
                    self.mark("power lost", key)
                    self.computers[key].on = False
                    await self.computers[key].process.kill()

    def _pressed(self) -> None:
        """Hear of shutdown commands."""
        for line in os.read(self._pipe, 65536).decode().splitlines():
            key, how = line.split()
            computer = self.computers[key]
            self.mark("script" if how == "script" else "shutdown command", key)
            if computer.going:
                continue
            computer.going = True
            after = computer.model.takes + (SCRIPT if how == "script" else 0.0)
            self._keep(self._off(computer, after))

    def _woken(self, key: str) -> None:
        self.mark("magic packet", key)
        computer = self.computers[key]
        if not computer.on and not computer.booting:
            computer.booting = True
            self._keep(self._on(computer))

    async def _listen(self) -> None:
        rig = self

        class Wakened(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
                """Wake who is meant."""
                for key, computer in rig.computers.items():
                    if data == b"\xff" * 6 + bytes.fromhex(computer.model.mac.replace(":", "")) * 16:
                        rig._woken(key)

        loop = asyncio.get_running_loop()
        try:
            self._socket, _ = await loop.create_datagram_endpoint(
                Wakened, local_addr=(f"{self.network}.255", WAKE_PORT)
            )
        except PermissionError as error:
            raise NoNetwork(
                f"Magic packets go to UDP port {WAKE_PORT}, which may not be listened on: {error}"
            ) from error
        self._pipe = os.open(self.folder / "power", os.O_RDWR | os.O_NONBLOCK)
        loop.add_reader(self._pipe, self._pressed)

    def _keep(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # The bridge

    async def start_bridge(self) -> None:
        """Start it, and wait until it answers."""
        await self.bridge.start()
        async with asyncio.timeout(40):
            while True:
                with suppress(aiohttp.ClientError, TimeoutError):
                    async with self._session.get(f"http://127.0.0.1:{self.api_port}/api/v1/health"):
                        return
                if not self.bridge.running:
                    raise ProcessFailed(f"The bridge has ended:\n{self.bridge.tail()}")
                await asyncio.sleep(0.05)

    async def kill_bridge(self) -> None:
        """Kill it and start it again, as its service manager does: it is away for some seconds."""
        before = self.pace.factor
        self.mark("bridge killed")
        await self.bridge.kill()
        await self.speed(min(before, 4.0))
        await self.start_bridge()
        self.mark("bridge runs again")
        await self.speed(before)

    async def command(self, device: str, command: str, **arguments: float | str) -> str:
        """Give a command as a person does, by the API; returns what is said of it."""
        url = f"http://127.0.0.1:{self.api_port}/api/v1/ws"
        async with self._session.ws_connect(url) as socket:
            await socket.receive_json()
            await socket.send_json({"type": "auth", "token": self.token, "api": 1})
            await socket.receive_json()
            await socket.send_json({"type": "subscribe", "events_after": None})
            ids: dict[str, str] = {}
            async for message in socket:
                said = json.loads(message.data)
                if said["type"] == "snapshot":
                    ids = {one["key"]: one["id"] for one in said["devices"]}
                    await socket.send_json(
                        {"type": "command", "id": 1, "device": ids[device], "command": command, "arguments": arguments}
                    )
                elif said["type"] == "result":
                    if not said["ok"]:
                        raise RuntimeError(f"{device} {command}: {said['error']}")
                    return str(said.get("message", ""))
        raise RuntimeError("The bridge has hung up.")

    async def events(self) -> Journal:
        """Read the journal."""
        url = f"http://127.0.0.1:{self.api_port}/api/v1/events.csv"
        async with self._session.get(url, headers={"Authorization": f"Bearer {self.token}"}) as response:
            response.raise_for_status()
            return Journal(list(csv.DictReader(io.StringIO(await response.text()))))


@dataclass(frozen=True, slots=True)
class Journal:
    """The event log, as it is downloaded."""

    rows: list[dict[str, str]]

    def of(self, key: str, **cells: str) -> list[dict[str, Any]]:
        """Return the rows with this key and these cells, with `details` read."""
        return [
            row | {"details": json.loads(row["details"] or "{}")}
            for row in self.rows
            if row["key"] == key and all(row[name] == value for name, value in cells.items())
        ]

    def count(self, key: str, **cells: str) -> int:
        """Count them."""
        return len(self.of(key, **cells))


def swallow(host: str, port: int = 6004) -> list[socket.socket]:
    """Have an address that answers nothing at all: its queue is full, and the system drops what comes."""
    server = socket.create_server((host, port), backlog=0)
    held = [server]
    for _ in range(3):
        knocking = socket.socket()
        knocking.setblocking(False)
        knocking.connect_ex((host, port))
        held.append(knocking)
    return held


__all__ = ["ENVIRONMENT", "Computer", "Journal", "Mark", "NoNetwork", "Rig"]
