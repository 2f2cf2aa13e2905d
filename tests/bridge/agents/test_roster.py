"""Agents as devices of the site: connected, commanded, going down, lost and back."""

import asyncio
from contextlib import closing
from dataclasses import replace
from pathlib import Path
import socket

import pytest

from ridethrough.agents import Roster
from ridethrough.catalogue import Severity
from ridethrough.config.agents import AgentConfig
from ridethrough.events import EdgeKind, Event, EventKind
from ridethrough.site import CommandError, Quality
from ridethrough.store import StoreError

from .peer import until
from .rig import ALL, Bridge, a_bridge, context_of


async def test_an_agent_is_a_device_below_the_bridge_with_what_it_says_of_itself(bridge: Bridge) -> None:
    peer = await bridge.connected()
    device = bridge.world.site.devices[bridge.id()]
    assert (device.key, device.kind, device.name) == ("nas", "agent", "NAS")
    assert device.parent == bridge.world.context.bridge.id
    assert bridge.value("agent.state") == "up"
    assert bridge.value("agent.version") == "1.0.0"
    assert bridge.value("agent.system") == "Linux 6.1"
    assert bridge.value("agent.address") == "127.0.0.1"
    assert bridge.value("agent.shutdown.planned") == 180.0
    assert not bridge.on("agent_lost")
    assert not bridge.on("agent_unpaired")
    assert peer.names == [f"{bridge.id()}.agent.ridethrough.internal"]
    assert peer.frames[0] == {"type": "ready", "name": "Test bridge", "alive": 10.0}


async def test_a_shutdown_reaches_the_agent_and_is_confirmed(bridge: Bridge) -> None:
    peer = await bridge.connected()
    result = await bridge.give("agent.shutdown", delay=30.0, reason="Power is out.")
    assert result.confirmed
    assert result.message == "shutdown it is."
    (command,) = peer.commands
    assert (command["verb"], command["arguments"]) == ("shutdown", {"delay": 30.0, "reason": "Power is out."})
    assert command["seq"] == 1
    assert command["session"] == peer.session
    assert abs(command["clock"] - peer.clock) < 5
    assert bridge.value("agent.last_command") == "shutdown: shutdown it is."


async def test_what_the_configuration_does_not_grant_is_refused(bridge: Bridge) -> None:
    peer = await bridge.connected(allow=frozenset({"message"}))
    with pytest.raises(CommandError) as caught:
        await bridge.give("agent.shutdown")
    assert caught.value.code == "not_granted"
    assert peer.commands == []
    await bridge.give("agent.message", text="Hello")
    assert [command["verb"] for command in peer.commands] == ["message"]


async def test_an_agent_that_falls_silent_is_lost_after_three_signs_of_life(bridge: Bridge) -> None:
    peer = await bridge.connected()
    await bridge.passes(15)
    peer.silent = True
    began = bridge.clock.monotonic()
    await bridge.until(lambda: bridge.on("agent_lost"), step=0.5)
    assert 25 <= bridge.clock.monotonic() - began <= 45
    assert bridge.value("agent.state") == "lost"
    assert not bridge.on("agent_connected")
    version = bridge.reading("agent.version")
    assert version is not None
    assert (version.value, version.quality) == ("1.0.0", Quality.LOST)


# Shutting down, being down, coming back


async def test_a_computer_that_shuts_down_and_falls_silent_is_down_and_not_lost(bridge: Bridge) -> None:
    peer = await bridge.connected()
    await bridge.give("agent.shutdown")
    await peer.become("shutting_down")
    await bridge.until(lambda: bridge.value("agent.state") == "shutting_down")
    assert bridge.on("agent_shutting_down")
    await bridge.passes(20)
    await peer.stop()
    await bridge.until(lambda: bridge.value("agent.state") == "down")
    duration = bridge.value("agent.shutdown.duration")
    assert isinstance(duration, float)
    assert 20 <= duration <= 150
    shutting_down = bridge.condition("agent_shutting_down")
    assert shutting_down is not None
    assert (shutting_down.active, shutting_down.quality) == (False, Quality.GOOD)
    await bridge.passes(120, step=2.0)
    assert bridge.value("agent.state") == "down"
    assert not bridge.on("agent_lost")
    with pytest.raises(CommandError, match="NAS is down") as caught:
        await bridge.give("agent.shutdown")
    assert caught.value.code == "offline"


async def test_a_computer_whose_network_still_answers_is_not_down_at_once(bridge: Bridge) -> None:
    peer = await bridge.connected()
    await peer.become("shutting_down")
    await bridge.until(lambda: bridge.value("agent.state") == "shutting_down")
    await peer.stop()  # its port refuses connections from now on: the system still runs
    await bridge.until(lambda: not bridge.on("agent_connected"))
    await bridge.passes(15)
    assert bridge.value("agent.state") == "shutting_down"


async def test_a_computer_that_is_started_again_is_up(bridge: Bridge) -> None:
    peer = await bridge.connected()
    await peer.become("shutting_down")
    await bridge.until(lambda: bridge.value("agent.state") == "shutting_down")
    await peer.stop()
    await bridge.until(lambda: bridge.value("agent.state") == "down", step=1.0)
    duration = bridge.value("agent.shutdown.duration")
    peer.state = {"state": "up"}
    await peer.start()
    await bridge.until(lambda: bridge.value("agent.state") == "up", step=1.0)
    assert not bridge.on("agent_shutting_down")
    assert bridge.value("agent.shutdown.duration") == duration


async def test_a_shutdown_that_is_withdrawn_leaves_it_up(bridge: Bridge) -> None:
    peer = await bridge.connected()
    await peer.become("waiting", senders=["Test bridge"], needed=2)
    await bridge.until(lambda: bridge.on("agent_waiting"))
    assert bridge.value("agent.state") == "waiting"
    await bridge.give("agent.wakeup")
    await peer.become("up")
    await bridge.until(lambda: bridge.value("agent.state") == "up")
    assert not bridge.on("agent_waiting")


async def test_an_agent_that_goes_without_a_word_is_lost_and_not_down(bridge: Bridge) -> None:
    peer = await bridge.connected()
    await peer.stop()
    await bridge.until(lambda: not bridge.on("agent_connected"))
    assert bridge.value("agent.state") == "connecting"
    assert not bridge.on("agent_lost")
    await bridge.until(lambda: bridge.on("agent_lost"), step=1.0)


# Restarts of the bridge


async def test_that_a_computer_is_down_outlasts_a_restart_of_the_bridge(tmp_path: Path) -> None:
    async with a_bridge(tmp_path) as bridge:
        peer = await bridge.connected()
        await peer.become("shutting_down")
        await bridge.until(lambda: bridge.value("agent.state") == "shutting_down")
        await peer.stop()
        await bridge.until(lambda: bridge.value("agent.state") == "down", step=1.0)
        config, duration = bridge.config, bridge.value("agent.shutdown.duration")
    async with a_bridge(tmp_path) as bridge:
        await bridge.roster.configure(config)
        assert bridge.value("agent.state") == "down"
        assert bridge.value("agent.shutdown.duration") == duration
        await bridge.passes(60, step=2.0)
        assert bridge.value("agent.state") == "down"
        assert not bridge.on("agent_lost")


async def test_a_bridge_that_restarts_while_a_computer_shuts_down_sees_it_go_down(tmp_path: Path) -> None:
    async with a_bridge(tmp_path) as bridge:
        peer = await bridge.connected()
        await peer.become("shutting_down")
        await bridge.until(lambda: bridge.value("agent.state") == "shutting_down")
        config = bridge.config
    async with a_bridge(tmp_path) as bridge:
        await bridge.roster.configure(config)
        assert bridge.value("agent.state") == "shutting_down"
        assert bridge.on("agent_shutting_down")
        await bridge.until(lambda: bridge.value("agent.state") == "down", step=1.0)


async def test_a_lost_agent_stays_lost_over_a_restart_without_another_event(tmp_path: Path) -> None:
    async with a_bridge(tmp_path) as bridge:
        peer = await bridge.connected()
        await peer.stop()
        await bridge.until(lambda: bridge.on("agent_lost"), step=1.0)
        config = bridge.config
    async with a_bridge(tmp_path) as bridge:
        await bridge.roster.configure(config)
        assert bridge.on("agent_lost")
        await bridge.passes(40, step=2.0)
        found = [event for event in await bridge.world.store.journal.after(0) if event.key == "agent_lost"]
        assert len(found) == 1


async def test_a_restart_of_the_bridge_is_no_event_of_its_agents(tmp_path: Path) -> None:
    async with a_bridge(tmp_path) as bridge:
        peer = await bridge.connected()
        config = bridge.config
    async with a_bridge(tmp_path) as bridge:
        await peer.start()
        bridge.peers["nas"] = peer
        await bridge.roster.configure(config)
        await bridge.until(lambda: bridge.value("agent.state") == "up")
        await bridge.world.recorder.record(_nothing(bridge))
        found = [event for event in await bridge.world.store.journal.after(0) if event.device == bridge.id()]
        assert [(event.key, event.edge) for event in found] == [("agent_connected", "raised")]


async def test_what_was_raised_and_is_over_is_cleared_by_the_hello(tmp_path: Path) -> None:
    async with a_bridge(tmp_path) as bridge:
        peer = await bridge.connected()
        await peer.become("waiting")
        await bridge.until(lambda: bridge.on("agent_waiting"))
        config = bridge.config
    async with a_bridge(tmp_path) as bridge:
        peer.state = {"state": "up"}
        await peer.start()
        bridge.peers["nas"] = peer
        await bridge.roster.configure(config)
        assert bridge.on("agent_waiting")
        await bridge.until(lambda: bridge.value("agent.state") == "up")
        assert not bridge.on("agent_waiting")


async def test_a_full_disk_does_not_keep_a_computer_from_being_shut_down(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = await bridge.connected()
    facts = bridge.world.store.facts
    change, failures = facts.change, []

    async def full(values: object) -> None:
        failures.append(values)
        raise StoreError("The store is full; free some space.")

    monkeypatch.setattr(facts, "change", full)
    await peer.become("shutting_down")
    await bridge.until(lambda: len(failures) > 1)
    assert (await bridge.give("agent.shutdown")).confirmed
    monkeypatch.setattr(facts, "change", change)
    await bridge.passes(70, step=2.0)
    assert "shutting_down" in (await facts.under("agent.presence."))["agent.presence.nas"]


# Power


async def test_a_sign_of_life_says_whether_a_ups_that_feeds_it_is_on_battery(bridge: Bridge) -> None:
    first = bridge.world.device("ups-a")
    for key in ("ups-1", "ups-2"):
        bridge.world.site.put(replace(first, id=bridge.id(key), key=key))
        bridge.world.lanes[bridge.id(key)] = bridge.world.site.lane(bridge.id(key), None)
    one, two = (bridge.world.site.devices[bridge.id(key)] for key in ("ups-1", "ups-2"))
    peer = await bridge.connected(supplies=("ups-1", "ups-2"))
    await bridge.until(lambda: peer.pings)
    assert peer.pings[-1] == {"type": "ping"}
    bridge.world.post(one, conditions={"on_battery": False})
    await until(lambda: len(peer.pings) == 2)
    assert peer.pings[-1] == {"type": "ping"}  # of the other one nobody knows
    bridge.world.post(two, conditions={"on_battery": False})
    await until(lambda: len(peer.pings) == 3)
    assert peer.pings[-1] == {"type": "ping", "on_battery": False}
    bridge.world.post(two, conditions={"on_battery": True})
    await until(lambda: len(peer.pings) == 4)  # at once, without any time passing
    assert peer.pings[-1] == {"type": "ping", "on_battery": True}
    bridge.world.lanes[two.id].lost()
    await until(lambda: len(peer.pings) == 5)
    assert peer.pings[-1] == {"type": "ping"}


async def test_a_magic_packet_is_sent_to_a_computer_that_is_off(bridge: Bridge) -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as card:
        card.bind(("127.0.0.1", 0))
        card.settimeout(5)
        await bridge.agent(start=False, broadcast="127.0.0.1", wake_port=card.getsockname()[1])
        result = await bridge.give("agent.start")
        assert not result.confirmed
        assert result.message == "3 magic packets for NAS were sent to 127.0.0.1."
        assert (await asyncio.to_thread(card.recv, 200))[6:12].hex() == "001122334455"


async def test_a_magic_packet_that_cannot_be_sent_is_told(bridge: Bridge) -> None:
    await bridge.agent(start=False, broadcast="no-such-host.invalid")
    with pytest.raises(CommandError, match="cannot be sent to no-such-host.invalid"):
        await bridge.give("agent.start")


# The configuration


async def test_agents_come_change_and_go_and_the_others_do_not_notice(bridge: Bridge) -> None:
    stays = await bridge.connected("a")
    goes = await bridge.connected("b")
    kept, gone = bridge.config.computers
    await goes.become("waiting")
    await bridge.until(lambda: bridge.on("agent_waiting", "b"))
    comes = await bridge.paired("c")
    changed = await bridge.configure(kept, replace(gone, key="c", name="C", port=comes.port))
    assert changed == ["b", "c"]
    await bridge.until(lambda: bridge.on("agent_connected", "c"))
    assert bridge.id("b") not in bridge.world.site.devices
    await bridge.until(lambda: not goes._writers)
    assert stays.connections == 1
    await bridge.world.recorder.record(_nothing(bridge))
    ends = [event.edge for event in await bridge.world.store.journal.after(0) if event.key == "agent_waiting"]
    assert ends == ["raised", "cleared"]


async def test_what_is_raised_of_an_agent_stays_so_when_its_configuration_changes(bridge: Bridge) -> None:
    peer = await bridge.connected()
    await peer.become("waiting")
    await bridge.until(lambda: bridge.on("agent_waiting"))
    assert await bridge.configure(replace(bridge.config.computers[0], name="Storage")) == ["nas"]
    assert bridge.world.site.devices[bridge.id()].name == "Storage"
    assert bridge.on("agent_waiting")
    await bridge.until(lambda: bridge.on("agent_connected"))
    assert await bridge.configure(*bridge.config.computers) == []
    await bridge.world.recorder.record(_nothing(bridge))
    ends = [event.edge for event in await bridge.world.store.journal.after(0) if event.key == "agent_waiting"]
    assert ends == ["raised"]


async def test_another_interval_is_told_to_all(bridge: Bridge) -> None:
    peer = await bridge.connected()
    bridge.config = replace(bridge.config, alive=5.0)
    assert await bridge.configure(*bridge.config.computers) == ["nas"]
    await bridge.until(lambda: len([frame for frame in peer.frames if frame["type"] == "ready"]) == 2)
    assert [frame["alive"] for frame in peer.frames if frame["type"] == "ready"] == [10.0, 5.0]


async def test_one_that_is_switched_off_is_there_but_not_connected_to(bridge: Bridge) -> None:
    peer = await bridge.agent(enabled=False)
    await bridge.passes(60, step=2.0)
    assert peer.connections == 0
    assert bridge.world.site.devices[bridge.id()].commands == frozenset()
    assert bridge.reading("agent.state") is None


async def test_without_agents_nothing_is_begun(bridge: Bridge) -> None:
    assert await bridge.configure() == []
    await bridge.roster.stop()


# Pairings that another process makes


async def test_an_agent_that_is_not_paired_says_so_and_is_connected_to_once_it_is(bridge: Bridge) -> None:
    peer = await bridge.paired("other")  # so that there is an authority
    del peer
    await bridge.configure(AgentConfig("nas", "NAS", "127.0.0.1", 6004, allow=ALL))
    assert bridge.value("agent.state") == "unpaired"
    assert bridge.on("agent_unpaired")
    with pytest.raises(CommandError, match="NAS is not paired: run `ridethrough agent invite nas`"):
        await bridge.give("agent.shutdown")
    peer = await bridge.paired()
    await bridge.configure(replace(bridge.config.computers[0], port=peer.port))
    await bridge.until(lambda: bridge.on("agent_connected"))
    assert not bridge.on("agent_unpaired")
    await bridge.pairings.forget("nas")
    await bridge.until(lambda: bridge.on("agent_unpaired"))
    assert bridge.value("agent.state") == "unpaired"
    await bridge.until(lambda: not peer._writers)


async def test_an_authority_that_is_gone_is_told_and_found_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_bridge(tmp_path) as bridge:
        peer = await bridge.connected()
        file = tmp_path / "agents" / "authority.pem"
        kept = file.read_bytes()
        await bridge.roster.stop()
        file.unlink()
        roster = bridge.roster = Roster(context_of(bridge.world, bridge.clock))
        await roster.configure(bridge.config)
        await bridge.until(lambda: bridge.value("agent.state") == "lost", step=1.0)
        with pytest.raises(CommandError, match=r"authority\.pem, is gone"):
            await bridge.give("agent.shutdown")
        assert len([record for record in caplog.records if "No agent can be connected to" in record.getMessage()]) == 1
        file.write_bytes(kept)
        await bridge.until(lambda: bridge.on("agent_connected"), step=1.0)
        assert peer.connections == 2


def _nothing(bridge: Bridge) -> Event:
    """Make an event that, once it is written, shows that all before it are."""
    return Event(bridge.clock.utc(), EventKind.SYSTEM, None, "started", EdgeKind.OCCURRED, Severity.INFO, {})
