"""A thousand jobs at once, whose servers hang: nothing stands still, and a shutdown gets through."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
import time

from ridethrough.config.actions import (
    Action,
    AgentAction,
    LogAction,
    MailAction,
    RemoteAction,
    SyslogAction,
    WakeOnLanAction,
    WebhookAction,
)
from ridethrough.config.jobs import MailConfig, RemoteConfig, WebhookConfig
from ridethrough.events.steps import ActionError
from ridethrough.site import Device

from .rig import LIMITS, Shop, UdpPeer, hang, happened, tcp_peer


@asynccontextmanager
async def watched() -> AsyncIterator[list[float]]:
    """Measure how long the loop stands still at a time, in seconds."""
    gaps: list[float] = []

    async def look() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            gaps.append(time.perf_counter() - before)

    task = asyncio.create_task(look())
    try:
        yield gaps
    finally:
        task.cancel()


async def test_thousand_jobs_on_servers_that_hang(shop: Shop, ups: Device, udp: UdpPeer) -> None:
    agents = [shop.world.device(f"agent-{number}", "agent", commands=("agent.shutdown",)) for number in range(12)]
    async with tcp_peer(hang) as port:
        jobs = shop.configure(
            limits=replace(LIMITS, waiting=150, order=30.0, mail=0.5, answer=0.4, webhook=0.4, remote=0.4),
            mail=MailConfig("127.0.0.1", "ups@example.org", port, "none", receivers=("anna@example.org",)),
            webhooks=(WebhookConfig("panel", f"http://127.0.0.1:{port}/"),),
            bridges=(RemoteConfig("cellar", f"http://127.0.0.1:{port}", "token"),),
        )
        kinds: list[Action] = [
            MailAction(),
            WebhookAction(webhook="panel"),
            RemoteAction(bridge="cellar", device="ups-1", command="load.off"),
            SyslogAction(text="x", to=f"127.0.0.1:{udp.port}"),
            WakeOnLanAction(macs=("00:11:22:33:44:55",), broadcast="127.0.0.1", port=udp.port),
        ]
        flood = [asyncio.create_task(jobs.perform(kinds[number % 5], happened(ups))) for number in range(1000)]
        try:
            async with watched() as gaps:
                await asyncio.sleep(0.2)
                began = time.perf_counter()
                said = await jobs.perform(AgentAction(verb="shutdown"), happened(ups))
                await jobs.perform(LogAction(text="Through"), happened(ups))
                took = time.perf_counter() - began
            assert said.startswith("agent.shutdown: 12 of 12 agents")
            assert {device for device, _, _ in shop.world.given} == {agent.id for agent in agents}
            assert took < 5.0
            assert len(gaps) > 20  # the loop was watched all the while
            refusals = [one.exception() for one in flood if one.done()]
            told = [error for error in refusals if isinstance(error, ActionError)]
            assert all(error is None or isinstance(error, ActionError) for error in refusals)
            # Of each kind so many wait; the rest is told at once to come again.
            assert sum(error.again and "wait already" in str(error) for error in told) >= 3 * (200 - 150 - 8)
        finally:
            for one in flood:
                one.cancel()
            async with asyncio.timeout(5):
                await asyncio.gather(*flood, return_exceptions=True)
        # The places are free again.
        assert "Magic packets" in await jobs.perform(kinds[4], happened(ups))
