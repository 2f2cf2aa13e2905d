"""Commands: who may be asked what, and what a person is told otherwise."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from ridethrough.site import CommandError, CommandResult, Commands, DeviceId, Site, Value

from .conftest import UPS


async def perform(command: str, arguments: Mapping[str, Value]) -> CommandResult:
    return CommandResult(f"{command} {dict(arguments)}", confirmed=False)


@pytest.fixture
def commands(site: Site) -> Commands:
    """Grant two commands."""
    granted = frozenset({"test.battery.start", "shutdown.return", "beeper.mute"})
    site.put(replace(site.devices[UPS], commands=granted))
    return Commands(site)


async def test_command_is_handed_on_with_what_was_given(commands: Commands) -> None:
    commands.offer(UPS, perform)
    assert (await commands.perform(UPS, "test.battery.start", {})).message == "test.battery.start {}"
    result = await commands.perform(UPS, "test.battery.start", {"duration": 5})
    assert result == CommandResult("test.battery.start {'duration': 5}", confirmed=False)


@pytest.mark.parametrize(
    ("device", "command", "arguments", "code", "words"),
    [
        ("x", "beeper.mute", {}, "unknown_device", "no device x"),
        ("ups", "make.coffee", {}, "unknown_command", "no command make.coffee"),
        ("ups", "outlet.on", {}, "unknown_command", "A ups has no command"),
        ("ups", "load.off", {}, "not_granted", "see allow: under ups-1"),
        ("ups", "beeper.mute", {"loud": 1}, "bad_argument", "permitted: none"),
        ("ups", "test.battery.start", {"duration": 100}, "bad_argument", "1 to 99 min"),
        ("ups", "test.battery.start", {"duration": 0.5}, "bad_argument", "1 to 99 min"),
        ("ups", "test.battery.start", {"duration": float("nan")}, "bad_argument", "1 to 99 min"),
        ("ups", "test.battery.start", {"duration": True}, "bad_argument", "1 to 99 min"),
        ("ups", "test.battery.start", {"duration": "5"}, "bad_argument", "not '5'"),
    ],
)
async def test_command_that_cannot_be_is_answered_with_why(
    commands: Commands, device: str, command: str, arguments: Mapping[str, Value], code: str, words: str
) -> None:
    commands.offer(UPS, perform)
    with pytest.raises(CommandError, match=words) as caught:
        await commands.perform(DeviceId(device), command, arguments)
    assert caught.value.code == code


async def test_device_that_nobody_serves_is_offline(commands: Commands) -> None:
    withdraw = commands.offer(UPS, perform)
    withdraw()
    withdraw()
    with pytest.raises(CommandError) as caught:
        await commands.perform(UPS, "beeper.mute", {})
    assert caught.value.code == "offline"


async def test_withdrawing_leaves_a_later_offer(commands: Commands) -> None:
    async def other(command: str, arguments: Mapping[str, Value]) -> CommandResult:
        return CommandResult("other")

    withdraw = commands.offer(UPS, perform)
    commands.offer(UPS, other)
    withdraw()
    assert (await commands.perform(UPS, "beeper.mute", {})).message == "other"


async def test_listener_hears_what_is_given_to_its_device_and_nothing_else(commands: Commands) -> None:
    heard: list[tuple[str, Mapping[str, Value]]] = []
    end = commands.listen(UPS, lambda command, arguments: heard.append((command, arguments)))
    with pytest.raises(CommandError):
        await commands.perform(UPS, "beeper.mute", {})
    assert heard == []
    commands.offer(UPS, perform)
    await commands.perform(UPS, "test.battery.start", {"duration": 5})
    with pytest.raises(CommandError):
        await commands.perform(UPS, "load.off", {})
    assert heard == [("test.battery.start", {"duration": 5})]
    end()
    end()
    await commands.perform(UPS, "beeper.mute", {})
    assert len(heard) == 1


async def test_what_the_bridge_does_itself_is_not_asked_of_the_link(commands: Commands) -> None:
    async def own(command: str, arguments: Mapping[str, Value]) -> CommandResult:
        return CommandResult(f"The bridge did {command}.")

    withdraw_own = commands.offer(UPS, own, {"beeper.mute"})
    withdraw_link = commands.offer(UPS, perform)
    assert (await commands.perform(UPS, "beeper.mute", {})).message == "The bridge did beeper.mute."
    assert (await commands.perform(UPS, "shutdown.return", {})).message.startswith("shutdown.return")
    withdraw_link()
    assert (await commands.perform(UPS, "beeper.mute", {})).message == "The bridge did beeper.mute."
    with pytest.raises(CommandError, match="cannot be reached"):
        await commands.perform(UPS, "shutdown.return", {})
    commands.offer(UPS, perform)
    withdraw_own()
    assert (await commands.perform(UPS, "beeper.mute", {})).message.startswith("beeper.mute")
