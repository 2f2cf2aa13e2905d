"""A sender that is gone: what the agent does by itself."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.agent.conftest import Paired, pair
from tests.agent.sender import Authority
from tests.peers.shutdown_agent import ShutdownAgent, until

ALIVE = 0.3


async def _begin(agent: ShutdownAgent, *authorities: Authority) -> Paired:
    paired = pair(agent, *authorities)
    agent.start()
    await agent.until_listening()
    return paired


def _shutdown(needed: int = 1, delay: float = 0) -> dict[str, str]:
    return {"senders": f"lost = shutdown\nlost_delay = {delay}\nneeded = {needed}"}


async def test_silent_sender_is_lost_and_its_connection_ends(paired: Paired) -> None:
    async with paired.sender(alive=ALIVE) as sender:
        for _ in range(6):
            sender.send({"type": "ping"})
            await asyncio.sleep(0.2)
        assert "is lost" not in paired.agent.log
        await sender.until_closed()
    await paired.agent.until_logged("Server room is lost: nothing heard for too long; power was not out")
    async with paired.sender() as sender:
        await paired.agent.until_logged("Server room is heard again")
        assert sender.state == "up"


@pytest.mark.parametrize("on_battery", [False, None], ids=["mains", "unknown"])
async def test_lost_with_mains_it_stays_up(
    agents: Callable[..., ShutdownAgent], authority: Authority, on_battery: bool | None
) -> None:
    paired = await _begin(agents(sections=_shutdown()), authority)
    async with paired.sender(alive=ALIVE) as sender:
        sender.send({"type": "ping"} if on_battery is None else {"type": "ping", "on_battery": on_battery})
        await sender.until_closed()
    await paired.agent.until_logged("is lost")
    await asyncio.sleep(0.5)
    assert paired.agent.alive


async def test_lost_on_battery_it_goes_down(agents: Callable[..., ShutdownAgent], authority: Authority) -> None:
    paired = await _begin(agents(sections=_shutdown()), authority)
    async with paired.sender(alive=ALIVE) as sender:
        sender.send({"type": "ping", "on_battery": True})
        # A bridge that does not know any more has not said that power is back.
        sender.send({"type": "ping"})
        await paired.agent.until_down()
    assert "Server room is lost, and power was out when it was last heard" in paired.agent.log


async def test_power_that_is_back_before_the_loss_counts(
    agents: Callable[..., ShutdownAgent], authority: Authority
) -> None:
    paired = await _begin(agents(sections=_shutdown()), authority)
    async with paired.sender(alive=ALIVE) as sender:
        sender.send({"type": "ping", "on_battery": True})
        sender.send({"type": "ping", "on_battery": False})
        await sender.until_closed()
    await paired.agent.until_logged("power was not out when it was last heard")
    assert paired.agent.alive


async def test_sender_that_returns_in_time_takes_the_assumption_back(
    agents: Callable[..., ShutdownAgent], authority: Authority
) -> None:
    paired = await _begin(agents(sections=_shutdown(delay=5)), authority)
    async with paired.sender(alive=ALIVE) as sender:
        sender.send({"type": "ping", "on_battery": True})
        await sender.until_closed()
    await paired.agent.until_logged("Because Server room is lost: shutting down in 5 s")
    async with paired.sender() as sender:
        await sender.until_state("up")
    assert "what was assumed while it was gone no longer counts" in paired.agent.log


async def test_what_a_sender_asked_for_stays_when_it_is_lost_and_returns(
    agents: Callable[..., ShutdownAgent], authority: Authority
) -> None:
    paired = await _begin(agents(sections=_shutdown(delay=60)), authority)
    async with paired.sender(alive=ALIVE) as sender:
        sender.send({"type": "ping", "on_battery": True})
        await sender.command("shutdown", {"delay": 60})
        await sender.until_closed()
    await paired.agent.until_logged("is lost")
    async with paired.sender() as sender:
        assert sender.state == "shutting_down"
        await sender.command("wakeup")
        await sender.until_state("up")


async def test_one_of_two_lost_is_not_enough(agents: Callable[..., ShutdownAgent], tmp_path: Path) -> None:
    paired = await _begin(agents(sections=_shutdown(needed=2)), *[Authority(tmp_path / name, name) for name in "AB"])
    async with paired.sender(1) as other:
        async with paired.sender(0, alive=ALIVE) as one:
            one.send({"type": "ping", "on_battery": True})
            await one.until_closed()
        assert (await other.until_state("waiting"))["senders"] == ["A"]
        assert paired.agent.alive
        # The one that is gone and the one that asks are two.
        await other.command("shutdown")
        await paired.agent.until_down()


async def test_program_is_run_once_for_each_loss(agents: Callable[..., ShutdownAgent], authority: Authority) -> None:
    agent = agents(
        sections={
            "senders": "lost = program\nlost_program = tell",
            "program tell": "command =\n  /bin/sh\n  -c\n  echo gone; exit 1",
        }
    )
    paired = await _begin(agent, authority)
    for times in (1, 2):
        async with paired.sender(alive=ALIVE) as sender:
            await sender.until_closed()
        await agent.until_logged("Because Server room is lost: tell started", times)
        await agent.until_logged("Program tell ended with 1: gone", times)
    await asyncio.sleep(1.2)
    assert agent.log.count("tell started") == 2


async def test_loss_is_known_over_a_restart_of_the_agent_but_not_at_once(
    agents: Callable[..., ShutdownAgent], authority: Authority
) -> None:
    """After its own restart it gives senders a minute to be back."""
    paired = await _begin(agents(sections=_shutdown()), authority)
    async with paired.sender(alive=ALIVE) as sender:
        sender.send({"type": "ping", "on_battery": True})
        await until(lambda: "on battery" in paired.agent.log, "the note")
        paired.agent.kill()
    paired.agent.start()
    await paired.agent.until_listening()
    assert "on battery when it was last heard" in paired.agent.call("status").stdout
    await asyncio.sleep(2)
    assert paired.agent.alive
