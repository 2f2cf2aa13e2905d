"""Agents as devices of the site: connected, commanded, going down, lost and back."""

import pytest

from ridethrough.site import CommandError, Quality

from .rig import Bridge


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
