"""The whole thing as real processes: simulator, bridge, agents and Home Assistant in one folder, started in order."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
import json
from pathlib import Path
import secrets
import shutil
import subprocess
import sys

import aiohttp

from .battery import Room
from .computers import Computer, wake
from .faces import FACES, Face
from .feeds import Feeds, free_port
from .homeassistant import connected
from .process import Process, ProcessFailed
from .upsd import Upsd

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
DOMAIN = "ridethrough"
UPS = "rack-ups"
UPS_NAME = "Rack UPS"
USER = "demo"
COMPUTERS = ("web", "nas")


@dataclass(slots=True)
class Stack:
    """Simulator (unless a real upsd is given), bridge, agents and Home Assistant under one folder."""

    folder: Path
    upsd: str | None = None
    """`HOST:PORT/UPS` of a real upsd; then no simulator runs."""
    face: Face = FACES["megatec"]
    """How the simulated UPS is reached."""
    blocks: int = 0
    """Battery blocks that are watched one by one; none without."""
    http_port: int = field(default_factory=free_port)
    api_port: int = field(default_factory=free_port)
    control_port: int = field(default_factory=free_port)
    ups_port: int = field(default_factory=free_port)
    trap_port: int = field(default_factory=free_port)
    pairing_port: int = field(default_factory=free_port)
    battery_port: int = field(default_factory=free_port)
    feeds: Feeds = field(default_factory=Feeds)
    password: str = field(default_factory=lambda: secrets.token_urlsafe(9))
    token: str = ""

    tools: Upsd = field(init=False)
    simulator: Process = field(init=False)
    bridge: Process = field(init=False)
    home_assistant: Process = field(init=False)
    computers: Mapping[str, Computer] = field(init=False)
    waking: asyncio.Task[None] | None = None
    room: Room | None = field(init=False, default=None)
    battery: Process | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Say how each process is run."""
        self.folder.mkdir(parents=True, exist_ok=True)
        ridethrough = [sys.executable, "-m", "ridethrough"]
        self.simulator = Process(
            "The simulator",
            [
                *(sys.executable, "-m", "ridethrough.sim", "--scenario", str(HERE / "small_battery.yaml")),
                *("--device", self.face.device, "--control", f"127.0.0.1:{self.control_port}"),
                *map(self._placed, self.face.where),
            ],
            self.folder / "simulator.log",
        )
        if self.blocks:
            self.room = Room(self.blocks, self.folder, self.battery_port)
            self.battery = self.room.simulator()
        self.tools = Upsd(self.folder, self.line, self.ups_port)
        self.bridge = Process("The bridge", [*ridethrough, "run", str(self.bridge_config)], self.folder / "bridge.log")
        self.home_assistant = Process(
            "Home Assistant",
            [sys.executable, "-m", "homeassistant", "--config", str(self.ha_folder), "--skip-pip"],
            self.folder / "homeassistant.log",
        )
        self.computers = {key: Computer(key, self.folder / key) for key in COMPUTERS}

    @property
    def line(self) -> Path:
        """The simulated serial port."""
        return self.folder / "ttyUPS"

    @property
    def bridge_config(self) -> Path:
        """The bridge's configuration file."""
        return self.folder / "ridethrough.yaml"

    @property
    def ha_folder(self) -> Path:
        """Home Assistant's configuration folder."""
        return self.folder / "homeassistant"

    @property
    def url(self) -> str:
        """Where Home Assistant is."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def control_url(self) -> str:
        """Where the simulator is controlled."""
        return f"http://127.0.0.1:{self.control_port}"

    async def start_simulator(self) -> None:
        """Run the simulated UPS and wait until it answers."""
        await self.simulator.start()
        await self.simulator.wait_until(lambda text: "ready" in text, 20)
        if self.face.upsd:
            await self.tools.start()

    async def start_battery(self) -> None:
        """Run the simulated battery room, if there is one, and wait until it answers."""
        if self.battery is not None:
            await self.battery.start()
            await self.battery.wait_until(lambda text: "ready" in text, 20)

    async def start_bridge(self) -> None:
        """Write its configuration, make a token for Home Assistant, run it and wait until it is healthy."""
        link = self._placed(self.face.link) if self.upsd is None else f"nut://{self.upsd}"
        written = (HERE / "ridethrough.yaml").read_text()
        self.bridge_config.write_text(
            written.format(
                link=link,
                id=UPS,
                name=UPS_NAME,
                data=self.folder / "bridge",
                api_port=self.api_port,
                pairing_port=self.pairing_port,
                **{f"{key}_port": computer.port for key, computer in self.computers.items()},
            )
            + self._placed(self.face.settings)
            + ("" if self.room is None else self.room.settings)
            + self.feeds.settings
        )
        if not self.token:
            made = await asyncio.to_thread(
                subprocess.run,
                [
                    *(sys.executable, "-m", "ridethrough", "token", "create", "home-assistant"),
                    *("--role", "admin", "--config", str(self.bridge_config)),
                ],
                check=False,
                capture_output=True,
                text=True,
            )
            if made.returncode:
                raise ProcessFailed(f"No token could be made:\n{made.stderr}")
            self.token = made.stdout.strip().splitlines()[-1]
        await self.bridge.start()
        await self._answering(f"http://127.0.0.1:{self.api_port}/api/v1/health", self.bridge, 30)

    async def start_computers(self) -> None:
        """Pair their agents with the running bridge, run them, and start again what the bridge wakes."""
        for computer in self.computers.values():
            await computer.pair(self.pairing_port, self.bridge_config)
            await computer.agent.start()
        journal = f"http://127.0.0.1:{self.api_port}/api/v1/events.csv"
        self.waking = asyncio.create_task(wake(self.computers.values(), journal, self.token))

    async def start_home_assistant(self) -> None:
        """Run Home Assistant and wait until its web server answers."""
        if not self.ha_folder.exists():
            self._write_ha_folder()
        await self.home_assistant.start()
        await self._answering(f"{self.url}/manifest.json", self.home_assistant, 180)

    async def add_entry(self) -> Mapping[str, object]:
        """Create the first user and add the integration through its config flow, as a person would."""
        answer = {"host": "127.0.0.1", "port": self.api_port, "token": self.token}
        async with connected(self.url, USER, self.password, first=True) as home_assistant:
            step = await home_assistant.add_integration(DOMAIN, answer)
        if step.get("type") != "create_entry":
            raise ProcessFailed(f"The integration could not be added: {json.dumps(step, indent=2)}")
        return step

    async def stop(self) -> None:
        """End everything, the last started first."""
        if self.waking is not None:
            self.waking.cancel()
        await self.home_assistant.stop()
        await self.bridge.stop()
        for computer in self.computers.values():
            await computer.agent.stop()
        await self.tools.stop()
        if self.battery is not None:
            await self.battery.stop()
        await self.simulator.stop()

    def _placed(self, text: str) -> str:
        return text.format(line=self.line, port=self.ups_port, traps=self.trap_port)

    def _write_ha_folder(self) -> None:
        storage = self.ha_folder / ".storage"
        storage.mkdir(parents=True)
        # Only the first step of onboarding is taken, the user's; the others would ask the internet for a location.
        done = ["core_config", "analytics", "integration"]
        _store(storage / "onboarding", 4, 1, {"done": done})
        # An address in configuration.yaml would be on trial for five minutes and then taken back.
        http: dict[str, object] = {
            "server_host": ["127.0.0.1"],
            "server_port": self.http_port,
            "created_at": "2026-01-01T00:00:00+00:00",
        }
        http |= {"cors_allowed_origins": [], "login_attempts_threshold": -1, "ip_ban_enabled": True}
        http |= {"ssl_profile": "modern", "use_x_frame_options": True, "error": None, "error_message": None}
        stable = {"stable": http, "pending": None, "yaml_migration_done": True}
        _store(storage / "http", 2, 2, stable)
        for file in ("configuration.yaml", "dashboard.yaml"):
            shutil.copy(HERE / file, self.ha_folder / file)
        if self.room is not None:
            with (self.ha_folder / "dashboard.yaml").open("a") as dashboard:
                dashboard.write((HERE / "battery.yaml").read_text())
        # What a person makes in the editors, from our blueprints or without.
        (self.ha_folder / "automations.yaml").write_text("[]\n")
        (self.ha_folder / "scripts.yaml").write_text("{}\n")
        shutil.copytree(ROOT / "blueprints", self.ha_folder / "blueprints")
        components = self.ha_folder / "custom_components"
        components.mkdir()
        (components / DOMAIN).symlink_to(ROOT / "custom_components" / DOMAIN)

    @staticmethod
    async def _answering(url: str, process: Process, seconds: float) -> None:
        end = asyncio.get_running_loop().time() + seconds
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            while process.running and asyncio.get_running_loop().time() < end:
                try:
                    async with session.get(url) as response:
                        if response.status == 200:
                            return
                except aiohttp.ClientError, TimeoutError:
                    pass
                await asyncio.sleep(0.1)
        raise ProcessFailed(f"{process.name} does not answer at {url}:\n{process.tail()}")


def _store(path: Path, version: int, minor_version: int, data: Mapping[str, object]) -> None:
    """Write a file as Home Assistant keeps its settings."""
    whole = {"version": version, "minor_version": minor_version, "key": path.name, "data": data}
    path.write_text(json.dumps(whole))
