"""Several senders: it goes down only when as many as it needs want it."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.agent.conftest import Paired, pair
from tests.agent.sender import Authority
from tests.peers.shutdown_agent import ShutdownAgent


@pytest.fixture
async def fed_twice(agents: Callable[..., ShutdownAgent], tmp_path: Path, needed: int, senders: int) -> Paired:
    """Start an agent with `senders` bridges of which `needed` must agree."""
    authorities = [Authority(tmp_path / name, name) for name in "ABC"[:senders]]
    paired = pair(agents(sections={"senders": f"needed = {needed}"}), *authorities)
    paired.agent.start()
    await paired.agent.until_listening()
    return paired


@pytest.mark.parametrize(("needed", "senders"), [(2, 2)])
async def test_one_of_two_waits_and_both_bring_it_down(fed_twice: Paired) -> None:
    async with fed_twice.sender(0) as one, fed_twice.sender(1) as other:
        answer = await one.command("shutdown")
        assert answer["message"] == "waiting: 1 of 2 senders want it"
        for sender in (one, other):
            state = await sender.until_state("waiting")
            assert (state["senders"], state["needed"]) == (["A"], 2)
        # Its own repetitions do not make two of one.
        await one.command("shutdown")
        await asyncio.sleep(0.3)
        assert fed_twice.agent.alive
        assert (await other.command("shutdown"))["ok"]
        await fed_twice.agent.until_down()
    assert "wanted by A, B" in fed_twice.agent.log


@pytest.mark.parametrize(("needed", "senders"), [(2, 2)])
async def test_two_outages_one_after_the_other_do_not_bring_it_down(fed_twice: Paired) -> None:
    """The manual's warning: what one withdrew must not count when the other's outage comes (M:2485)."""
    async with fed_twice.sender(0) as one, fed_twice.sender(1) as other:
        await one.command("shutdown")
        await one.command("wakeup")
        await one.until_state("up")
        await other.command("shutdown")
        state = await other.until_state("waiting")
        assert state["senders"] == ["B"]
        await asyncio.sleep(0.5)
    assert fed_twice.agent.alive


@pytest.mark.parametrize(("needed", "senders"), [(2, 2)])
async def test_wakeup_of_one_withdraws_only_its_own(fed_twice: Paired) -> None:
    async with fed_twice.sender(0) as one, fed_twice.sender(1) as other:
        await one.command("shutdown", {"delay": 1})
        await other.command("shutdown", {"delay": 1})
        await one.until_state("shutting_down")
        await one.command("wakeup")
        assert (await one.until_state("waiting"))["senders"] == ["B"]
        await asyncio.sleep(1.2)
        assert fed_twice.agent.alive
        await one.command("shutdown")
        await fed_twice.agent.until_down()


@pytest.mark.parametrize(("needed", "senders"), [(2, 3)])
async def test_two_of_three(fed_twice: Paired) -> None:
    async with fed_twice.sender(0) as first, fed_twice.sender(2) as third:
        await first.command("shutdown")
        await first.until_state("waiting")
        await third.command("shutdown", {"delay": 0.5})
        # The later of the two delays counts.
        assert 0 < (await third.until_state("shutting_down"))["delay"] <= 0.5
        await fed_twice.agent.until_down()


@pytest.mark.parametrize(("needed", "senders"), [(2, 2)])
async def test_vote_of_a_sender_that_is_unpaired_no_longer_counts(fed_twice: Paired) -> None:
    async with fed_twice.sender(0) as one:
        await one.command("shutdown")
        await one.until_state("waiting")
        assert fed_twice.agent.call("unpair", fed_twice.bridges[0][0].id).returncode == 0
        await one.until_closed()
    async with fed_twice.sender(1) as other:
        assert other.state == "up"
        await other.command("shutdown")
        await other.until_state("waiting")
    assert "A is no sender any more" in fed_twice.agent.log


@pytest.mark.parametrize(("needed", "senders"), [(2, 2)])
async def test_votes_outlive_the_process(fed_twice: Paired) -> None:
    async with fed_twice.sender(0) as one:
        await one.command("shutdown")
        await one.until_state("waiting")
    fed_twice.agent.kill()
    fed_twice.agent.start()
    await fed_twice.agent.until_listening()
    async with fed_twice.sender(1) as other:
        assert (other.state, other.states[0]["senders"]) == ("waiting", ["A"])
        await other.command("shutdown")
        await fed_twice.agent.until_down()
