"""The dialects of the Megatec family: detection, and strangers' recordings replayed."""

import asyncio
from collections.abc import Mapping
import json
from pathlib import Path

import pytest

from ridethrough.links.base import CommandError, LinkError
from ridethrough.links.port import SerialPorts
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
        await notebook.until(lambda: {"input.L2-N.voltage", "ups.realpower"} <= notebook.points.keys())
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
