"""The Megatec face over a real pseudo terminal, with a plain serial client."""

import asyncio

import pytest

from ridethrough.sim.change import Change
from ridethrough.sim.ups import BatteryTest, Outcome, Supply

from .conftest import Bench


async def bits(bench: Bench) -> str:
    return (await bench.ask(b"Q1")).decode().split()[-1]


async def test_status_has_the_form_of_the_protocol(bench: Bench) -> None:
    async with bench.simulation():
        assert await bench.ask(b"Q1") == b"(230.0 230.0 230.0 030 50.0 27.3 25.0 00001001\r"


async def test_online_units_give_volts_per_cell_and_say_that_they_are_online(bench: Bench) -> None:
    async with bench.simulation("online-3000"):
        assert await bench.ask(b"Q1") == b"(230.0 230.0 230.0 030 50.0 2.27 25.0 00000001\r"
        assert await bench.ask(b"F") == b"#230.0 013 96.00 50.0\r"


async def test_ratings_and_identity_have_fixed_widths(bench: Bench) -> None:
    async with bench.simulation():
        assert await bench.ask(b"F") == b"#230.0 004 24.00 50.0\r"
        identity = await bench.ask(b"I")
        assert identity == b"#Ridethrough     LI-1000    SIM1.0    \r"
        assert len(identity) == 39


@pytest.mark.parametrize(
    "request_", [b"X", b"q1", b"Q1Q1", b"T00", b"T1", b"TLL", b"S.1", b"S1", b"S01R1", b"D", b"\xff\x00"]
)
async def test_what_is_not_understood_comes_back(bench: Bench, request_: bytes) -> None:
    async with bench.simulation():
        assert await bench.ask(request_) == request_ + b"\r"


async def test_an_older_unit_answers_d_instead_of_q1(bench: Bench) -> None:
    async with bench.simulation(device="megatec-old"):
        assert (await bench.ask(b"D")).startswith(b"(230.0 ")
        assert await bench.ask(b"Q1") == b"Q1\r"


async def test_outage_shows_in_the_bits_and_the_voltages(bench: Bench) -> None:
    async with bench.simulation() as simulation:
        simulation.apply(Change(mains=False))
        bench.clock.tick(5.0)
        first = await bench.ask(b"Q1")
        assert first.startswith(b"(000.0 000.0 230.0 030 00.0 25.")
        assert first.endswith(b"10001001\r")


async def test_fault_voltage_holds_a_glitch_until_it_has_been_read(bench: Bench) -> None:
    async with bench.simulation() as simulation:
        simulation.apply(Change(mains=145.0))
        simulation.apply(Change(mains=True))
        bench.clock.tick(10.0)
        assert (await bench.ask(b"Q1")).startswith(b"(230.0 145.0 230.0")
        assert (await bench.ask(b"Q1")).startswith(b"(230.0 230.0 230.0")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (Change(charge=0.1), "01001001"),
        (Change(mains=200.0), "00101001"),
        (Change(faults={"fan": 1.0}), "00011001"),
        (Change(beeper=False), "00001000"),
        (Change(mains=False, charge=0.1), "11001001"),
    ],
)
async def test_each_state_has_its_bit(bench: Bench, change: Change, expected: str) -> None:
    async with bench.simulation() as simulation:
        simulation.apply(change)
        assert await bits(bench) == expected


@pytest.mark.parametrize(
    ("order", "kind", "seconds"),
    [(b"T", BatteryTest.QUICK, 10.0), (b"T05", BatteryTest.TIMED, 300.0), (b"TL", BatteryTest.DEEP, float("inf"))],
)
async def test_tests_begin_and_can_be_cancelled(bench: Bench, order: bytes, kind: BatteryTest, seconds: float) -> None:
    async with bench.simulation() as simulation:
        await bench.tell(order)
        assert (simulation.unit.state.test, simulation.unit.state.test_left) == (kind, seconds)
        assert await bits(bench) == "00001101"
        await bench.tell(b"CT")
        assert await bits(bench) == "00001001"
        assert simulation.unit.state.outcome is Outcome.ABORTED


async def test_the_beeper_is_toggled(bench: Bench) -> None:
    async with bench.simulation():
        await bench.tell(b"Q")
        assert await bits(bench) == "00001000"
        await bench.tell(b"Q")
        assert await bits(bench) == "00001001"


@pytest.mark.parametrize(
    ("order", "delay", "off_for"), [(b"S.2R0003", 12.0, 180.0), (b"S02R0001", 120.0, 60.0), (b"S.5", 30.0, 10.0)]
)
async def test_shutdown_and_restore_with_mains_present(
    bench: Bench, order: bytes, delay: float, off_for: float
) -> None:
    async with bench.simulation():
        await bench.tell(order)
        assert await bits(bench) == "00001011"
        bench.clock.tick(delay - 0.5)
        assert (await bench.ask(b"Q1")).split()[2] == b"230.0"
        bench.clock.tick(1.0)
        assert (await bench.ask(b"Q1")).split()[2:4] == [b"000.0", b"000"]
        bench.clock.tick(off_for - 1.0)
        assert await bits(bench) == "00001011"
        bench.clock.tick(1.0)
        assert await bits(bench) == "00001001"


async def test_shutdown_on_battery_leaves_the_line_silent_until_mains_returns(bench: Bench) -> None:
    async with bench.simulation() as simulation:
        simulation.apply(Change(mains=False))
        await bench.tell(b"S.3R0002")
        bench.clock.tick(20.0)
        assert await bench.ask(b"Q1", timeout=0.1) == b""
        bench.clock.tick(600.0)
        simulation.apply(Change(mains=True))
        assert await bits(bench) == "00001011"
        bench.clock.tick(11.0)
        assert await bits(bench) == "00001001"


async def test_load_off_and_load_on_as_clients_do_it(bench: Bench) -> None:
    async with bench.simulation() as simulation:
        await bench.tell(b"S00R0000")
        bench.clock.tick(86400.0)
        assert (await bench.ask(b"Q1")).split()[2] == b"000.0"
        await bench.tell(b"C")
        bench.clock.tick(10.5)
        await bench.ask(b"Q1")
        assert simulation.unit.state.supply is Supply.MAINS


async def test_a_pending_shutdown_is_cancelled(bench: Bench) -> None:
    async with bench.simulation():
        await bench.tell(b"S02R0001")
        await bench.tell(b"C")
        assert await bits(bench) == "00001001"


async def test_extreme_values_keep_the_width_of_their_fields(bench: Bench) -> None:
    stuck = {"input_voltage": -3.0, "temperature": -40.0, "load": 12.0, "frequency": 400.0}
    async with bench.simulation() as simulation:
        simulation.apply(Change(stuck=stuck))
        assert await bench.ask(b"Q1") == b"(000.0 000.0 230.0 999 99.9 27.3 -9.9 00001001\r"


async def test_two_clients_in_turn_and_one_after_a_rude_one(bench: Bench) -> None:
    async with bench.simulation():
        assert (await bench.ask(b"Q1")).startswith(b"(")

        def rude() -> None:
            with open(bench.link, "r+b", buffering=0) as port:  # noqa: PTH123 # a device, not a file
                port.write(b"half a requ")

        await asyncio.to_thread(rude)
        await bench.ask(b"", timeout=0.5)
        assert (await bench.ask(b"Q1")).startswith(b"(")
