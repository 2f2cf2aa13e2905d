"""The dialects of the Megatec family: detection, and strangers' recordings replayed."""

import asyncio
from collections.abc import Mapping
import json
from pathlib import Path

import pytest

from ridethrough.links.base import CommandError, LinkError
from ridethrough.links.megatec.conversation import Conversation, Verdict
from ridethrough.links.megatec.dialects import BY_NAME
from ridethrough.links.ports import SerialPorts
from ridethrough.serial_line import LineSettings
from tests.strangers import recorded

from .conftest import Notebook
from .megatec import PATIENCE, connected, detecting, megatec
from .peers import MEGATEC, STATUS, SerialPeer, status


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


async def test_an_answer_that_is_late_is_not_taken_for_another_dialect(
    peer: SerialPeer, ports: SerialPorts, notebook: Notebook
) -> None:
    async def late(request: bytes, _equipment: SerialPeer) -> bytes | None:
        if request == b"Q1\r":
            await asyncio.sleep(1.3 * PATIENCE)
        return None

    peer.script = late
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
        await notebook.until(lambda: {"input.L2.voltage", "ups.realpower"} <= notebook.points.keys())
    assert notebook.points["battery.charge"] == 100
    assert notebook.points["output.L1.power"] == 1400


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


def sent_back(request: bytes, equipment: SerialPeer) -> bytes | None:
    """Send back what is not known, as Megatec's rules have it; whoever hears nothing would have to wait."""
    return None if request in equipment.answers else request


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
    peer.answers, peer.script = exchanges(recording, dialect), sent_back
    link = detecting(peer, ports)
    async with connected(link, notebook):
        assert link.dialect == dialect
        assert notebook.points["input.voltage"] == 215.0
        assert notebook.points["input.voltage.fault"] == 195.0
        assert notebook.points["output.voltage"] == 230.0
        assert notebook.points["ups.load"] == 14.0
        frequency = "output.frequency" if dialect == "voltronic_qs" else "input.frequency"
        assert notebook.points[frequency] == 49.0
        assert notebook.points["battery.voltage"] == 22.7
        assert notebook.points["ups.temperature"] == 30.0
        assert notebook.points["ups.type"] == "online"
        if b"F\r" in peer.answers:
            ratings = peer.answers[b"F\r"]
            assert ratings is not None
            expected = [float(word) or None for word in ratings[1:].split()]
            assert [value for key, value in notebook.rare.items() if key != "ups.firmware.aux"] == expected
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
        await notebook.until(lambda: set(peer.answers) <= set(peer.heard))


@pytest.mark.usefixtures("hasty")
@recorded("serial/qx_dialects.json")
async def test_voltronics_qs_tells_charge_and_limits_besides(
    recording: Path, peer: SerialPeer, ports: SerialPorts, notebook: Notebook
) -> None:
    peer.answers, peer.script = exchanges(recording, "voltronic_qs"), sent_back
    async with connected(detecting(peer, ports), notebook), asyncio.timeout(20):
        await notebook.until(lambda: "battery.charge" in notebook.points)
    assert notebook.points["battery.charge"] == 100
    assert notebook.points["battery.runtime"] == 979
    assert notebook.points["input.frequency"] == 50.0
    assert notebook.points["output.current"] == 0.3
    assert notebook.points["input.transfer.low"] == 177
    assert notebook.points["input.transfer.high"] == 290
    assert notebook.rare["ups.firmware.aux"] == "V"


@recorded("serial/qx_dialects.json")
async def test_voltronics_qs_in_bytes_is_read(
    recording: Path, peer: SerialPeer, ports: SerialPorts, notebook: Notebook
) -> None:
    peer.answers, peer.script = exchanges(recording, "voltronic_qs_hex"), sent_back
    link = detecting(peer, ports)
    async with connected(link, notebook), asyncio.timeout(20):
        assert link.dialect == "voltronic_qs_hex"
        # 0x6C01 × 0x35 ÷ 51 ÷ 256, 0x1312D0 ÷ 0x519A, 0xE6 × 0x1E ÷ 510, and 0x09 for the bits
        assert notebook.points["input.voltage"] == 112.2
        assert notebook.points["output.voltage"] == 112.2
        assert notebook.points["ups.load"] == 3
        assert notebook.points["output.frequency"] == 59.8
        assert notebook.points["battery.voltage"] == 13.53
        assert notebook.points["ups.type"] == "line-interactive"
        assert notebook.conditions["beeper_enabled"] is True
        assert notebook.conditions["on_battery"] is False
        with pytest.raises(CommandError, match="refused to switch off in 30 s and stay off"):
            await link.perform("shutdown.stayoff", {"delay": 30})
        with pytest.raises(CommandError, match="no command test"):
            await link.perform("test.battery.start.quick", {})


def answers_of(recording: Path) -> dict[str, str]:
    return {
        exchange["command"].strip(): exchange["answer"].strip()
        for exchange in json.loads(recording.read_text())["voltronic"]
    }


@recorded("serial/qx_dialects.json")
async def test_voltronic_is_read_with_all_that_it_knows(
    recording: Path, peer: SerialPeer, ports: SerialPorts, notebook: Notebook
) -> None:
    peer.answers = exchanges(recording, "voltronic")
    link = detecting(peer, ports)
    async with connected(link, notebook), asyncio.timeout(30):
        assert link.dialect == "voltronic"
        await notebook.until(lambda: {"battery.charge", "input.bypass.L3.voltage"} <= notebook.points.keys())
        await notebook.until(lambda: ("outlet", "3") in notebook.children)
        points, rare = notebook.points, notebook.rare
        assert points["input.voltage"] == 234.9
        assert points["output.voltage"] == 229.8
        assert points["output.current"] == 0.0
        assert points["battery.voltage"] == 26.5
        assert points["ups.temperature"] == 18.8
        assert points["ups.type"] == "online"
        # `00A` is no number: it is dropped, and counted.
        assert "ups.load" not in points
        assert notebook.counters["malformed"] >= 1
        assert points["battery.packs"] == 1
        assert points["battery.charge"] == 68
        assert points["battery.runtime"] == 255 * 60
        assert [points[f"input.L{line}.voltage"] for line in "123"] == [123.4, 456.4, 789.4]
        assert points["output.L1-L2.voltage"] == 143.4
        assert points["input.L3-L1.voltage"] == 223.4
        assert [points[f"output.L{line}.current"] for line in "123"] == [109, 69, 23]
        assert [points[f"output.L{line}.power.percent"] for line in "123"] == [5, 33, 89]
        assert [points[f"input.L{line}.current"] for line in "123"] == [2, 23, 51]
        assert points["input.bypass.L1.voltage"] == 303.4
        assert rare["ups.firmware.aux"] == "PI01"
        assert rare["ups.power.nominal"] == 1000
        assert rare["output.powerfactor"] == 0.8
        assert (rare["input.phases"], rare["output.phases"]) == (2, 2)
        assert rare["output.voltage.nominal"] == 230
        assert rare["battery.voltage.low"] == 20
        assert rare["battery.type"] == "Flooded"
        assert (rare["input.transfer.eco.low"], rare["input.transfer.eco.high"]) == (218, 242)
        assert (rare["input.transfer.bypass.low"], rare["input.transfer.bypass.high"]) == (170, 264)
        assert (rare["input.frequency.low"], rare["input.frequency.high"]) == (None, 50.0)
        assert (rare["output.power.minimum.percent"], rare["output.power.maximum.percent"]) == (5, 80)
        # E p a s h c j, D b r o e g f l
        assert rare["battery.protection"] is True
        assert rare["ups.start.battery"] is True
        assert rare["ups.start.auto"] is False
        assert rare["battery.energysave"] is False
        conditions = notebook.conditions
        assert conditions["beeper_enabled"] is True
        assert conditions["overload"] is False
        assert conditions["fuse_failure"] is False
        assert conditions["eco_mode"] is False
        assert notebook.identity is not None
        assert (notebook.identity.manufacturer, notebook.identity.model) == ("VOLTRONIC", "OLHVT1K0")
        assert (notebook.identity.serial, notebook.identity.firmware) == ("685653211455", "00322.02")
        outlets = {number: child.conditions["outlet_on"] for (_, number), child in notebook.children.items()}
        assert outlets == {"1": True, "2": False, "3": True}
        assert "clock.set" not in notebook.identity.commands


VOLTRONIC_ORDERS: Mapping[str, tuple[str, Mapping[str, float], str | None]] = {
    "SOFF": ("load.off", {}, None),
    "SON": ("load.on", {}, None),
    "T": ("test.battery.start.quick", {}, None),
    "TL": ("test.battery.start.deep", {}, None),
    "T02": ("test.battery.start", {"duration": 2}, None),
    "CT": ("test.battery.stop", {}, None),
    "CS": ("shutdown.stop", {}, None),
    "BZOFF": ("beeper.disable", {}, None),
    "S.3R0002": ("shutdown.return", {"delay": 18, "restore": 120}, None),
    "S02R0024": ("shutdown.return", {"delay": 120, "restore": 1440}, None),
    "S.5": ("shutdown.return", {"delay": 30, "restore": 0}, None),
    "PEE": ("ecomode.enable", {}, None),
    "PDE": ("ecomode.disable", {}, None),
    **{f"SKON{number}": ("outlet.on", {}, number) for number in "123"},
    **{f"SKOFF{number}": ("outlet.off", {}, number) for number in "123"},
}


@pytest.mark.usefixtures("hasty")
@recorded("serial/qx_dialects.json")
async def test_voltronic_says_yes_or_no_to_every_command(
    recording: Path, peer: SerialPeer, ports: SerialPorts, notebook: Notebook
) -> None:
    peer.answers, answers = exchanges(recording, "voltronic"), answers_of(recording)
    link = megatec(peer, ports, dialect="voltronic")
    async with connected(link, notebook), asyncio.timeout(60):
        await notebook.until(lambda: len(notebook.children) == 3)
        for request, (command, arguments, outlet) in VOLTRONIC_ORDERS.items():
            if answers[request] == "(NAK":
                with pytest.raises(CommandError, match="refused"):
                    await link.perform(command, arguments, outlet)
            else:
                await link.perform(command, arguments, outlet)
            assert f"{request}\r".encode() in peer.heard
        assert "need not be told" in (await link.perform("beeper.enable", {})).message
        assert (await link.perform("outlet.on", {}, "1")).confirmed
        assert not (await link.perform("outlet.on", {}, "2")).confirmed
        with pytest.raises(CommandError) as caught:
            await link.perform("outlet.on", {}, "4")
        assert caught.value.code == "unknown_command"


@recorded("serial/qx_dialects.json")
async def test_every_other_exchange_of_voltronic_is_a_yes_a_no_or_an_answer(
    recording: Path, peer: SerialPeer, ports: SerialPorts, notebook: Notebook
) -> None:
    """Settings that this link never sends, and answers that nothing is made of: none is taken for something else."""
    peer.answers = exchanges(recording, "voltronic")
    asked = {query.command for query in (BY_NAME["voltronic"].details + BY_NAME["voltronic"].measurements)}
    others = answers_of(recording).keys() - asked - VOLTRONIC_ORDERS.keys() - {"QGS", "QPI", "BZON"}
    port = await ports.open(peer.path, LineSettings(baud=115200))
    conversation = Conversation(port, notebook, PATIENCE)
    without_meaning = {"QBDR", "QBYF", "QFS", "QGR", "QPAR", "QPD"}
    for request in others:
        verdict = await conversation.tell(f"{request}\r".encode())
        answer = answers_of(recording)[request]
        expected = {"(ACK": Verdict.CONSENT, "(NAK": Verdict.REFUSAL}.get(answer, Verdict.SILENCE)
        assert verdict is expected, request
        assert (verdict is Verdict.SILENCE) == (request in without_meaning)


@pytest.mark.parametrize("protocol", ["PI30", "PI41"])
async def test_a_solar_inverter_of_voltronic_is_told_apart(
    peer: SerialPeer, ports: SerialPorts, notebook: Notebook, protocol: str
) -> None:
    peer.answers = {b"QPI\r": f"({protocol}\r".encode()}
    with pytest.raises(LinkError, match="a protocol of Voltronic that is not for UPSes"):
        await detecting(peer, ports).run(notebook)


async def test_an_unreadable_answer_points_to_the_baud_rate(
    peer: SerialPeer, ports: SerialPorts, notebook: Notebook
) -> None:
    peer.script = lambda _request, _equipment: b"\xe0\x9e\xff\x06\x81\r"
    with pytest.raises(LinkError, match="cannot be read, as with a wrong baud rate; try baud=9600"):
        await detecting(peer, ports).run(notebook)


@pytest.mark.parametrize("silent", [b"Q1\r", b"I\r"])
async def test_a_ups_that_starts_during_the_detection_is_not_taken_for_less_than_it_is(
    peer: SerialPeer, ports: SerialPorts, notebook: Notebook, silent: bytes
) -> None:
    peer.answers = {**MEGATEC, b"QS\r": STATUS}
    first = peer.answers.pop(silent)

    def appear(request: bytes, equipment: SerialPeer) -> None:
        if request in (b"F\r", b"QS\r", b"FW?\r", b"Q2\r"):
            equipment.answers[silent] = first

    peer.script = appear
    link = detecting(peer, ports)
    async with connected(link, notebook):
        assert link.dialect == "megatec"


async def test_a_ups_that_reboots_is_known_again_at_once(
    peer: SerialPeer, ports: SerialPorts, notebook: Notebook
) -> None:
    link = detecting(peer, ports)
    async with connected(link, notebook):
        pass
    answers, peer.answers = peer.answers, {}
    peer.heard.clear()

    def wake_up(request: bytes, equipment: SerialPeer) -> None:
        if equipment.heard.count(b"Q1\r") == 2:
            equipment.answers = answers

    peer.script = wake_up
    async with connected(link, notebook):
        assert link.dialect == "megatec"
        assert b"QS\r" not in peer.heard
