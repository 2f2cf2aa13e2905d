"""Every function and every exception, byte by byte (MODBUS Application Protocol Specification V1.1b3)."""

import pytest

from tests.bridge.feeds.rig import World

from .masters import ON_MAINS, READ_WORD, Master, Served, frame, served

MANY = bytes(1 + 246)


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        pytest.param("01 0074 0002", "01 01 00", id="coils: not on battery, battery not low"),
        pytest.param("01 c390 0008", "01 01 01", id="coils: the first output is on"),
        pytest.param("02 c390 0001", "02 01 01", id="discrete input"),
        pytest.param("03 006d 0001", "03 02 0004", id="holding register"),
        pytest.param("04 006d 0001", "04 02 0004", id="input register: no difference, M:1669"),
        pytest.param("03 0067 0003", "03 06 0064 00e6 0000", id="charge, voltage of L1, no L2"),
        pytest.param("05 c391 ff00", "05 c391 ff00", id="coil on"),
        pytest.param("05 c391 0000", "05 c391 0000", id="coil off"),
        pytest.param("06 c391 0001", "06 c391 0001", id="register on"),
        pytest.param("0f c390 000a 02 ff03", "8f 02", id="coils, two more than there are"),
        pytest.param("0f c390 0008 01 05", "0f c390 0008", id="eight coils"),
        pytest.param("10 c390 0002 04 0001 0000", "10 c390 0002", id="two registers"),
    ],
)
async def test_what_is_asked_is_answered(master: Master, asked: str, answered: str) -> None:
    assert await master.ask(bytes.fromhex(asked)) == bytes.fromhex(answered)


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        # 1, illegal function
        pytest.param("00", "80 01", id="function 0"),
        pytest.param("07", "87 01", id="read exception status"),
        pytest.param("08 0000 a5a5", "88 01", id="diagnostics"),
        pytest.param("16 0000 ffff 0000", "96 01", id="mask write"),
        pytest.param("17 006d 0001 c390 0001 02 0001", "97 01", id="read and write"),
        pytest.param("41", "c1 01", id="function 65"),
        pytest.param("83", "83 01", id="function with the bit of exceptions"),
        pytest.param("ff", "ff 01", id="function 255"),
        pytest.param("2b 0d 00 00", "ab 01", id="CANopen"),
        # 3, illegal value, goes before 2: the address would be wrong as well
        pytest.param("01 0000 0000", "81 03", id="no coils"),
        pytest.param("01 0000 07d1", "81 03", id="2001 coils"),
        pytest.param("02 0000 0000", "82 03", id="no discrete inputs"),
        pytest.param("02 0000 07d1", "82 03", id="2001 discrete inputs"),
        pytest.param("03 0000 0000", "83 03", id="no holding registers"),
        pytest.param("03 0000 007e", "83 03", id="126 holding registers"),
        pytest.param("03 0000 ffff", "83 03", id="65535 holding registers"),
        pytest.param("04 0000 0000", "84 03", id="no input registers"),
        pytest.param("04 0000 007e", "84 03", id="126 input registers"),
        pytest.param("05 0000 0001", "85 03", id="a coil that is neither on nor off"),
        pytest.param("05 c390 ff01", "85 03", id="a coil that is nearly on"),
        pytest.param("06 c390 0002", "86 03", id="an output that is neither on nor off"),
        pytest.param("0f 0000 0000 00", "8f 03", id="writing no coils"),
        pytest.param("0f 0000 07b1 f7" + MANY.hex(), "8f 03", id="writing 1969 coils"),
        pytest.param("0f c390 0008 02 0505", "8f 03", id="writing coils with a byte too many"),
        pytest.param("0f c390 0009 01 05", "8f 03", id="writing coils with a byte too few"),
        pytest.param("0f c390 0008 01", "8f 03", id="writing coils without their states"),
        pytest.param("10 0000 0000 00", "90 03", id="writing no registers"),
        pytest.param("10 0000 007c f8", "90 03", id="writing 124 registers"),
        pytest.param("10 c390 0001 01 00", "90 03", id="writing half a register"),
        pytest.param("10 c390 0001 02 0001 00", "90 03", id="writing a register and a half"),
        pytest.param("10 c390 0002 04 0001 0002", "90 03", id="writing a register that cannot have the value"),
        pytest.param("01", "81 03", id="coils without an address"),
        pytest.param("03 006d", "83 03", id="registers without a count"),
        pytest.param("03 006d 0001 00", "83 03", id="registers and a byte too many"),
        pytest.param("05 c390", "85 03", id="coil without a state"),
        pytest.param("06 c390", "86 03", id="register without a value"),
        pytest.param("0f c390", "8f 03", id="coils without a count"),
        pytest.param("10 c390", "90 03", id="writing registers without a count"),
        pytest.param("2b", "ab 03", id="encapsulated interface without a type"),
        pytest.param("2b 0e 01", "ab 03", id="identification without an object"),
        pytest.param("2b 0e 00 00", "ab 03", id="identification of category 0"),
        pytest.param("2b 0e 05 00", "ab 03", id="identification of category 5"),
        # 2, illegal address
        pytest.param("01 006d 0001", "81 02", id="a status word is no coil"),
        pytest.param("01 c397 0002", "81 02", id="the last coil and one that is not there"),
        pytest.param("02 0000 0001", "82 02", id="a discrete input that is not there"),
        pytest.param("03 0060 0002", "83 02", id="the first register and one before"),
        pytest.param("03 0096 0002", "83 02", id="the last register and one behind"),
        pytest.param("03 0096 007d", "83 02", id="into the gap"),
        pytest.param("03 ffff 0002", "83 02", id="beyond the last address"),
        pytest.param("04 0000 0001", "84 02", id="an input register that is not there"),
        pytest.param("05 0074 ff00", "85 02", id="a coil that is an alarm"),
        pytest.param("06 006d 0004", "86 02", id="a register that is a status word"),
        pytest.param("06 ffff 0000", "86 02", id="a register that is not there"),
        pytest.param("10 c397 0002 04 0001 0001", "90 02", id="writing the last output and one behind"),
        pytest.param("2b 0e 04 03", "ab 02", id="the vendor's URL, which there is not"),
        pytest.param("2b 0e 04 80", "ab 02", id="an extended object"),
    ],
)
async def test_what_is_refused(feed: Served, master: Master, world: World, asked: str, answered: str) -> None:
    assert await master.ask(bytes.fromhex(asked)) == bytes.fromhex(answered)
    assert world.given == []
    assert (feed.traffic.requests, feed.traffic.errors) == (1, 1)


async def test_a_frame_is_answered_with_its_own_transaction_and_unit(master: Master) -> None:
    master.send(frame(READ_WORD, unit=1, transaction=0xBEEF))
    assert await master.frame() == bytes.fromhex("beef 0000 0005 01 03 02 0004")
    master.send(frame(b"\x41", unit=1, transaction=0xFFFF))
    assert await master.frame() == bytes.fromhex("ffff 0000 0003 01 c1 01")


@pytest.mark.parametrize("unit", [0, 1, 255])
async def test_a_master_on_tcp_need_not_name_the_unit(master: Master, unit: int) -> None:
    assert await master.ask(READ_WORD, unit) == ON_MAINS


@pytest.mark.parametrize("unit", [2, 247, 248, 254])
async def test_a_unit_that_there_is_not_is_said_to_be_out_of_reach(master: Master, unit: int) -> None:
    assert await master.ask(READ_WORD, unit) == bytes.fromhex("83 0b")


async def test_a_unit_whose_device_has_gone_is_out_of_reach_until_it_is_back(master: Master, world: World) -> None:
    world.site.remove(world.context.directory.find("ups-1").id)  # type: ignore[union-attr]  # the fixture has made it
    assert await master.ask(READ_WORD) == bytes.fromhex("83 0b")
    assert await master.ask(READ_WORD, 255) == bytes.fromhex("83 0b")
    world.ups()
    assert await master.ask(READ_WORD) == ON_MAINS


async def test_the_most_that_may_be_read(master: Master) -> None:
    assert len(await master.ask(bytes.fromhex("03 0061 0036"))) == 2 + 2 * 54
    assert len(await master.ask(bytes.fromhex("03 c350 0050"))) == 2 + 2 * 80
    assert len(await master.ask(bytes.fromhex("01 c350 0048"))) == 2 + 9


async def test_identification_says_who_serves_and_what_is_shown(master: Master) -> None:
    answer = await master.ask(bytes.fromhex("2b 0e 01 00"))
    assert answer == bytes.fromhex("2b 0e 01 82 00 00 03") + b"\x00\x0bRidethrough\x01\x07default\x02\x050.1.0"
    regular = b"\x04\x0bTest bridge\x05\x10Example UPS 3000\x06\x05ups-1"
    for category in ("02", "03"):
        answer = await master.ask(bytes.fromhex(f"2b 0e {category} 03"))
        assert answer.startswith(bytes.fromhex(f"2b 0e {category} 82 00 00 06 00 0b"))
        assert answer.endswith(regular)
    assert await master.ask(bytes.fromhex("2b 0e 02 05")) == (
        bytes.fromhex("2b 0e 02 82 00 00 02") + b"\x05\x10Example UPS 3000\x06\x05ups-1"
    )
    assert await master.ask(bytes.fromhex("2b 0e 04 06")) == bytes.fromhex("2b 0e 04 82 00 00 01") + b"\x06\x05ups-1"


async def test_identification_that_is_too_long_for_one_answer_goes_on_in_the_next(world: World) -> None:
    ups = world.ups()
    world.rename(ups, "é" * 400)
    async with served(world) as feed, Master(feed.port) as master:
        first = await master.ask(bytes.fromhex("2b 0e 02 00"))
        assert first[:7] == bytes.fromhex("2b 0e 02 82 ff 06 05")
        rest = await master.ask(bytes.fromhex("2b 0e 02 06"))
        assert rest == bytes.fromhex("2b 0e 02 82 00 00 01 06 f4") + b"?" * 244
        assert len(rest) == 253
