"""Commands to a Megatec UPS: what is sent, what confirms it, what refuses it."""

import asyncio
from collections.abc import Mapping

import pytest

from ridethrough.links.base import CommandError
from ridethrough.links.ports import SerialPorts

from .conftest import Notebook
from .megatec import connected, megatec
from .peers import STATUS, SerialPeer, status


async def test_a_command_is_confirmed_by_the_status(peer: SerialPeer, ports: SerialPorts, notebook: Notebook) -> None:
    def testing(request: bytes, equipment: SerialPeer) -> None:
        if request == b"T\r":
            equipment.answers[b"Q1\r"] = status("00001101")

    peer.script = testing
    link = megatec(peer, ports)
    async with connected(link, notebook):
        result = await link.perform("test.battery.start.quick", {})
    assert result.confirmed
    assert result.message == "The UPS was told to test the battery for ten seconds, and does."
    assert notebook.conditions["test_in_progress"] is True


@pytest.mark.parametrize(
    ("command", "request_", "before", "after"),
    [
        ("beeper.toggle", b"Q\r", STATUS, status("00001000")),
        ("shutdown.return", b"S.5R0003\r", STATUS, status("00001011")),
        ("shutdown.stayoff", b"S.5R0000\r", STATUS, status("00001001", output="000.0")),
        ("shutdown.stop", b"C\r", status("00001011"), STATUS),
        ("test.battery.stop", b"CT\r", status("00001101"), STATUS),
        ("load.off", b"S00R0000\r", STATUS, status("00001001", output="000.0")),
        ("load.on", b"C\r", status("00001011", output="000.0"), STATUS),
    ],
)
async def test_each_command_has_its_own_sign_of_success(
    peer: SerialPeer,
    ports: SerialPorts,
    notebook: Notebook,
    command: str,
    request_: bytes,
    before: bytes,
    after: bytes,
) -> None:
    peer.answers[b"Q1\r"] = before

    def obey(request: bytes, equipment: SerialPeer) -> None:
        if request == request_:
            equipment.answers[b"Q1\r"] = after

    peer.script = obey
    link = megatec(peer, ports)
    async with connected(link, notebook):
        assert (await link.perform(command, {})).confirmed


@pytest.mark.usefixtures("hasty")
async def test_a_command_without_effect_is_not_said_to_have_one(
    peer: SerialPeer, ports: SerialPorts, notebook: Notebook
) -> None:
    link = megatec(peer, ports)
    async with connected(link, notebook):
        result = await link.perform("beeper.toggle", {})
    assert not result.confirmed
    assert "its status does not show it" in result.message


async def test_an_effect_that_takes_a_moment_is_waited_for(
    peer: SerialPeer, ports: SerialPorts, notebook: Notebook
) -> None:
    def after_two_polls(request: bytes, equipment: SerialPeer) -> bytes | None:
        if b"Q\r" not in equipment.heard or request != b"Q1\r":
            return None
        return status("00001000") if equipment.heard[equipment.heard.index(b"Q\r") :].count(b"Q1\r") > 2 else None

    peer.script = after_two_polls
    link = megatec(peer, ports)
    async with connected(link, notebook):
        assert (await link.perform("beeper.toggle", {})).confirmed


@pytest.mark.parametrize(("command", "calm"), [("beeper.disable", "00001000"), ("beeper.enable", "00001001")])
async def test_a_beeper_that_only_turns_over_is_turned_once_however_often_it_is_told(
    peer: SerialPeer, ports: SerialPorts, notebook: Notebook, command: str, calm: str
) -> None:
    bits = ["00001000", "00001001"]
    state = [bit for bit in bits if bit != calm]
    peer.answers[b"Q1\r"] = status(state[0])

    def turn_over(request: bytes, equipment: SerialPeer) -> None:
        if request == b"Q\r":
            state[0] = bits[1 - bits.index(state[0])]
            equipment.answers[b"Q1\r"] = status(state[0])

    peer.script = turn_over
    link = megatec(peer, ports)
    async with connected(link, notebook), asyncio.timeout(20):
        results = await asyncio.gather(*[link.perform(command, {}) for _ in range(3)])
    assert peer.heard.count(b"Q\r") == 1
    assert state[0] == calm
    assert all(result.confirmed for result in results)
    assert sum("it is so already" in result.message for result in results) == 2


@pytest.mark.parametrize("refusal", [b"T\r", b"(NAK\r", b"NAK\r"])
async def test_a_refusal_is_an_error_and_counted(
    peer: SerialPeer, ports: SerialPorts, notebook: Notebook, refusal: bytes
) -> None:
    peer.answers[b"T\r"] = refusal
    link = megatec(peer, ports)
    async with connected(link, notebook):
        with pytest.raises(CommandError, match="refused to test the battery for ten seconds") as caught:
            await link.perform("test.battery.start.quick", {})
    assert caught.value.code == "refused"
    assert notebook.counters["refused"] == 1


@pytest.mark.usefixtures("hasty")
async def test_a_late_status_is_neither_consent_nor_refusal(
    peer: SerialPeer, ports: SerialPorts, notebook: Notebook
) -> None:
    peer.answers[b"T\r"] = STATUS
    link = megatec(peer, ports)
    async with connected(link, notebook):
        assert not (await link.perform("test.battery.start.quick", {})).confirmed
    assert notebook.counters["malformed"] == 1


async def test_a_ups_that_falls_silent_after_a_command_has_not_answered(
    peer: SerialPeer, ports: SerialPorts, notebook: Notebook
) -> None:
    peer.script = lambda request, equipment: equipment.answers.clear() if request == b"T\r" else None
    link = megatec(peer, ports)
    async with connected(link, notebook):
        with pytest.raises(CommandError) as caught:
            await link.perform("test.battery.start.quick", {})
    assert caught.value.code == "no_answer"


@pytest.mark.usefixtures("hasty")
async def test_one_unanswered_poll_after_a_command_is_no_consent(
    peer: SerialPeer, ports: SerialPorts, notebook: Notebook
) -> None:
    peer.script = lambda request, equipment: equipment.answers.clear() if request == b"T\r" else None
    link = megatec(peer, ports)
    async with connected(link, notebook):
        with pytest.raises(CommandError, match="has not answered since") as caught:
            await link.perform("test.battery.start.quick", {})
    assert caught.value.code == "no_answer"


async def test_a_command_on_a_flooded_line_is_not_said_to_be_sent(
    peer: SerialPeer, ports: SerialPorts, notebook: Notebook
) -> None:
    peer.answers[b"T\r"] = b"\xff" * 3000
    link = megatec(peer, ports)
    async with connected(link, notebook):
        with pytest.raises(CommandError) as caught:
            await link.perform("test.battery.start.quick", {})
    assert caught.value.code == "no_answer"


async def test_a_dialect_that_acknowledges_must_do_so(peer: SerialPeer, ports: SerialPorts, notebook: Notebook) -> None:
    link = megatec(peer, ports, dialect="mecer")
    async with connected(link, notebook):
        with pytest.raises(CommandError, match="did not answer") as caught:
            await link.perform("test.battery.start.quick", {})
    assert caught.value.code == "no_answer"


async def test_a_command_before_the_first_status_asks_for_one(
    peer: SerialPeer, ports: SerialPorts, notebook: Notebook
) -> None:
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def hold(request: bytes, equipment: SerialPeer) -> bytes | None:
        if request == b"F\r":
            arrived.set()
            await go_on.wait()
        if request == b"Q\r":
            equipment.answers[b"Q1\r"] = status("00001000")
        return None

    peer.script = hold
    peer.answers[b"Q\r"] = b"(ACK\r"
    link = megatec(peer, ports, patience="2")
    running = asyncio.create_task(link.run(notebook))
    await arrived.wait()
    commanding = asyncio.create_task(link.perform("beeper.toggle", {}))
    await asyncio.sleep(0)
    go_on.set()
    assert (await commanding).confirmed
    running.cancel()
    await asyncio.wait({running})


async def test_a_command_before_the_first_status_of_a_dumb_ups_has_no_answer(
    peer: SerialPeer, ports: SerialPorts, notebook: Notebook
) -> None:
    arrived = asyncio.Event()

    def fall_silent(request: bytes, equipment: SerialPeer) -> None:
        if request == b"F\r":
            equipment.answers.clear()
            arrived.set()

    peer.script = fall_silent
    link = megatec(peer, ports)
    running = asyncio.create_task(link.run(notebook))
    await arrived.wait()
    with pytest.raises(CommandError, match="does not answer") as caught:
        await link.perform("beeper.toggle", {})
    assert caught.value.code == "no_answer"
    running.cancel()
    await asyncio.wait({running})


async def test_commands_and_polls_never_share_the_line(
    peer: SerialPeer, ports: SerialPorts, notebook: Notebook, hasty: None
) -> None:
    peer.answers |= {b"Q\r": b"(ACK\r", b"CT\r": b"(ACK\r"}
    link = megatec(peer, ports)
    async with connected(link, notebook):
        await asyncio.gather(*[link.perform(command, {}) for command in ("beeper.toggle", "test.battery.stop") * 4])
        trace = ports.trace(peer.path)
        assert trace is not None
        directions = [line.direction for line in trace.lines if line.direction != "#"]
    asked = [line.data for line in trace.lines if line.direction == ">"]
    assert asked.count(b"Q\r") == asked.count(b"CT\r") == 4
    assert "".join(directions).removesuffix(">") == "><" * (len(directions) // 2)


async def test_without_a_connection_a_command_is_offline(peer: SerialPeer, ports: SerialPorts) -> None:
    with pytest.raises(CommandError) as caught:
        await megatec(peer, ports).perform("beeper.toggle", {})
    assert caught.value.code == "offline"


@pytest.mark.parametrize(
    ("command", "arguments", "child", "code"),
    [
        ("test.panel.start", {}, None, "unknown_command"),
        ("beeper.toggle", {}, "1", "unknown_command"),
        ("test.battery.stop", {}, None, "unknown_command"),
        ("shutdown.stayoff", {"delay": 10_000}, None, "bad_argument"),
    ],
)
async def test_a_command_that_cannot_be_written_is_not_sent(
    peer: SerialPeer,
    ports: SerialPorts,
    notebook: Notebook,
    command: str,
    arguments: Mapping[str, float],
    child: str | None,
    code: str,
) -> None:
    peer.answers[b"QS\r"] = STATUS
    link = megatec(peer, ports, dialect="voltronic_qs")
    async with connected(link, notebook):
        peer.heard.clear()
        with pytest.raises(CommandError) as caught:
            await link.perform(command, arguments, child)
    assert caught.value.code == code
    assert set(peer.heard) <= {b"QS\r"}
