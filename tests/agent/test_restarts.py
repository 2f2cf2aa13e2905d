"""Killed, restarted, with a full or a damaged disk, with a wall clock that jumps."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
import json
import os
from pathlib import Path
import subprocess

import pytest

from tests.agent.conftest import Paired, pair
from tests.agent.sender import Authority
from tests.disks import fill, small_disk
from tests.peers.shutdown_agent import ShutdownAgent, until


async def test_pending_shutdown_goes_on_after_the_process_was_killed(paired: Paired) -> None:
    async with paired.sender() as sender:
        await sender.command("shutdown", {"delay": 1.5, "reason": "outage"})
    paired.agent.kill()
    paired.agent.start()
    await paired.agent.until_down()
    assert len(paired.agent.downs) == 1
    assert "wanted by Server room: outage" in paired.agent.log


async def test_shutdown_that_became_due_while_no_agent_ran_is_done_at_once(paired: Paired) -> None:
    async with paired.sender() as sender:
        await sender.command("shutdown", {"delay": 0.4})
    paired.agent.kill()
    await asyncio.sleep(0.5)
    paired.agent.start()
    await paired.agent.until_down()


async def test_vote_of_before_the_computer_started_means_nothing(paired: Paired) -> None:
    async with paired.sender() as sender:
        await sender.command("shutdown", {"delay": 1})
    paired.agent.kill()
    file = paired.agent.state / "state.json"
    content = json.loads(file.read_text())
    assert content["votes"]
    file.write_text(json.dumps({**content, "boot": "an earlier one"}))
    paired.agent.start()
    await paired.agent.until_listening()
    async with paired.sender() as sender:
        assert (sender.state, sender.hello["seq"]) == ("up", 1)
        await asyncio.sleep(1.2)
        assert paired.agent.alive


async def test_number_is_on_the_disk_before_the_command_is_answered(paired: Paired) -> None:
    async with paired.sender() as sender:
        for seq in range(1, 6):
            await sender.command("drill")
            content = json.loads((paired.agent.state / "state.json").read_text())
            assert content["senders"][paired.bridges[0][0].id]["seq"] == seq


async def test_killed_at_any_moment_it_comes_back_whole(paired: Paired) -> None:
    """Every number that was answered is remembered, whenever the process was killed."""
    answered = 0
    for round_ in range(4):
        async with paired.sender() as sender:
            assert sender.hello["seq"] >= answered
            for _ in range(3 + round_):
                assert (await sender.command("drill"))["ok"]
                answered = sender.seq
            sender.send(sender.frame("drill"))
            paired.agent.kill()
        paired.agent.start()
        await paired.agent.until_listening()
    assert "damaged" not in paired.agent.log


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b'{"boot": "x"}',
        b'{"boot":"x","senders":{"a":{"seq":-1,"alive":0}},"votes":{}}',
        b'{"boot":"x","senders":{"a":{"seq":"9","alive":0}},"votes":{}}',
        b"[" * 100_000,
    ],
    ids=["empty", "cut_off", "binary", "list", "incomplete", "negative", "text", "nested"],
)
async def test_damaged_file_is_put_aside(paired: Paired, content: bytes) -> None:
    assert paired.agent.stop() == 0
    file = paired.agent.state / "state.json"
    file.write_bytes(content)
    assert paired.agent.call("status").returncode == 0
    assert file.read_bytes() == content
    paired.agent.start()
    await paired.agent.until_listening()
    async with paired.sender() as sender:
        assert (await sender.command("drill"))["ok"]
    assert file.with_name("state.json.damaged").read_bytes() == content
    assert "beginning anew" in paired.agent.log


async def test_damaged_pairing_costs_only_that_pairing(agents: Callable[..., ShutdownAgent], tmp_path: Path) -> None:
    paired = pair(agents(), Authority(tmp_path / "a", "A"), Authority(tmp_path / "b", "B"))
    folder = paired.agent.state / "bridges"
    (folder / f"{paired.bridges[0][0].id}.pem").write_text("Bridge: nonsense\n")
    good = (folder / f"{paired.bridges[1][0].id}.pem").read_text()
    other = "00000000-0000-0000-0000-00000000000a"
    (folder / f"{other}.pem").write_text(good.replace(paired.bridges[1][0].id, other).split("-----END")[0])
    check = paired.agent.call("check")
    assert check.returncode == 1
    assert "is damaged" in check.stdout + check.stderr
    paired.agent.start()
    await paired.agent.until_listening()
    async with paired.sender(1) as sender:
        assert (await sender.command("drill"))["ok"]
    assert "is damaged" in paired.agent.log


async def test_full_disk_stops_no_shutdown(
    agents: Callable[..., ShutdownAgent], authority: Authority, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk") as disk:
        agent = agents(sections={"agent": f"state = {disk / 'state'}\nlog = {disk / 'agent.log'}"})
        agent.state, agent.log_file = disk / "state", agent.folder / "stderr"
        paired = pair(agent, authority)
        agent.start()
        await agent.until_listening()
        async with paired.sender() as sender:
            filler = fill(disk)
            assert (await sender.command("drill"))["ok"]
            assert (await sender.give(sender.frame("drill", seq=1)))["code"] == "repeated"
            await agent.until_logged("cannot be written")
            filler.unlink()
            sender.seq = 5
            assert (await sender.command("drill"))["ok"]
            await agent.until_logged("can be written again")
            fill(disk)
            assert (await sender.command("shutdown"))["ok"]
            await agent.until_down()
        assert len(agent.downs) == 1


async def test_read_only_disk_stops_no_shutdown(
    agents: Callable[..., ShutdownAgent], authority: Authority, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk") as disk:
        agent = agents(sections={"agent": f"state = {disk / 'state'}\nlog = {disk / 'agent.log'}"})
        agent.state, agent.log_file = disk / "state", agent.folder / "stderr"
        paired = pair(agent, authority)
        await asyncio.to_thread(subprocess.run, ["mount", "-o", "remount,ro", str(disk)], check=True)
        agent.start()
        await agent.until_logged("Paired with Server room")
        await agent.until_listening()
        async with paired.sender() as sender:
            assert (await sender.command("shutdown"))["ok"]
            await agent.until_down()


async def test_wall_clock_that_jumps_changes_nothing(
    agents: Callable[..., ShutdownAgent], authority: Authority, tmp_path: Path
) -> None:
    """Delays and the window of commands are of the monotonic clock."""
    shim = tmp_path / "shim"
    shim.mkdir()
    offset = shim / "offset"
    offset.write_text("0")
    (shim / "sitecustomize.py").write_text(
        "import pathlib, time\nreal = time.time\n"
        f"time.time = lambda: real() + float(pathlib.Path({str(offset)!r}).read_text() or 0)\n"
        "time.time_ns = lambda: int(time.time() * 1e9)\n"
    )
    agent = agents()
    agent._environment["PYTHONPATH"] = f"{shim}:{agent._environment['PYTHONPATH']}"
    paired = pair(agent, authority)
    agent.start()
    await agent.until_listening()
    async with paired.sender() as sender:
        await sender.command("shutdown", {"delay": 2})
        offset.write_text("-86400000")
        assert (await sender.command("drill"))["ok"]
        offset.write_text("86400000")
        assert (await sender.command("drill"))["ok"]
        assert agent.alive
        await agent.until_down(6)
    # The log shows that the agent's wall clock did jump.
    assert len({line[:4] for line in agent.log.splitlines()}) == 3


async def test_second_agent_with_the_same_folder_does_not_start(paired: Paired) -> None:
    done = paired.agent.call("run")
    assert done.returncode == 1
    assert "an agent runs already" in done.stderr


async def test_port_that_is_taken_is_tried_for_again(
    agents: Callable[..., ShutdownAgent], authority: Authority
) -> None:
    first = agents("first")
    second = agents("second", first.address, port=first.port)
    paired = pair(second, authority)
    pair(first, authority)
    first.start()
    await first.until_listening()
    second.start()
    await second.until_logged("trying again")
    assert first.stop() == 0
    await second.until_logged("Listening on")
    async with paired.sender() as sender:
        assert (await sender.command("drill"))["ok"]


async def test_it_ends_when_it_is_asked_to(paired: Paired) -> None:
    async with paired.sender() as sender:
        assert paired.agent.stop() == 0
        await sender.until_closed()
    assert "Ridethrough agent ends" in paired.agent.log
    assert (paired.agent.folder / "stderr").read_text().count("Traceback") == 0


async def test_log_is_bounded(agents: Callable[..., ShutdownAgent], authority: Authority) -> None:
    """The file is turned over at a megabyte, four earlier ones are kept."""
    agent = agents()
    agent.log_file.write_text("x" * 999_950 + "\n")
    paired = pair(agent, authority)
    agent.start()
    await agent.until_listening()
    async with paired.sender() as sender:
        await sender.command("drill")
    await until((agent.folder / "agent.log.1").exists, "the log was turned over")
    assert agent.log_file.stat().st_size < 10_000


async def test_log_that_nobody_takes_stops_no_shutdown(paired: Paired) -> None:
    """As when the journal hangs with its disk: standard error is a pipe that is full."""
    agent = paired.agent
    agent.stop()
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writes, bytes(65536))
    os.set_blocking(writes, True)
    errors = agent.folder / "stderr"
    errors.unlink()
    errors.symlink_to(f"/proc/{os.getpid()}/fd/{writes}")
    try:
        agent.start()
        await agent.until_listening()
        async with paired.sender() as sender:
            assert (await sender.command("shutdown"))["ok"]
            await agent.until_down()
        assert len(agent.downs) == 1
        # What is not taken does not keep it from ending either.
        agent.start()
        await agent.until_listening()
        assert agent.stop() == 0
    finally:
        os.close(reads)
        os.close(writes)


async def test_disk_that_says_nothing_is_no_reason_to_forget_the_bridges(paired: Paired) -> None:
    folder = paired.agent.state / "bridges"
    async with paired.sender() as sender:
        await sender.command("shutdown", {"delay": 4})
        # Nothing in it can be read any more, as when the disk fails.
        folder.rename(folder.with_name("elsewhere"))
        folder.write_text("")
        await asyncio.sleep(1.5)  # longer than there is between two looks
    async with paired.sender() as sender:
        assert sender.hello["state"]["state"] == "shutting_down"
        await paired.agent.until_down()
