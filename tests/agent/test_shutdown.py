"""From the order to the computer that is down, and back."""

import asyncio
from collections.abc import Callable

import pytest

from tests.agent.conftest import Paired, pair
from tests.agent.sender import Authority
from tests.peers.shutdown_agent import ShutdownAgent, until


async def test_it_goes_down_when_its_bridge_says_so_and_is_up_after_it_was_started(paired: Paired) -> None:
    async with paired.sender() as sender:
        assert sender.state == "up"
        answer = await sender.command("shutdown", {"delay": 0, "reason": "8 minutes on battery"})
        assert answer["ok"], answer
        await paired.agent.until_down()
        await sender.until_closed()
    assert len(paired.agent.downs) == 1
    assert "wanted by Server room: 8 minutes on battery" in paired.agent.log
    paired.agent.start()
    await paired.agent.until_listening()
    async with paired.sender() as sender:
        assert sender.state == "up"
        assert sender.hello["seq"] == 1
        await asyncio.sleep(1.2)
        assert paired.agent.alive


async def test_delay_passes_before_the_command_and_repeating_does_not_put_it_off(paired: Paired) -> None:
    async with paired.sender() as sender:
        began = asyncio.get_running_loop().time()
        await sender.command("shutdown", {"delay": 1.5})
        state = await sender.until_state("shutting_down")
        assert 0 < state["delay"] <= 1.5
        assert (state["senders"], state["needed"]) == (["Server room"], 1)
        await asyncio.sleep(0.5)
        assert (await sender.command("shutdown", {"delay": 60}))["ok"]
        await paired.agent.until_down()
        assert 1.4 < asyncio.get_running_loop().time() - began < 6


async def test_wakeup_withdraws_as_long_as_the_command_has_not_been_run(paired: Paired) -> None:
    async with paired.sender() as sender:
        await sender.command("shutdown", {"delay": 0.5})
        await sender.until_state("shutting_down")
        answer = await sender.command("wakeup")
        assert (answer["ok"], answer["message"]) == (True, "withdrawn")
        await sender.until_state("up")
        assert (await sender.command("wakeup"))["message"] == "there was nothing to withdraw"
        await asyncio.sleep(0.8)
    assert paired.agent.alive
    assert paired.agent.downs == []


async def test_wakeup_is_refused_once_the_command_runs(
    agents: Callable[..., ShutdownAgent], authority: Authority
) -> None:
    paired = pair(agents(going_down=1.0), authority)
    paired.agent.start()
    await paired.agent.until_listening()
    async with paired.sender() as sender:
        await sender.command("shutdown")
        await paired.agent.until_logged("Shutting down, wanted by")
        assert (await sender.command("shutdown"))["message"] == "already shutting down"
        answer = await sender.command("wakeup")
        assert (answer["ok"], answer["code"]) == (False, "refused")
        await paired.agent.until_down()


async def test_vote_that_was_repeated_late_does_not_bring_it_down_after_its_start(
    agents: Callable[..., ShutdownAgent], authority: Authority
) -> None:
    """The bridge repeats its order while the command runs; what comes up afterwards knows nothing of it."""
    paired = pair(agents(going_down=0.5), authority)
    paired.agent.start()
    await paired.agent.until_listening()
    async with paired.sender() as sender:
        await sender.command("shutdown")
        await paired.agent.until_logged("Shutting down, wanted by")
        assert (await sender.command("shutdown"))["ok"]
        await paired.agent.until_down()
    paired.agent.start()
    await paired.agent.until_listening()
    async with paired.sender() as sender:
        assert sender.state == "up"
        # A sender that still wants it says so again.
        assert (await sender.command("shutdown"))["ok"]
        await paired.agent.until_down()
    assert len(paired.agent.downs) == 2


async def test_drill_answers_and_does_nothing(paired: Paired) -> None:
    async with paired.sender() as sender:
        answer = await sender.command("drill")
        assert answer["ok"]
        assert (
            f"would run {paired.agent.folder}/shutdown when 1 of its senders want it; 0 want it now"
            in answer["message"]
        )
        assert sender.state == "up"
    assert "Command accepted: drill" in paired.agent.log
    assert paired.agent.downs == []


@pytest.mark.parametrize("how", ["option", "configuration"])
async def test_dry_run_only_logs_the_command(
    agents: Callable[..., ShutdownAgent], authority: Authority, how: str
) -> None:
    paired = pair(agents(sections={"shutdown": "dry_run = yes"} if how == "configuration" else None), authority)
    paired.agent.start(*["--dry-run"] * (how == "option"))
    await paired.agent.until_listening()
    async with paired.sender() as sender:
        assert sender.states[0]["drill"] is True
        await sender.command("shutdown", {"reason": "test"})
        await paired.agent.until_logged(
            f"Dry run: would run {paired.agent.folder}/shutdown now, wanted by Server room: test"
        )
        assert (await sender.until_state("shutting_down"))["delay"] == 0
        assert (await sender.command("wakeup"))["ok"]
        await sender.until_state("up")
        await sender.command("shutdown")
        await paired.agent.until_logged("Dry run: would run", times=2)
    assert paired.agent.downs == []


async def test_own_delay_counts_when_it_is_longer(agents: Callable[..., ShutdownAgent], authority: Authority) -> None:
    paired = pair(agents(sections={"shutdown": "delay = 1"}), authority)
    paired.agent.start()
    await paired.agent.until_listening()
    async with paired.sender() as sender:
        assert "1 s later at the earliest" in (await sender.command("drill"))["message"]
        await sender.command("shutdown", {"delay": 0})
        assert 0.5 < (await sender.until_state("shutting_down"))["delay"] <= 1
        await paired.agent.until_down()


@pytest.mark.slow
async def test_command_that_fails_is_tried_again_until_it_works(
    agents: Callable[..., ShutdownAgent], authority: Authority
) -> None:
    agent = agents()
    script = agent.folder / "shutdown"
    works = script.read_text()
    script.write_text("#!/bin/sh\necho the hypervisor is busy\nexit 3\n")
    paired = pair(agent, authority)
    agent.start()
    await agent.until_listening()
    async with paired.sender() as sender:
        await sender.command("shutdown")
        await agent.until_logged("The shutdown command ended with 3: the hypervisor is busy")
        assert sender.state == "shutting_down"
        script.write_text(works)
        await agent.until_down()
    assert len(agent.downs) == 1


async def test_command_that_fails_is_not_tried_again_after_a_wakeup(
    agents: Callable[..., ShutdownAgent], authority: Authority
) -> None:
    agent = agents()
    (agent.folder / "shutdown").unlink()
    paired = pair(agent, authority)
    agent.start()
    await agent.until_logged("This will not work: [shutdown] command:")
    await agent.until_listening()
    async with paired.sender() as sender:
        await sender.command("shutdown")
        await agent.until_logged("The shutdown command cannot be run")
        assert (await sender.command("wakeup"))["ok"]
        await sender.until_state("up")
    assert agent.alive


async def test_command_that_does_not_bring_it_down_is_run_again(
    agents: Callable[..., ShutdownAgent], authority: Authority
) -> None:
    agent = agents(sections={"shutdown": "timeout = 1"})
    runs = agent.folder / "runs"
    (agent.folder / "shutdown").write_text(f"#!/bin/sh\necho run >> {runs}\n")
    paired = pair(agent, authority)
    agent.start()
    await agent.until_listening()
    async with paired.sender() as sender:
        await sender.command("shutdown")
        await until(lambda: runs.exists() and runs.read_text().count("run") >= 2, "a second run")
        answer = await sender.command("wakeup")
        assert answer["ok"] is False
        await sender.until_state("up")
    assert "this computer is still up" in agent.log


@pytest.mark.slow
async def test_command_that_hangs_is_ended_and_run_again(
    agents: Callable[..., ShutdownAgent], authority: Authority
) -> None:
    agent = agents(sections={"shutdown": "timeout = 1"})
    works = (agent.folder / "shutdown").read_text()
    (agent.folder / "shutdown").write_text("#!/bin/sh\nsleep 1000\n")
    paired = pair(agent, authority)
    agent.start()
    await agent.until_listening()
    async with paired.sender() as sender:
        await sender.command("shutdown")
        await agent.until_logged("The shutdown command took too long and was ended")
        (agent.folder / "shutdown").write_text(works)
        await agent.until_down()
