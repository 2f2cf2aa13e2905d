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
