"""The Megatec link against scripted equipment on real pseudo-terminals."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
import json
from pathlib import Path
import time

import pytest

from ridethrough.catalogue import load_catalogue
from ridethrough.clock import SystemClock
from ridethrough.links.base import CommandError, Credentials, LinkError, LinkUrl
from ridethrough.links.megatec import MegatecLink, link as link_module
from ridethrough.links.port import SerialPorts
from ridethrough.links.runner import LinkRunner, LinkState
from ridethrough.links.schemes import open_link
from ridethrough.site import Commands, Device, DeviceId, Quality, Site
from ridethrough.tasks import Backoff
from tests.strangers import recorded

from .conftest import Notebook
from .peers import MEGATEC, STATUS, SerialPeer, status

PATIENCE = 0.3
"""Seconds; as short as a busy machine allows."""


def megatec(peer: SerialPeer, ports: SerialPorts, **options: str) -> MegatecLink:
    """Make a link that is told its dialect: finding out takes time."""
    return detecting(peer, ports, **{"dialect": "megatec", **options})


def detecting(peer: SerialPeer, ports: SerialPorts, **options: str) -> MegatecLink:
    """Make a link that finds out which dialect is spoken."""
    url = LinkUrl("megatec", path=peer.path, options={"patience": str(PATIENCE), "baud": "115200", **options})
    return MegatecLink(url, Credentials(), SystemClock(), ports)


@asynccontextmanager
async def connected(link: MegatecLink, notebook: Notebook) -> AsyncIterator[asyncio.Task[None]]:
    """Run a link until its first status is there; it must not fail meanwhile."""
    running = asyncio.create_task(link.run(notebook))
    first = asyncio.create_task(notebook.until_poll())
    await asyncio.wait({running, first}, return_when=asyncio.FIRST_COMPLETED)
    try:
        if running.done():
            await running
        yield running
    finally:
        first.cancel()
        running.cancel()
        await asyncio.wait({running})


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Believe the first status after a command, for equipment that never changes its status."""
    monkeypatch.setattr(link_module, "CONFIRMATION", 0.0)


# What it reads


async def test_values_conditions_ratings_and_identity_are_reported(
    peer: SerialPeer, ports: SerialPorts, notebook: Notebook
) -> None:
    link = detecting(peer, ports)
    async with connected(link, notebook):
        assert link.dialect == "megatec"
    assert notebook.points["input.voltage"] == 226.0
    assert notebook.points["battery.voltage"] == 27.5
    assert notebook.conditions["on_battery"] is False
    assert notebook.conditions["beeper_enabled"] is True
    assert notebook.rare["battery.voltage.nominal"] == 24.0
    assert notebook.identity is not None
    assert (notebook.identity.manufacturer, notebook.identity.model, notebook.identity.firmware) == (
        "ACME POWER",
        "MT1000",
        "V1.23",
    )
    assert "test.battery.start.quick" in notebook.identity.commands


async def test_the_voltage_of_a_cell_becomes_that_of_the_battery(
    peer: SerialPeer, ports: SerialPorts, notebook: Notebook
) -> None:
    peer.answers[b"Q1\r"] = status("00000000", battery="2.27")
    async with connected(megatec(peer, ports), notebook):
        assert notebook.points["battery.voltage"] == pytest.approx(27.24)


async def test_a_person_may_say_how_many_units_the_battery_has(
    peer: SerialPeer, ports: SerialPorts, notebook: Notebook
) -> None:
    peer.answers[b"Q1\r"] = status("00000000", battery="2.27")
    async with connected(megatec(peer, ports, packs="6"), notebook):
        assert notebook.points["battery.voltage"] == pytest.approx(13.62)


async def test_a_battery_that_dies_is_not_taken_for_another_one(
    peer: SerialPeer, ports: SerialPorts, notebook: Notebook
) -> None:
    peer.answers[b"F\r"] = b"#220.0 003 048.0 50.0\r"
    peer.answers[b"Q1\r"] = status(battery="52.1")
    async with connected(megatec(peer, ports), notebook):
        peer.answers[b"Q1\r"] = status(battery="13.0")
        await notebook.until(lambda: notebook.points["battery.voltage"] != 52.1)
        assert notebook.points["battery.voltage"] == 13.0


async def test_an_outage_is_seen_and_followed_closely(
    peer: SerialPeer, ports: SerialPorts, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "BRISK", 0.02)
    async with connected(megatec(peer, ports), notebook):
        peer.answers[b"Q1\r"] = status("10001001", source="000.0")
        await notebook.until_condition("on_battery")
        assert notebook.points["input.voltage"] == 0.0
        began = time.monotonic()
        await notebook.until_poll(10)
        assert time.monotonic() - began < 10 * link_module.CALM / 2
        peer.answers[b"Q1\r"] = STATUS
        await notebook.until_condition("on_battery", False)


async def test_polls_leave_a_slow_line_some_air(peer: SerialPeer, ports: SerialPorts, notebook: Notebook) -> None:
    async def slowly(request: bytes, _equipment: SerialPeer) -> bytes | None:
        await asyncio.sleep(0.1 if request == b"Q1\r" else 0)
        return None

    peer.script = slowly
    async with connected(megatec(peer, ports), notebook):
        await notebook.until_poll()
        began = time.monotonic()
        await notebook.until_poll(3)
        taken = time.monotonic() - began
    assert 3 * 0.1 / link_module.SHARE <= taken <= 3 * link_module.CALM + 0.5


async def test_ratings_are_read_again_now_and_then(
    peer: SerialPeer, ports: SerialPorts, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "DETAILS", 0.0)
    async with connected(megatec(peer, ports), notebook):
        peer.answers[b"F\r"] = b"#220.0 003 048.0 50.0\r"
        await notebook.until(lambda: notebook.rare["battery.voltage.nominal"] == 48.0)


async def test_at_2400_baud_the_status_is_fresh_every_second(
    peer: SerialPeer, ports: SerialPorts, notebook: Notebook
) -> None:
    async def at_the_speed_of_the_line(request: bytes, equipment: SerialPeer) -> bytes:
        for byte in equipment.answers[request] or b"":
            await asyncio.sleep(10 / 2400)
            equipment.say(bytes([byte]))
        return b""

    peer.script = at_the_speed_of_the_line
    async with connected(megatec(peer, ports, baud="2400"), notebook):
        began = time.monotonic()
        await notebook.until_poll(2)
        assert time.monotonic() - began < 2.2
    assert "malformed" not in notebook.counters
    trace = ports.trace(peer.path)
    assert trace is not None
    assert STATUS in [line.data for line in trace.lines], "its bytes make one line, however they arrive"


# What goes wrong on the line


async def test_ratings_lost_on_the_line_are_asked_for_again_soon(
    peer: SerialPeer, ports: SerialPorts, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "RETRY", 0.0)
    peer.answers[b"F\r"] = b"#22\xff\r"
    async with connected(megatec(peer, ports), notebook):
        peer.answers[b"F\r"] = MEGATEC[b"F\r"]
        await notebook.until(lambda: "battery.voltage.nominal" in notebook.rare)


async def test_a_question_that_is_never_answered_is_dropped(
    peer: SerialPeer, ports: SerialPorts, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "RETRY", 0.0)
    monkeypatch.setattr(link_module, "DETAILS", 0.0)
    peer.answers[b"F\r"] = None
    async with connected(megatec(peer, ports), notebook):
        await notebook.until_poll(5)
    assert peer.heard.count(b"F\r") == link_module.HOPELESS


async def test_a_ups_that_knows_no_ratings_is_asked_once(
    peer: SerialPeer, ports: SerialPorts, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "DETAILS", 0.0)
    peer.answers[b"F\r"] = b"F\r"
    async with connected(megatec(peer, ports), notebook):
        await notebook.until_poll(2)
    assert peer.heard.count(b"F\r") == 1
    assert notebook.counters["refused"] == 1
    assert not notebook.rare


@pytest.mark.parametrize(
    ("bad", "counter"),
    [
        (STATUS[:30] + b"\r", "malformed"),
        (STATUS[:30], "malformed"),
        (b"\xff\x00\x81garbage\xfe\r", "malformed"),
        (b"Q1\r", "refused"),
        (b"", "timeouts"),
    ],
    ids=["short", "broken off", "garbled", "echoed", "silent"],
)
async def test_a_bad_answer_is_counted_and_survived(
    peer: SerialPeer, ports: SerialPorts, notebook: Notebook, bad: bytes, counter: str
) -> None:
    async with connected(megatec(peer, ports), notebook) as running:
        notebook.counters.clear()
        peer.answers[b"Q1\r"] = bad
        await notebook.until_counted(counter)
        peer.answers[b"Q1\r"] = STATUS
        await notebook.until_poll()
        assert not running.done()


async def test_an_implausible_value_is_dropped_and_counted(
    peer: SerialPeer, ports: SerialPorts, notebook: Notebook
) -> None:
    peer.answers[b"Q1\r"] = status(load="914")
    async with connected(megatec(peer, ports), notebook):
        assert "ups.load" not in notebook.points
        assert notebook.points["input.voltage"] == 226.0
        assert notebook.counters["malformed"] >= 1


async def test_a_ups_that_always_answers_late_is_read_nevertheless(
    peer: SerialPeer, ports: SerialPorts, notebook: Notebook
) -> None:
    async with connected(megatec(peer, ports), notebook) as running:

        async def late(request: bytes, _equipment: SerialPeer) -> bytes | None:
            if request == b"Q1\r":
                await asyncio.sleep(PATIENCE * 1.5)
            return None

        peer.script = late
        await notebook.until_counted("timeouts")
        peer.answers[b"Q1\r"] = status("10001001")
        await notebook.until_condition("on_battery")
        notebook.counters.clear()
        await notebook.until_poll(3)
        assert "timeouts" not in notebook.counters, "it is given more time from now on"
        assert not running.done()


async def test_a_late_status_is_not_taken_for_ratings(peer: SerialPeer, ports: SerialPorts, notebook: Notebook) -> None:
    peer.answers[b"F\r"] = STATUS + MEGATEC[b"F\r"]
    async with connected(megatec(peer, ports), notebook):
        assert notebook.rare["input.voltage.nominal"] == 220.0
        assert notebook.counters["malformed"] == 1


async def test_a_ups_that_falls_silent_is_lost(peer: SerialPeer, ports: SerialPorts, notebook: Notebook) -> None:
    async with connected(megatec(peer, ports), notebook) as running:
        peer.answers.clear()
        with pytest.raises(LinkError, match=r"no answer to Q1\\r, 3 times in a row"):
            await running
        assert notebook.counters["timeouts"] >= 3


async def test_a_line_that_only_brings_garbage_is_lost(
    peer: SerialPeer, ports: SerialPorts, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "BRISK", 0.01)
    async with connected(megatec(peer, ports), notebook) as running:
        peer.answers[b"Q1\r"] = b"Q1\r"
        with pytest.raises(LinkError, match="10 unreadable answers in a row"):
            await running


async def test_a_flood_is_survived_when_it_ends(peer: SerialPeer, ports: SerialPorts, notebook: Notebook) -> None:
    async with connected(megatec(peer, ports), notebook) as running:
        notebook.counters.clear()
        peer.answers[b"Q1\r"] = b"\xff" * 3000
        await notebook.until_counted("malformed")
        peer.answers[b"Q1\r"] = STATUS
        await notebook.until_poll()
        assert not running.done()


async def test_a_device_that_floods_from_the_start_is_refused(
    peer: SerialPeer, ports: SerialPorts, notebook: Notebook
) -> None:
    peer.answers[b"Q1\r"] = b"\xff" * 3000
    with pytest.raises(LinkError, match="does not end"):
        await detecting(peer, ports).run(notebook)


async def test_an_unplugged_ups_is_lost_at_once(peer: SerialPeer, ports: SerialPorts, notebook: Notebook) -> None:
    async with connected(megatec(peer, ports), notebook) as running:
        peer.hang_up()
        with pytest.raises(LinkError, match="unplugged"):
            await running


# Dialects


async def test_nobody_there_is_said_with_what_was_asked(
    peer: SerialPeer, ports: SerialPorts, notebook: Notebook
) -> None:
    peer.answers.clear()
    with pytest.raises(LinkError, match=r"Nothing answers on .* at 115200 baud. .*Q1 \(no answer\).*Check the cable"):
        await detecting(peer, ports).run(notebook)
    assert {b"Q1\r", b"QS\r", b"D\r"} <= set(peer.heard)


async def test_a_device_that_is_no_ups_is_said_with_what_it_answered(
    peer: SerialPeer, ports: SerialPorts, notebook: Notebook
) -> None:
    peer.answers = {b"Q1\r": b"ERROR\r"}
    with pytest.raises(LinkError, match=r"does not speak Megatec. It was asked Q1 \(answered ERROR\\r\)"):
        await detecting(peer, ports).run(notebook)


async def test_a_cable_that_only_echoes_is_no_ups(peer: SerialPeer, ports: SerialPorts, notebook: Notebook) -> None:
    peer.script = lambda request, _equipment: request
    with pytest.raises(LinkError, match=r"does not speak Megatec. It was asked Q1 \(answered Q1\)"):
        await detecting(peer, ports).run(notebook)
    assert notebook.counters["refused"] > 0


async def test_noise_during_detection_does_not_decide_on_the_dialect(
    peer: SerialPeer, ports: SerialPorts, notebook: Notebook
) -> None:
    def noisy_once(request: bytes, equipment: SerialPeer) -> bytes | None:
        return b"#AC\xff\r" if request == b"I\r" and equipment.heard.count(request) == 1 else None

    peer.script = noisy_once
    link = detecting(peer, ports)
    async with connected(link, notebook):
        assert link.dialect == "megatec"


async def test_the_dialect_is_remembered_for_the_next_connection(
    peer: SerialPeer, ports: SerialPorts, notebook: Notebook
) -> None:
    link = detecting(peer, ports)
    async with connected(link, notebook):
        pass
    peer.heard.clear()
    async with connected(link, notebook):
        assert b"QPI\r" not in peer.heard


async def test_another_ups_on_the_same_line_is_recognised(
    peer: SerialPeer, ports: SerialPorts, notebook: Notebook
) -> None:
    link = detecting(peer, ports)
    async with connected(link, notebook):
        pass
    peer.answers = {b"QS\r": status("00000000"), b"I\r": MEGATEC[b"I\r"]}
    async with connected(link, notebook):
        assert link.dialect == "mustek"


async def test_a_dialect_that_was_named_is_not_searched_for(
    peer: SerialPeer, ports: SerialPorts, notebook: Notebook
) -> None:
    link = megatec(peer, ports, dialect="q1")
    async with connected(link, notebook):
        assert link.dialect == "q1"
        assert set(peer.heard) == {b"Q1\r"}
    peer.answers.clear()
    with pytest.raises(LinkError, match="Nothing answers"):
        await link.run(notebook)


async def test_three_phase_measurements_are_read_between_the_polls(
    peer: SerialPeer, ports: SerialPorts, notebook: Notebook
) -> None:
    peer.answers = {
        b"Q1\r": STATUS,
        b"Q2\r": b"(226.6 224.3 228.0 226.6 229.9 000.0 000.0 000 000 000 49.9 327.6 18.0 00000000 "
        b"999.24 100 02 00 00 00 00 00000000 11\r",
        b"WA\r": b"(001.4 000.0 000.0 001.4 000.0 000.0 001.4 001.4 006.5 000.0 000.0 007 00000000\r",
    }
    async with connected(detecting(peer, ports), notebook):
        await notebook.until(lambda: {"input.L2-N.voltage", "ups.realpower"} <= notebook.points.keys())
    assert notebook.points["battery.charge"] == 100
    assert notebook.points["output.L1.power"] == 1400


# Commands


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


# Recordings of real dialects

ORDERS: Mapping[str, tuple[str, Mapping[str, float]]] = {
    "Q": ("beeper.toggle", {}),
    "S03": ("shutdown.return", {"delay": 180, "restore": 0}),
    "C": ("shutdown.stop", {}),
    "S02R0005": ("shutdown.return", {"delay": 120, "restore": 300}),
    "S.5R0000": ("shutdown.stayoff", {"delay": 30}),
    "T04": ("test.battery.start", {"duration": 4}),
    "TL": ("test.battery.start.deep", {}),
    "T": ("test.battery.start.quick", {}),
    "CT": ("test.battery.stop", {}),
}


def exchanges(recording: Path, dialect: str) -> dict[bytes, bytes | None]:
    return {
        exchange["command"].encode("latin-1"): exchange["answer"].encode("latin-1") or None
        for exchange in json.loads(recording.read_text())[dialect]
    }


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("dialect", ["megatec", "megatec_old", "mecer", "mustek", "zinto", "q1", "q2", "voltronic_qs"])
@recorded("serial/qx_dialects.json")
async def test_every_exchange_of_a_megatec_dialect_is_replayed(
    recording: Path, dialect: str, peer: SerialPeer, ports: SerialPorts, notebook: Notebook
) -> None:
    peer.answers = exchanges(recording, dialect)
    link = detecting(peer, ports)
    async with connected(link, notebook):
        assert link.dialect == dialect
        assert notebook.points["input.voltage"] == 215.0
        assert notebook.points["input.voltage.fault"] == 195.0
        assert notebook.points["output.voltage"] == 230.0
        assert notebook.points["ups.load"] == 14.0
        assert notebook.points["input.frequency"] == 49.0
        assert notebook.points["battery.voltage"] == 22.7
        assert notebook.points["ups.temperature"] == 30.0
        assert notebook.points["ups.type"] == "online"
        if b"F\r" in peer.answers:
            ratings = peer.answers[b"F\r"]
            assert ratings is not None
            expected = [float(word) or None for word in ratings[1:].split()]
            assert list(notebook.rare.values()) == expected
        assert notebook.identity is not None
        if {b"I\r", b"FW?\r"} & peer.answers.keys():
            assert notebook.identity.manufacturer == "NOT_A_LIVE_UPS"
            assert notebook.identity.model == "TESTING"
        for request, answer in peer.answers.items():
            if request.decode().strip() not in ORDERS:
                continue
            command, arguments = ORDERS[request.decode().strip()]
            if answer == b"(NAK\r":
                with pytest.raises(CommandError, match="refused"):
                    await link.perform(command, arguments)
            else:
                await link.perform(command, arguments)
        # Two that only Voltronic's own driver would send.
        await notebook.until(lambda: set(peer.answers) - {b"QI\r", b"M\r"} <= set(peer.heard))


@pytest.mark.parametrize(
    ("dialect", "name"),
    [("voltronic", "Voltronic"), ("voltronic_qs_hex", "Voltronic QS-hex")],
)
@recorded("serial/qx_dialects.json")
async def test_a_ups_of_another_dialect_is_called_by_its_name(
    recording: Path, dialect: str, name: str, peer: SerialPeer, ports: SerialPorts, notebook: Notebook
) -> None:
    peer.answers = exchanges(recording, dialect)
    with pytest.raises(LinkError, match=f"speaks {name}, which this link does not speak"):
        await detecting(peer, ports).run(notebook)


# In the bridge


class Watched:
    """A site with one UPS on a Megatec link."""

    def __init__(self, link: MegatecLink, granted: frozenset[str]) -> None:
        clock = SystemClock()
        self.id = DeviceId("5b1f")
        self.site = Site(load_catalogue(), clock)
        self.commands = Commands(self.site)
        self.runner = LinkRunner(
            link,
            Device(self.id, "ups-1", "ups", "UPS 1"),
            self.site,
            self.commands,
            clock,
            granted=granted,
            mint=DeviceId,
            backoff=Backoff(0.02, 0.05, 0.0),
        )
        self._changed = asyncio.Event()
        self.site.observe(lambda _change: self._changed.set())

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    def active(self, condition: str) -> bool:
        return self.site.conditions(self.id)[condition].active

    def quality(self, point: str) -> Quality:
        reading = self.site.reading(self.id, point)
        assert reading is not None
        return reading.quality


@pytest.fixture
async def watched(peer: SerialPeer, ports: SerialPorts) -> AsyncIterator[Watched]:
    """Run a UPS in a site, with the beeper granted and nothing else."""
    whole = Watched(megatec(peer, ports), frozenset({"beeper"}))
    running = asyncio.create_task(whole.runner.run())
    await whole.until(lambda: whole.runner.state is LinkState.CONNECTED)
    yield whole
    running.cancel()
    await asyncio.wait({running})


async def test_an_unplugged_ups_is_lost_in_the_site_and_good_again_when_it_is_back(
    peer: SerialPeer, watched: Watched
) -> None:
    assert watched.quality("input.voltage") is Quality.GOOD
    peer.hang_up()
    await watched.until(lambda: watched.active("communications_lost"))
    assert watched.quality("input.voltage") is Quality.LOST
    assert watched.site.conditions(watched.id)["on_battery"].quality is Quality.LOST
    peer.plug_in()
    await watched.until(lambda: not watched.active("communications_lost"))
    assert watched.quality("input.voltage") is Quality.GOOD


async def test_a_change_on_the_line_reaches_the_site_soon_after_its_last_byte(
    peer: SerialPeer, ports: SerialPorts, watched: Watched
) -> None:
    peer.answers[b"Q1\r"] = status("10001001")
    await watched.until(lambda: watched.active("on_battery"))
    state = watched.site.conditions(watched.id)["on_battery"]
    trace = ports.trace(peer.path)
    assert trace is not None
    told = next(line for line in trace.lines if b"10001001" in line.data)
    assert (state.since - told.at).total_seconds() < 0.1


async def test_only_granted_commands_reach_the_ups(peer: SerialPeer, watched: Watched) -> None:
    await watched.until(lambda: bool(watched.site.devices[watched.id].commands))
    assert watched.site.devices[watched.id].commands == {"beeper.toggle"}
    with pytest.raises(CommandError) as caught:
        await watched.commands.perform(watched.id, "load.off", {})
    assert caught.value.code == "not_granted"
    assert b"S00R0000\r" not in peer.heard


# Its URL


def test_the_url_says_everything(ports: SerialPorts) -> None:
    link = open_link("megatec:/dev/serial/by-id/usb-0?baud=9600&dialect=mecer", Credentials(), SystemClock(), ports)
    assert isinstance(link, MegatecLink)
    assert link.path == "/dev/serial/by-id/usb-0"
    assert link.dialect is None
    assert ports.trace("/dev/serial/by-id/usb-0") is not None, "a person may listen before the port is there"


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("megatec:", r"names no serial port; write it as in megatec:/dev/ttyUSB0"),
        ("megatec://host/dev/ttyUSB0", "names no serial port"),
        ("megatec:/dev/ttyUSB0?speed=2400", "no option speed; permitted: baud, parity, stop, dtr, rts, dialect"),
        ("megatec:/dev/ttyUSB0?baud=12", "baud=12 is not possible; permitted: 300"),
        ("megatec:/dev/ttyUSB0?dialect=klingon", "dialect=klingon is not known; permitted: mecer, megatec"),
        ("megatec:/dev/ttyUSB0?patience=soon", "patience=soon is not possible; permitted: 0.05 to 10"),
        ("megatec:/dev/ttyUSB0?packs=0", "packs=0 is not possible; permitted: 1 to 500"),
        ("carrier-pigeon:/loft", "no link called carrier-pigeon; permitted are, for example: .*megatec:/dev/ttyUSB0"),
        ("/dev/ttyUSB0", "must start with a scheme"),
    ],
)
def test_a_wrong_url_is_answered_with_what_is_permitted(ports: SerialPorts, url: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        open_link(url, Credentials(), SystemClock(), ports)
