"""What the Megatec link reads, and what goes wrong on the line, on real pseudo-terminals."""

import asyncio
import time

import pytest

from ridethrough.clock import SystemClock
from ridethrough.links.base import Credentials, LinkError
from ridethrough.links.context import LinkContext
from ridethrough.links.megatec import MegatecLink, link as link_module
from ridethrough.links.ports import SerialPorts
from ridethrough.links.schemes import open_link

from .conftest import Notebook
from .megatec import PATIENCE, connected, detecting, megatec
from .peers import MEGATEC, STATUS, SerialPeer, status


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


def test_the_url_says_everything(ports: SerialPorts) -> None:
    link = open_link(
        "megatec:/dev/serial/by-id/usb-0?baud=9600&dialect=mecer", Credentials(), LinkContext(SystemClock(), ports)
    )
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
        (
            "megatec:/dev/ttyUSB0?dialect=klingon",
            "dialect=klingon is not possible; permitted: mecer, voltronic, megatec",
        ),
        ("megatec:/dev/ttyUSB0?patience=soon", "patience=soon is not possible; permitted: 0.05 to 10"),
        ("megatec:/dev/ttyUSB0?packs=0", "packs=0 is not possible; permitted: 1 to 500"),
        ("carrier-pigeon:/loft", "no link called carrier-pigeon; permitted are, for example: .*megatec:/dev/ttyUSB0"),
        ("/dev/ttyUSB0", "must start with a scheme"),
    ],
)
def test_a_wrong_url_is_answered_with_what_is_permitted(ports: SerialPorts, url: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        open_link(url, Credentials(), LinkContext(SystemClock(), ports))
