"""The line: its pace, its name, what can be wrong with it, and clients that do not behave."""

import asyncio
import fcntl
import os
from pathlib import Path
from random import Random
import termios
import time

from hypothesis import given, strategies as st
import pytest
import serial

from ridethrough.sim.change import Change
from ridethrough.sim.exchange import KEPT, Exchanges
from ridethrough.sim.line import LineFaults, spoil
from ridethrough.sim.pty import PtyLine

from .conftest import Bench, client

STATUS = b"(230.0 230.0 230.0 030 50.0 27.3 25.0 00001001\r"


async def test_bytes_take_their_time_at_2400_baud(bench: Bench) -> None:
    async with bench.simulation(baud=2400) as simulation:
        began = time.time()
        assert await bench.ask(b"Q1") == STATUS
        (exchange,) = simulation.peer.exchanges.after(0)
        assert exchange.t_last_byte is not None
        # 3 bytes there, 47 back, 10 bits each.
        assert 50 * 10 / 2400 <= exchange.t_last_byte - exchange.received_at < 1.0
        assert began <= exchange.received_at


async def test_exchanges_carry_the_moment_of_the_last_byte(bench: Bench) -> None:
    async with bench.simulation() as simulation:
        before = time.time()
        await bench.ask(b"Q1")
        after = time.time()
        (exchange,) = simulation.peer.exchanges.after(0)
        assert (exchange.number, exchange.request, exchange.answer) == (1, "Q1", STATUS.decode())
        assert exchange.t_last_byte is not None
        assert before <= exchange.received_at <= exchange.t_last_byte <= after


def test_the_ring_keeps_the_last_exchanges_and_counts_all() -> None:
    ring = Exchanges()
    for _ in range(KEPT + 50):
        ring.add(b"Q1", b"\xff", 1.0, None)
    assert ring.count == KEPT + 50
    assert [ring.after(0)[0].number, ring.after(KEPT + 48)[0].number] == [51, KEPT + 49]
    assert ring.after(KEPT + 50) == []


async def test_silence_answers_nothing_but_obeys(bench: Bench) -> None:
    async with bench.simulation() as simulation:
        simulation.apply(Change(line={"silent": True}))
        assert await bench.ask(b"Q", timeout=0.1) == b""
        assert simulation.unit.state.beeper is False
        assert simulation.peer.exchanges.after(0)[0].t_last_byte is None


async def test_late_answers_are_late(bench: Bench) -> None:
    async with bench.simulation() as simulation:
        simulation.apply(Change(line={"delay": 0.2}))
        assert await bench.ask(b"Q1", timeout=0.1) == b""
        assert await bench.ask(b"Q1", timeout=1.0) == STATUS


async def test_echo_comes_before_the_answer(bench: Bench) -> None:
    async with bench.simulation() as simulation:
        simulation.apply(Change(line={"echo": True}))

        def both() -> bytes:
            with client(bench.link) as visitor:
                return visitor.ask(b"Q1") + bytes(visitor.port.read_until(b"\r"))

        assert await asyncio.to_thread(both) == b"Q1\r" + STATUS


async def test_garbled_and_cut_answers_differ_from_the_true_one(bench: Bench) -> None:
    async with bench.simulation() as simulation:
        simulation.apply(Change(line={"garble": 1.0}))
        await bench.ask(b"Q1", timeout=0.1)
        simulation.apply(Change(line={"garble": 0.0, "truncate": 1.0}))
        await bench.ask(b"Q1", timeout=0.1)
        garbled, cut = (exchange.answer for exchange in simulation.peer.exchanges.after(0))
        assert len(garbled) == len(STATUS) and garbled != STATUS.decode()
        assert STATUS.decode().startswith(cut) and len(cut) < len(STATUS)
        simulation.apply(Change(line={"truncate": 0.0}))
        assert await bench.ask(b"Q1") == STATUS


@given(st.binary(max_size=60), st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.integers())
def test_spoiling_never_adds_and_a_sound_line_changes_nothing(
    answer: bytes, garble: float, truncate: float, seed: int
) -> None:
    assert spoil(answer, LineFaults(), Random(seed)) == answer
    assert len(spoil(answer, LineFaults(garble=garble, truncate=truncate), Random(seed))) <= len(answer)


async def test_a_flood_of_garbage_comes_by_itself_and_ends(bench: Bench) -> None:
    async with bench.simulation() as simulation:
        simulation.apply(Change(line={"flood": True}))

        def listen() -> bytes:
            with client(bench.link) as visitor:
                return bytes(visitor.port.read(200))

        assert len(await asyncio.to_thread(listen)) == 200
        simulation.apply(Change(line={"flood": False}))
        assert await bench.ask(b"Q1") == STATUS


async def test_unplugged_the_client_sees_the_end_and_the_name_is_gone_until_plugged_again(bench: Bench) -> None:
    async with bench.simulation() as simulation:
        with client(bench.link) as visitor:
            assert await asyncio.to_thread(visitor.ask, b"Q1") == STATUS
            reading = asyncio.create_task(asyncio.to_thread(visitor.port.read, 1))
            simulation.apply(Change(plugged=False))
            with pytest.raises((serial.SerialException, OSError)):
                await reading
        assert not bench.link.is_symlink()
        assert simulation.state()["path"] is None
        simulation.apply(Change(plugged=False))
        simulation.apply(Change(plugged=True))
        assert bench.link.is_symlink()
        assert await bench.ask(b"Q1") == STATUS
    assert not bench.link.is_symlink()


async def test_an_answer_in_the_middle_is_cut_by_the_unplugging(bench: Bench) -> None:
    async with bench.simulation(baud=2400) as simulation:
        with client(bench.link) as visitor:
            visitor.port.write(b"Q1\rF\rI\r")
            await asyncio.to_thread(visitor.port.read, 5)
            simulation.apply(Change(plugged=False))
        simulation.apply(Change(plugged=True))
        assert await bench.ask(b"F") == b"#230.0 004 24.00 50.0\r"
        first, last = simulation.peer.exchanges.after(0)
        assert (first.request, first.t_last_byte, last.request) == ("Q1", None, "F")


async def test_a_request_whose_answer_is_delayed_dies_with_the_line(bench: Bench) -> None:
    async with bench.simulation() as simulation:
        simulation.apply(Change(line={"delay": 0.05}))
        with client(bench.link) as visitor:
            visitor.port.write(b"Q\r")
            while simulation.peer.requests == 0:
                await asyncio.sleep(0)
            simulation.apply(Change(plugged=False))
        simulation.apply(Change(plugged=True))
        assert await bench.ask(b"Q1") == STATUS
        assert [exchange.request for exchange in simulation.peer.exchanges.after(0)] == ["Q1"]


async def test_bytes_that_a_client_takes_back_before_they_are_read_hurt_nobody() -> None:
    heard: list[bytes] = []
    line = PtyLine(heard.append)
    line.plug()
    assert line._master is not None
    line._read(line._master)
    line.unplug()
    assert heard == []


async def test_garbage_without_end_is_forgotten_and_the_next_client_is_served(bench: Bench) -> None:
    async with bench.simulation() as simulation:

        def flood() -> None:
            with client(bench.link) as visitor:
                visitor.port.write_timeout = 2.0
                for _ in range(50):
                    visitor.port.write(os.urandom(2000).replace(b"\r", b""))
                visitor.port.write(b"\r")

        await asyncio.to_thread(flood)
        await bench.ask(b"", timeout=0.2)
        assert await bench.ask(b"Q1") == STATUS
        assert simulation.peer.ignored > 0


async def test_a_flood_of_requests_is_not_queued_without_bound(bench: Bench) -> None:
    async with bench.simulation(baud=2400) as simulation:
        with client(bench.link) as visitor:
            await asyncio.to_thread(visitor.port.write, b"Q1\r" * 1000)
            assert await asyncio.to_thread(visitor.port.read, 3) == b"(23"
        assert simulation.peer.ignored >= 990


async def test_too_long_a_request_is_ignored(bench: Bench) -> None:
    async with bench.simulation() as simulation:
        assert await bench.ask(b"Q" * 65, timeout=0.1) == b""
        assert simulation.peer.ignored == 1


async def test_answers_that_nobody_fetches_are_lost_and_hurt_nobody(tmp_path: Path) -> None:
    line = PtyLine(lambda data: None, link=tmp_path / "ups", baud=None)
    line.plug()
    line.plug()
    try:
        stamps = [await line.write(b"x" * 1000) for _ in range(200)]
        assert stamps[0] is not None and stamps[-1] is None
        assert line.lost_bytes > 0
    finally:
        line.unplug()
    assert await line.write(b"x") is None


async def test_the_name_of_an_earlier_simulator_is_taken_over_but_a_file_is_not(tmp_path: Path) -> None:
    link = tmp_path / "ups"
    link.symlink_to("/dev/pts/none")
    line = PtyLine(lambda data: None, link=link)
    line.plug()
    assert line.path == link and link.exists()
    link.unlink()
    link.write_text("precious")
    line.unplug()
    assert link.read_text() == "precious"
    with pytest.raises(FileExistsError):
        line.plug()
    assert not line.plugged


async def test_the_name_of_a_later_simulator_is_left_alone(tmp_path: Path) -> None:
    link = tmp_path / "ups"
    first, second = PtyLine(lambda data: None, link=link), PtyLine(lambda data: None, link=link)
    first.plug()
    second.plug()
    first.unplug()
    assert link.exists()
    second.unplug()
    assert not link.is_symlink()


async def test_a_name_in_a_folder_that_is_not_there_fails_clearly_and_leaves_nothing(tmp_path: Path) -> None:
    line = PtyLine(lambda data: None, link=tmp_path / "none" / "ups")
    with pytest.raises(FileNotFoundError):
        line.plug()
    assert not line.plugged


async def test_without_a_name_the_terminal_itself_is_offered() -> None:
    line = PtyLine(lambda data: None)
    line.plug()
    assert line.path is not None and line.path.parent == Path("/dev/pts")
    line.unplug()


async def test_a_lock_left_behind_by_a_dead_client_is_lifted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TIOCEXCL outlives its setter while this end holds the terminal open; only unprivileged users meet it."""
    monkeypatch.setattr("ridethrough.sim.pty._QUIET", 0.02)
    line = PtyLine(lambda data: None, link=tmp_path / "ups")
    line.plug()
    try:
        port = os.open(tmp_path / "ups", os.O_RDWR | os.O_NOCTTY)
        fcntl.ioctl(port, termios.TIOCEXCL)
        os.write(port, b"x")
        await asyncio.sleep(0.1)
        locked = fcntl.ioctl(port, 0x80045440, b"\0\0\0\0")  # TIOCGEXCL
        os.close(port)
        assert locked == b"\0\0\0\0"
    finally:
        line.unplug()
