"""The Modbus link against a device that can be told what to do wrong."""

import asyncio
import contextlib
import logging
import socket
import struct

from pymodbus.framer import FramerRTU
import pytest

from ridethrough.clock import SystemClock
from ridethrough.links.base import Credentials, LinkError
from ridethrough.links.context import LinkContext
from ridethrough.links.modbus import session as session_module, survey as survey_module
from ridethrough.links.probe import probe
from ridethrough.links.schemes import open_link
from ridethrough.site import CommandError
from tests.bridge.links.conftest import Notebook

from .conftest import Running
from .standin import ONE_PHASE, STATUS, Heard, Standin


async def lost(running: Running, url: str) -> str:
    """Run a link until it gives up, and return its sentence."""
    with pytest.raises(LinkError) as caught:
        async with running(url):
            await asyncio.Event().wait()
    return str(caught.value)


# What is read


async def test_a_one_phase_ups_is_read_with_plain_names(device: Standin, running: Running, notebook: Notebook) -> None:
    async with running(device.url):
        await notebook.until_poll(2)
    assert notebook.points == {
        "output.voltage": 230,
        "ups.load": 42,
        "battery.charge": 87,
        "input.voltage": 228,
        "ups.temperature": -5,
        "battery.runtime": 900,
        "ups.status.word": 4,
        "battery.voltage": 54,
        "input.frequency": 50,
        "input.failures": 7,
        **{f"aux.{number}": False for number in range(1, 5)},
    }
    assert {key for key, active in notebook.conditions.items() if active} == {"output_active"}
    # Whether the device is lost is for the runner to say.
    assert "communications_lost" not in notebook.conditions


async def test_phases_can_be_ordered(device: Standin, running: Running, notebook: Notebook) -> None:
    async with running(f"{device.url}&phases=3"):
        await notebook.until_poll()
    assert notebook.points["output.L1.voltage"] == 230
    assert notebook.points["output.L2.voltage"] == 0
    assert "output.voltage" not in notebook.points


async def test_a_phase_that_comes_alive_makes_it_a_three_phase_ups(
    device: Standin, running: Running, notebook: Notebook
) -> None:
    async with running(device.url):
        await notebook.until_poll()
        assert notebook.points["output.voltage"] == 230
        device.registers[98] = 231
        await notebook.until(lambda: notebook.points.get("output.L2.voltage") == 231)
    assert "output.voltage" in notebook.gone


async def test_a_change_is_seen_with_the_next_poll(device: Standin, running: Running, notebook: Notebook) -> None:
    async with running(device.url):
        await notebook.until_poll()
        device.registers[STATUS] = 12
        await notebook.until_condition("on_battery")
        device.registers[STATUS] = 4
        await notebook.until_condition("on_battery", active=False)


async def test_sensors_and_contacts_are_devices_once_they_say_something(
    device: Standin, running: Running, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "CHILDREN", 0.0)
    device.registers |= dict.fromkeys(range(50000, 50080), 0) | {144: 21, 50003: 1}
    async with running(device.url) as link:
        await notebook.until_poll(2)
        assert set(notebook.children) == {("sensor", "2"), ("io_box", "1")}
        assert notebook.names["sensor", "2"] == "Sensor 2"
        assert notebook.children["sensor", "2"].points == {"sensor.value": 21}
        assert notebook.children["io_box", "1"].points["input.4"] is True
        device.registers |= {144: 0, 50003: 0}
        await notebook.until(lambda: notebook.children["sensor", "2"].points["sensor.value"] == 0)
        await notebook.until(lambda: notebook.children["io_box", "1"].points["input.4"] is False)
        names = {(value.child, value.name) for value in link.raw()}
        assert (("sensor", "2"), "Sensormanager/SMTHCOM sensor 2") in names
        assert not any(child == ("sensor", "1") for child, _ in names)


async def test_the_probe_shows_the_printed_names(device: Standin) -> None:
    result = await probe(device.url, Credentials(), LinkContext.alone(SystemClock()))
    rows = {row.key: row for row in result.rows}
    assert (rows["OUTP0WER0"].text, rows["OUTP0WER0"].value, rows["OUTP0WER0"].unit) == ("42", 42, "%")
    assert rows["AUTONOMTIME"].text == "900"
    assert rows["INFREQ1"].quality == "not catalogued"
    assert result.complete


async def test_addresses_can_be_shifted(running: Running, notebook: Notebook) -> None:
    async with (
        Standin({address + 1: value for address, value in ONE_PHASE.items()}) as device,
        running(f"{device.url}&shift=1"),
    ):
        await notebook.until_poll()
    assert notebook.points["battery.charge"] == 87


async def test_there_are_no_commands(device: Standin, context: LinkContext) -> None:
    link = open_link(device.url, Credentials(), context)
    assert link.raw() == ()
    with pytest.raises(CommandError, match="has no commands") as caught:
        await link.perform("load.off", {})
    assert caught.value.code == "unknown_command"


# Registers that are not there


async def test_a_missing_register_is_left_out_and_told_of_once(
    device: Standin, running: Running, notebook: Notebook, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for address in (103, 110, *range(143, 151)):
        del device.registers[address]
    async with running(device.url) as link:
        await notebook.until_poll(2)
        assert "battery.charge" not in notebook.points
        assert "battery.voltage" not in notebook.points
        assert notebook.points["ups.status.word"] == 4
        asked = len(device.heard)
        await notebook.until_poll(3)
        # What is there is read in three groups now, and the rest is not asked for any more.
        assert {(heard.address, heard.count) for heard in device.heard[asked + 3 :]} <= {(97, 6), (104, 6), (111, 32)}
        assert "BATTCAP" not in {value.name for value in link.raw()}
    assert notebook.counters["refused"] == 10 + 80
    told = [record.getMessage() for record in caplog.records if "refuses" in record.getMessage()]
    assert len(told) == 2
    assert told[0].endswith("refuses 103, 110; these registers are left out")
    async with running(device.url):
        await notebook.until_poll(2)
    assert notebook.counters["refused"] > 0


async def test_a_register_that_goes_lets_its_point_go_and_may_return(
    device: Standin, running: Running, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "RETRY", 0.3)
    async with running(device.url):
        await notebook.until_poll()
        del device.registers[103]
        await notebook.until(lambda: "battery.charge" in notebook.gone)
        device.registers[103] = 33
        await notebook.until(lambda: notebook.points["battery.charge"] == 33)


@pytest.mark.parametrize("code", [2, 3, 77])
async def test_whatever_a_group_is_refused_with_it_is_taken_apart(
    device: Standin, running: Running, notebook: Notebook, code: int
) -> None:
    def refuse(heard: Heard) -> bytes | None:
        return heard.exception(code) if heard.count > 10 else None

    device.script = refuse
    async with running(device.url):
        await notebook.until_poll()
    assert notebook.points["battery.charge"] == 87
    assert notebook.points["input.failures"] == 7


async def test_a_device_that_is_silent_about_what_it_lacks_is_understood(
    device: Standin, running: Running, notebook: Notebook
) -> None:
    del device.registers[103]
    device.script = lambda heard: b"" if device.answer(heard)[7] & 0x80 else None
    async with running(f"{device.url}&timeout=0.05"):
        await notebook.until(lambda: "input.failures" in notebook.points and "ups.load" in notebook.points)
    assert "battery.charge" not in notebook.points
    assert notebook.counters["timeouts"] >= 1


# Functions


async def test_the_other_function_is_used_when_the_first_is_illegal(
    device: Standin, running: Running, notebook: Notebook
) -> None:
    device.script = lambda heard: heard.exception(1) if heard.function == 3 else None
    async with running(device.url):
        await notebook.until_poll()
    assert {heard.function for heard in device.heard[1:]} == {4}


async def test_the_other_function_is_used_when_the_first_has_no_registers(
    device: Standin, running: Running, notebook: Notebook
) -> None:
    device.script = lambda heard: heard.exception(2) if heard.function == 3 else None
    async with running(device.url):
        await notebook.until_poll()
    assert notebook.points["battery.charge"] == 87
    assert "refused" not in notebook.counters


async def test_the_function_can_be_ordered(device: Standin, running: Running, notebook: Notebook) -> None:
    async with running(f"{device.url}&function=4"):
        await notebook.until_poll()
    assert {heard.function for heard in device.heard} == {4}


async def test_an_illegal_function_for_some_registers_only(
    device: Standin, running: Running, notebook: Notebook
) -> None:
    device.script = lambda heard: heard.exception(1) if heard.address >= 50000 else None
    async with running(device.url):
        await notebook.until_poll(2)
    assert notebook.points["battery.charge"] == 87
    assert notebook.counters["refused"] == 80


# Sentences


async def test_a_refused_connection(running: Running) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    sentence = await lost(running, f"modbus://127.0.0.1:{port}/1")
    assert sentence.startswith(f"127.0.0.1:{port} refuses the connection; is Modbus over TCP enabled there")


async def test_a_dead_host(running: Running) -> None:
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        # A full queue drops what comes, as a host that is switched off does.
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for client in (first, second):
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        port = full.getsockname()[1]
        sentence = await lost(running, f"modbus://127.0.0.1:{port}/1?timeout=0.1")
    assert sentence == (
        f"127.0.0.1:{port} cannot be reached within 0.1 s; is it switched on, and is the address right?"
    )


async def test_a_unit_that_does_not_answer(device: Standin, running: Running, notebook: Notebook) -> None:
    device.script = lambda _: b""
    sentence = await lost(running, f"{device.url}&timeout=0.05")
    assert sentence == (
        f"unit 1 at 127.0.0.1:{device.port} does not answer; check the unit number (/1 in the link) and, behind a "
        "converter, framing=, and whether it speaks the map default."
    )
    assert notebook.counters == {"timeouts": 3}
    assert notebook.polls == 0


async def test_a_device_that_dies(device: Standin, running: Running, notebook: Notebook) -> None:
    async def die() -> None:
        await notebook.until_poll()
        device.script = lambda _: b""

    dying = asyncio.ensure_future(die())
    sentence = await lost(running, f"{device.url}&timeout=0.05")
    await dying
    assert sentence == f"unit 1 at 127.0.0.1:{device.port} does not answer any more, 3 times in a row."


async def test_a_map_whose_registers_are_not_there(running: Running, notebook: Notebook) -> None:
    async with Standin({0: 1, 1: 2}) as device:
        sentence = await lost(running, device.url)
        functions = {heard.function for heard in device.heard}
    assert sentence == (
        f"unit 1 at 127.0.0.1:{device.port} answers, but has none of the registers of the map default (97-142); "
        "name its map with profile=, or see whether its addresses are shifted (shift=1)."
    )
    assert functions == {3, 4}
    assert notebook.polls == 0


async def test_a_device_that_knows_neither_function(device: Standin, running: Running) -> None:
    device.script = lambda heard: heard.exception(1)
    assert "has none of the registers of the map default" in await lost(running, device.url)
    assert len(device.heard) == 2


async def test_a_map_by_which_the_mains_would_have_no_frequency(running: Running, notebook: Notebook) -> None:
    # The numbers of the cards' default map, read by that of a transfer switch.
    card = {**ONE_PHASE, 103: 87, 107: 25}
    async with Standin(card) as device:
        sentence = await lost(running, f"{device.url}&profile=sts_tumel")
    assert sentence == (
        f"unit 1 at 127.0.0.1:{device.port} answers, but by the map sts_tumel its frequency would be 87 Hz; "
        "name its map with profile=."
    )
    assert notebook.polls == 0


@pytest.mark.parametrize("frequency", [45, 60, 400])
async def test_odd_mains_frequencies_are_no_sign_of_a_wrong_map(
    running: Running, notebook: Notebook, frequency: int
) -> None:
    async with Standin({**ONE_PHASE, 111: frequency}) as device, running(device.url):
        await notebook.until_poll()
        assert notebook.points["input.frequency"] == frequency


async def test_a_map_whose_values_make_no_sense(running: Running, notebook: Notebook) -> None:
    async with Standin(dict.fromkeys(range(97, 151), 40000)) as device:
        sentence = await lost(running, device.url)
    assert "its registers make no sense as the map default (OUTPUT_VOLT0: 40000 V is not between" in sentence
    assert notebook.points == {}


async def test_a_device_that_has_zeros_everywhere(running: Running, notebook: Notebook) -> None:
    async with Standin(dict.fromkeys(range(97, 151), 0)) as device:
        sentence = await lost(running, device.url)
    assert "with zero in each of the" in sentence
    assert notebook.polls == 0


@pytest.mark.parametrize(("register", "value"), [(134, 1), (STATUS, 0x4004)])
async def test_a_card_that_has_lost_its_ups(device: Standin, running: Running, register: int, value: int) -> None:
    device.registers[register] = value
    sentence = await lost(running, device.url)
    assert sentence == f"unit 1 at 127.0.0.1:{device.port} answers, but says that it has lost its UPS."


async def test_a_module_that_is_lost_does_not_take_the_ups_along(running: Running, notebook: Notebook) -> None:
    registers = dict.fromkeys((*range(100, 184), *range(30100, 33067)), 0) | {103: 97, 104: 230, 109: 4, 30103: 98}
    async with (
        Standin(registers | {30234: 1, 30352: 7}) as device,
        running(f"{device.url.partition('?')[0]}?profile=abb&poll=0.1"),
    ):
        await notebook.until(lambda: ("ups_module", "2") in notebook.children)
    assert notebook.children["ups_module", "2"].conditions["communications_lost"] is True
    # What the card repeats for every module does not make a module of it.
    assert notebook.children.keys() == {("ups_module", "1"), ("ups_module", "2")}


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (6, "answers, but only to put us off (exception 6, device busy), 8 times in a row."),
        (11, "The gateway answers, but not unit 1 at 127.0.0.1:{port} behind it (exception 11, gateway target failed"),
    ],
)
async def test_a_device_that_stays_busy(
    device: Standin, running: Running, monkeypatch: pytest.MonkeyPatch, code: int, sentence: str
) -> None:
    monkeypatch.setattr(session_module, "PAUSE", 0.001)
    device.script = lambda heard: heard.exception(code)
    assert sentence.format(port=device.port) in await lost(running, device.url)


async def test_a_device_that_is_busy_for_a_while(
    device: Standin, running: Running, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "PAUSE", 0.01)
    device.script = lambda heard: heard.exception(6) if len(device.heard) < 4 else None
    async with running(device.url):
        await notebook.until_poll()
    assert notebook.counters["refused"] == 3
    assert notebook.points["battery.charge"] == 87


async def test_a_register_that_only_ever_fails_does_not_take_the_others_with_it(
    device: Standin, running: Running, notebook: Notebook
) -> None:
    def fail(heard: Heard) -> bytes | None:
        return heard.exception(4) if heard.address <= 103 < heard.address + heard.count else None

    device.script = fail
    async with running(f"{device.url}&longest=6"):
        await notebook.until(lambda: "ups.load" in notebook.points and "input.voltage" in notebook.points)
        await notebook.until_counted("refused")
    assert "battery.charge" not in notebook.points
    assert survey_module.STRIKES == 2


# A bad line


async def test_an_answer_in_pieces_is_put_together(device: Standin, running: Running, notebook: Notebook) -> None:
    pending: list[bytes] = []

    def dribble(heard: Heard) -> bytes:
        whole = device.answer(heard)
        pending.append(whole[20:])
        return whole[:20]

    device.script = dribble
    async with running(f"{device.url}&timeout=2"):
        while notebook.polls < 2:
            await asyncio.sleep(0.01)
            for writer in device._writers if pending else ():
                writer.write(pending.pop())
    assert notebook.points["battery.charge"] == 87
    assert "malformed" not in notebook.counters


@pytest.mark.parametrize(
    "spoil",
    [
        lambda device, heard: heard.answer(heard.values([9] * heard.count), transaction=b"\x77\x77"),
        lambda device, heard: heard.answer(heard.values([9] * heard.count), unit=2),
        lambda device, heard: b"GARBAGE GARBAGE GARBAGE",
    ],
    ids=["another transaction", "another unit", "garbage"],
)
async def test_strays_before_the_answer_are_counted_and_dropped(
    device: Standin, running: Running, notebook: Notebook, spoil: object
) -> None:
    assert callable(spoil)
    device.script = lambda heard: spoil(device, heard) + device.answer(heard)
    async with running(device.url):
        await notebook.until_poll(2)
    assert notebook.points["battery.charge"] == 87
    assert notebook.counters["malformed"] >= 2
    assert "timeouts" not in notebook.counters


async def test_answers_of_a_wrong_length_are_never_used(device: Standin, running: Running, notebook: Notebook) -> None:
    def wrong(heard: Heard) -> bytes | None:
        if len(device.heard) == 1:
            return heard.answer(heard.values([1] * (heard.count - 1)))
        return heard.answer(heard.values([1] * heard.count) + b"\x00") if len(device.heard) == 2 else None

    device.script = wrong
    async with running(device.url):
        await notebook.until_poll()
    assert notebook.points["battery.charge"] == 87
    assert notebook.counters["malformed"] == 2


async def test_half_an_answer_is_not_used(device: Standin, running: Running, notebook: Notebook) -> None:
    device.script = lambda heard: device.answer(heard)[:30] if len(device.heard) == 1 else None
    async with running(device.url):
        await notebook.until_poll()
    assert notebook.points["battery.charge"] == 87
    assert notebook.counters["malformed"] == 1


async def test_one_that_speaks_something_else(device: Standin, running: Running, notebook: Notebook) -> None:
    device.script = lambda _: b"SSH-2.0-OpenSSH_9.2p1\r\n"
    sentence = await lost(running, f"{device.url}&timeout=0.05")
    assert sentence.startswith(f"What answers for unit 1 at 127.0.0.1:{device.port} is not readable as Modbus")
    assert notebook.polls == 0


async def test_a_late_answer_is_not_taken_for_the_next(device: Standin, running: Running, notebook: Notebook) -> None:
    held: list[bytes] = []

    def late(heard: Heard) -> bytes | None:
        if len(device.heard) == 3:
            held.append(heard.answer(heard.values([1] * heard.count)))
            return b""
        return held.pop() + device.answer(heard) if held else None

    device.script = late
    async with running(device.url):
        await notebook.until_poll(4)
    assert notebook.points["battery.charge"] == 87
    assert notebook.counters["timeouts"] == 1


async def test_a_connection_that_breaks_in_the_middle_of_an_answer(device: Standin, running: Running) -> None:
    def tear(heard: Heard) -> bytes:
        for writer in device._writers:
            writer.write(device.answer(heard)[:20])
            writer.close()
        return b""

    device.script = tear
    sentence = await lost(running, device.url)
    assert sentence == f"127.0.0.1:{device.port} has closed the connection in the middle of an answer"


async def test_a_connection_that_is_reset(device: Standin, running: Running, notebook: Notebook) -> None:
    async def reset() -> None:
        await notebook.until_poll()
        device.hang_up()

    resetting = asyncio.ensure_future(reset())
    sentence = await lost(running, device.url)
    await resetting
    assert sentence.startswith(f"127.0.0.1:{device.port}")


async def test_the_same_link_connects_again(device: Standin, context: LinkContext, notebook: Notebook) -> None:
    link = open_link(device.url, Credentials(), context)
    for _ in range(2):
        running = asyncio.ensure_future(link.run(notebook))
        await notebook.until_poll(2)
        device.hang_up()
        with pytest.raises(LinkError):
            await running
    assert device.connections == 2
    assert notebook.counters["refused"] == 80  # told of once, though both connections met them


async def test_cancelling_leaves_no_connection(device: Standin, running: Running, notebook: Notebook) -> None:
    device.script = lambda _: b""
    async with running(f"{device.url}&timeout=10"):
        while not device.heard:
            await asyncio.sleep(0)
    while device._writers:
        await asyncio.sleep(0)


async def test_behind_a_converter_a_late_answer_is_outwaited(running: Running, notebook: Notebook) -> None:
    """RTU frames have no numbers: what comes late must be gone before the next question."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                question = await reader.readexactly(8)
                asked.append(question)
                address, count = struct.unpack(">HH", question[2:6])
                words = [ONE_PHASE.get(address + number, 0) for number in range(count)]
                if len(asked) == 4:
                    words = [9] * count
                    await asyncio.sleep(0.15)
                body = bytes([1, 3, 2 * count]) + struct.pack(f">{count}H", *words)
                writer.write(body + FramerRTU.compute_CRC(body).to_bytes(2))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with running(f"modbus://127.0.0.1:{port}/1?framing=rtu&poll=0.1&timeout=0.1"):
        await notebook.until_poll(5)
    server.close()
    assert notebook.points["battery.charge"] == 87
    assert notebook.counters["timeouts"] == 1
    assert notebook.counters["malformed"] == 1


async def test_a_host_without_an_address(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    async def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    sentence = await lost(running, "modbus://nowhere.invalid/1")
    assert sentence == "No computer is called nowhere.invalid; check the spelling, or write its IP address."


async def test_a_host_without_a_route(running: Running) -> None:
    # 240.0.0.0/4 is reserved: no system sends anything there.
    sentence = await lost(running, "modbus://255.255.255.255/1?timeout=0.5")
    assert sentence.startswith("255.255.255.255:502 cannot be reached")
