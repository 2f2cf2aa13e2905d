"""The trace of a serial line."""

import asyncio
from datetime import UTC, datetime
import logging
from pathlib import Path

from hypothesis import given, strategies as st
import pytest

from ridethrough.clock import ManualClock, SystemClock, settle
from ridethrough.links.trace import NOTE, RECEIVED, SENT, Trace, TraceLine, escaped


def test_a_line_says_when_which_way_and_what() -> None:
    line = TraceLine(datetime(2026, 1, 2, 3, 4, 5, 67_000, tzinfo=UTC), SENT, b"Q1\r")
    assert str(line) == r"2026-01-02T03:04:05.067Z > Q1\r"


def test_binaries_are_shown_as_octets_too() -> None:
    line = TraceLine(datetime(2026, 1, 1, tzinfo=UTC), RECEIVED, b"#l\x01\xd0\r")
    assert str(line) == r"2026-01-01T00:00:00.000Z < #l\x01\xd0\r  [23 6c 01 d0 0d]"


@given(st.binary(max_size=40))
def test_whatever_passes_is_shown_as_one_printable_line_that_says_all(data: bytes) -> None:
    text = escaped(data)
    assert text.isascii() and text.isprintable()
    assert text.encode().decode("unicode_escape").encode("latin-1") == data


@given(st.lists(st.binary(min_size=1, max_size=700), max_size=8))
def test_no_byte_is_lost_however_the_bytes_arrive(chunks: list[bytes]) -> None:
    trace = Trace(ManualClock())
    for chunk in chunks:
        trace.record(RECEIVED, chunk)
    trace.flush()
    assert b"".join(line.data for line in trace.lines) == b"".join(chunks)
    assert all(len(line.data) <= 256 for line in trace.lines)


def test_a_line_ends_with_its_carriage_return_a_turn_or_a_pause() -> None:
    clock = ManualClock()
    trace = Trace(clock)
    trace.record(SENT, b"Q1\r")
    trace.record(RECEIVED, b"(22")
    trace.record(RECEIVED, b"6.0")
    clock.tick(0.5)
    trace.record(RECEIVED, b"late")
    trace.record(SENT, b"F\r")
    assert [(line.direction, line.data) for line in trace.lines] == [
        (SENT, b"Q1\r"),
        (RECEIVED, b"(226.0"),
        (RECEIVED, b"late"),
        (SENT, b"F\r"),
    ]


def test_memory_is_bounded() -> None:
    trace = Trace(ManualClock(), keep=10)
    trace.record(RECEIVED, b"x\r" * 1000)
    assert len(trace.lines) == 10


async def test_a_reader_gets_what_is_kept_and_then_what_comes() -> None:
    trace = Trace(SystemClock())
    trace.note("before")
    with trace.subscribe() as lines:
        assert (await anext(lines)).data == b"before"
        waiting = asyncio.ensure_future(anext(lines))
        await settle()
        trace.record(SENT, b"Q1\r")
        assert (await waiting).data == b"Q1\r"


async def test_a_reader_who_does_not_want_history_gets_none() -> None:
    trace = Trace(SystemClock())
    trace.note("before")
    with trace.subscribe(history=False) as lines:
        trace.note("after")
        assert (await anext(lines)).data == b"after"


async def test_a_slow_reader_is_told_how_much_is_missing_and_costs_no_memory() -> None:
    trace = Trace(SystemClock())
    with trace.subscribe(limit=3) as lines:
        for number in range(10):
            trace.note(str(number))
        assert [(await anext(lines)).data for _ in range(3)] == [b"0", b"1", b"2"]
        gap = await anext(lines)
        assert gap.direction == NOTE
        assert b"7 lines are missing" in gap.data
        trace.note("again")
        assert (await anext(lines)).data == b"again"


async def test_a_subscription_that_is_over_ends_its_reader() -> None:
    trace = Trace(SystemClock())
    with trace.subscribe() as lines:
        reader = asyncio.ensure_future(_collect(lines))
        trace.note("last")
        await settle()
    assert await reader == [b"last"]


async def _collect(lines: object) -> list[bytes]:
    return [line.data async for line in lines]  # type: ignore[attr-defined]


async def test_a_saved_trace_is_bounded_in_size_and_number_of_files(tmp_path: Path) -> None:
    trace = Trace(SystemClock())
    path = tmp_path / "com1.log"
    saving = asyncio.create_task(trace.save(path, size=120, files=3))
    for number in range(20):
        trace.note(f"line {number}")
    await _until_in(path, "line 19")
    saving.cancel()
    files = _files(tmp_path)
    assert [file.name for file in files] == ["com1.log", "com1.log.1", "com1.log.2"]
    assert all(file.stat().st_size <= 120 for file in files)
    kept = "".join(file.read_text() for file in reversed(files))
    assert kept.index("line 18") < kept.index("line 19")


async def test_a_trace_may_be_saved_to_one_file_alone(tmp_path: Path) -> None:
    trace = Trace(SystemClock())
    path = tmp_path / "com1.log"
    saving = asyncio.create_task(trace.save(path, size=80, files=1))
    for number in range(9):
        trace.note(f"line {number}")
    await _until_in(path, "line 8")
    saving.cancel()
    assert [file.name for file in _files(tmp_path)] == ["com1.log"]


async def test_a_full_disk_costs_lines_and_two_log_messages(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    trace = Trace(SystemClock())
    folder = tmp_path / "not there yet"
    saving = asyncio.create_task(trace.save(folder / "com1.log"))
    trace.note("lost")
    trace.note("lost too")
    while not caplog.records:
        await asyncio.sleep(0)
    folder.mkdir()
    trace.note("saved")
    await _until_in(folder / "com1.log", "saved")
    while len(caplog.records) < 2:
        await asyncio.sleep(0)
    saving.cancel()
    assert ["cannot be saved" in record.message for record in caplog.records] == [True, False]


def _files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


async def _until_in(path: Path, text: str) -> None:
    """Wait for the writer, which is a thread: the file is the only thing there is to look at."""
    async with asyncio.timeout(10):
        while text not in await asyncio.to_thread(_read, path):
            await asyncio.sleep(0.002)


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""
