"""`ridethrough agent`, as a person runs it beside a running bridge."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
import os
from pathlib import Path
import re
import signal
import subprocess
import sys

import pytest

from tests.bridge.feeds.rig import free_port

from .peer import pair
from .rig import Bridge, a_bridge

ROOT = Path(__file__).parents[3]


def written(folder: Path, port: int) -> Path:
    """Write a configuration with one computer."""
    file = folder / "bridge.yaml"
    file.write_text(
        f"name: Server room\ndata: {folder}\nagents:\n  port: {port}\n"
        "  computers:\n    - id: nas\n      name: Storage\n      host: 127.0.0.1\n"
    )
    return file


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `ridethrough agent` to its end."""
    command = [sys.executable, "-m", "ridethrough", "agent", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30, env=environment())


def environment() -> dict[str, str]:
    """Let a process find the bridge."""
    return os.environ | {"PYTHONPATH": f"{ROOT / 'bridge'}{os.pathsep}{ROOT}", "COLUMNS": "120"}


class Inviting:
    """`ridethrough agent invite`, running."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def says(self, pattern: str) -> str:
        """Read until a line has this in it."""
        assert self.process.stdout is not None
        async with asyncio.timeout(20):
            while line := (await self.process.stdout.readline()).decode():
                if re.search(pattern, line):
                    return line.strip()
        raise AssertionError(f"it never said {pattern}")


@asynccontextmanager
async def inviting(config: Path) -> AsyncIterator[Inviting]:
    """Invite the computer."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ridethrough", "agent", "invite", "nas", "--config", str(config)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(),
    )
    try:
        yield Inviting(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_an_agent_is_paired_beside_a_running_bridge_listed_and_forgotten(tmp_path: Path) -> None:
    port = free_port()
    config = written(tmp_path, port)
    async with a_bridge(tmp_path) as bridge:
        assert "not paired" in (await asyncio.to_thread(run, "list", "--config", str(config))).stdout
        async with inviting(config) as process:
            code = await process.says(r"^ +[A-Z2-7]{4}(-[A-Z2-7]{4}){5}$")
            assert "valid for 10 minutes" in await process.says("valid")
            assert f"port {port} of 127.0.0.1" in await process.says("listens")
            answer = await pair("127.0.0.1", port, code, port=7004)
            assert (answer["agent"], answer["name"]) == (bridge.id(), "Storage")
            assert answer["bridge"]["name"] == "Server room"
            assert "Storage is paired: nas.local at 127.0.0.1, agent 1.0.0." in await process.says("paired:")
            assert "Write `port: 7004` under nas." in await process.says("7004")
            assert await process.process.wait() == 0
        assert "with nas.local at 127.0.0.1" in (await asyncio.to_thread(run, "list", "--config", str(config))).stdout
        forgotten = await asyncio.to_thread(run, "forget", "nas", "--config", str(config))
        assert (forgotten.returncode, "nas is forgotten" in forgotten.stdout) == (0, True)
        assert await bridge.pairings.all() == {}


async def test_ctrl_c_ends_an_invitation(tmp_path: Path) -> None:
    async with inviting(written(tmp_path, free_port())) as process:
        await process.says("Ctrl-C")
        process.process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.process.wait(), 10) == 130


async def test_two_invitations_do_not_go_together(tmp_path: Path) -> None:
    config = written(tmp_path, free_port())
    async with inviting(config) as process:
        await process.says("Ctrl-C")
        second = await asyncio.to_thread(run, "invite", "nas", "--config", str(config))
    assert second.returncode == 1
    assert "cannot be listened on" in second.stderr
    assert "Is another invitation open?" in second.stderr


async def test_forgetting_all_begins_anew(bridge: Bridge) -> None:
    await bridge.paired(start=False)
    config = written(bridge.world.folder, free_port())
    done = await asyncio.to_thread(run, "forget", "--all", "--config", str(config))
    assert (done.returncode, "All agents are forgotten" in done.stdout) == (0, True)
    assert await bridge.pairings.all() == {}
    assert await bridge.pairings.authority() is None
    assert list((bridge.world.folder / "agents").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(["invite"], "Say which computer to pair", id="whom"),
        pytest.param(["invite", "pc"], "There is no computer pc under agents: computers:", id="unknown"),
        pytest.param(["forget"], "Say which agent to forget", id="forget-whom"),
        pytest.param(["forget", "nas", "--all"], "Say which agent to forget", id="one-or-all"),
        pytest.param(["forget", "nas"], "nas is not paired", id="not-paired"),
        pytest.param(["list", "--all"], "--all belongs to ridethrough agent forget", id="list-all"),
    ],
)
def test_what_cannot_be_meant_is_told(tmp_path: Path, arguments: list[str], told: str) -> None:
    done = run(*arguments, "--config", str(written(tmp_path, 6005)))
    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_help_says_how_a_computer_is_protected() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert "To protect a computer:" in done.stdout
