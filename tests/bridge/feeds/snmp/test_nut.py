"""Debian's NUT asks the agent: its driver snmp-ups, and upsc behind it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
import os
from pathlib import Path
import subprocess

import pytest

from tests.bridge.feeds.rig import World, free_port
from tests.strangers import peer

from .agents import PASSWORD, READ, SECRET, Agent, config, serving, user

pytestmark = pytest.mark.peer

V3 = (
    "snmp_version = v3\n secLevel = authPriv\n secName = user_sha_aes\n authProtocol = SHA\n privProtocol = AES\n"
    f" authPassword = {PASSWORD}\n privPassword = {SECRET}\n"
)
VERSIONS = {
    "v1": f"snmp_version = v1\n community = {READ}\n",
    "v2c": f"snmp_version = v2c\n community = {READ}\n",
    "v3": V3,
}


class Nut:
    """An upsd with one snmp-ups."""

    def __init__(self, folder: Path, agent: Agent, options: str) -> None:
        self.folder = folder
        self.port = free_port()
        self._processes: list[subprocess.Popen[bytes]] = []
        state = folder / "state"
        state.mkdir(parents=True)
        for parent in (folder, state):
            parent.chmod(0o700)
        written = {
            "nut.conf": "MODE=standalone\n",
            "upsd.conf": f"LISTEN 127.0.0.1 {self.port}\nMAXAGE 10\n",
            "upsd.users": "",
            "ups.conf": "maxretry = 1\npollinterval = 1\n"
            f"[ours]\n driver = snmp-ups\n port = 127.0.0.1:{agent.port}\n mibs = ietf\n pollfreq = 1\n {options}",
        }
        for name, content in written.items():
            (folder / name).write_text(content)
            (folder / name).chmod(0o600)
        self._environment = os.environ | {
            "NUT_CONFPATH": str(folder),
            "NUT_STATEPATH": str(state),
            "NUT_ALTPIDPATH": str(state),
            "NUT_PIDPATH": str(state),
            "MIBS": "",
        }

    def start(self) -> None:
        """Run both."""
        account = ["-u", "root"] if os.geteuid() == 0 else []
        for program, *arguments in (["snmp-ups", "-FF", "-a", "ours"], ["upsd", "-FF"]):
            found = Path("/lib/nut") / program
            with (self.folder / f"{program}.log").open("ab") as log:
                self._processes.append(
                    subprocess.Popen(
                        [found if found.exists() else peer(program), *account, *arguments],
                        stdout=log,
                        stderr=log,
                        stdin=subprocess.DEVNULL,
                        env=self._environment,
                    )
                )

    def end(self) -> None:
        """End both."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait(10)

    async def variables(self) -> dict[str, str]:
        """Run upsc."""
        process = await asyncio.create_subprocess_exec(
            peer("upsc"),
            f"ours@127.0.0.1:{self.port}",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        out, _ = await process.communicate()
        return dict(line.split(": ", 1) for line in out.decode().splitlines() if ": " in line)

    async def until(self, status: str) -> dict[str, str]:
        """Wait until it says this status."""
        told: dict[str, str] = {}
        try:
            async with asyncio.timeout(30):
                while set((told := await self.variables()).get("ups.status", "").split()) != set(status.split()):
                    await asyncio.sleep(0.1)
        except TimeoutError:
            logs = "\n".join(path.read_text(errors="replace") for path in self.folder.glob("*.log"))
            raise AssertionError(f"it says {told}\n{logs}") from None
        return told


@asynccontextmanager
async def nut(folder: Path, agent: Agent, options: str) -> AsyncIterator[Nut]:
    """Run NUT against the agent."""
    for program in ("upsd", "snmp-ups", "upsc"):
        peer(program)
    made = Nut(folder, agent, options)
    try:
        made.start()
        yield made
    finally:
        await asyncio.to_thread(made.end)


@pytest.mark.parametrize("options", VERSIONS.values(), ids=list(VERSIONS))
async def test_upsc_shows_the_ups_on_mains_on_battery_and_low(world: World, tmp_path: Path, options: str) -> None:
    ups = world.ups()
    world.post(ups, {"output.current": 3.9, "battery.temperature": 24.0, "ups.realpower": 870.0})
    async with (
        serving(world, config(users=(user("sha", "aes"),))) as agent,
        nut(tmp_path / "nut", agent, options) as one,
    ):
        told = await one.until("OL")
        wanted = {
            "ups.mfr": "Example",
            "ups.model": "UPS 3000",
            "battery.charge": "100",
            "battery.runtime": "1800",
            "battery.voltage": "54.60",
            "input.frequency": "50",
            "input.voltage": "230",
            "output.voltage": "229",
            "output.current": "3.90",
            "ups.load": "30",
            "output.realpower": "870",
        }
        for key, value in wanted.items():
            assert float(told[key]) == float(value) if value[0].isdigit() else told[key] == value, (key, told)
        world.post(ups, {"ups.mode": "battery", "battery.charge": 80.0}, {"on_battery": True})
        told = await one.until("OB")
        assert float(told["battery.charge"]) == 80
        world.post(ups, {"battery.status": "low"}, {"battery_low": True})
        await one.until("OB LB")
        world.post(ups, {"ups.mode": "line", "battery.status": "normal"}, {"on_battery": False, "battery_low": False})
        await one.until("OL")
