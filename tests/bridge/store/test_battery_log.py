"""The battery log: bounded, small, exact, readable while it is written, and never in anybody's way."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
import logging
from pathlib import Path
import random
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from ridethrough.battery.records import Entry
from ridethrough.clock import ManualClock
from ridethrough.site import DeviceId
from ridethrough.store import StoreError, battery_log as module
from ridethrough.store.battery_blocks import Sample
from ridethrough.store.battery_log import BatteryLog
from tests.disks import fill, small_disk

SYSTEM = DeviceId("5b1f")
START = datetime(2026, 3, 1, tzinfo=UTC)
MINUTES = timedelta(minutes=3)


def sample(voltage: float, string: int = 1, first: int = 1, blocks: int = 2) -> Sample:
    volts = [voltage + block / 100 for block in range(blocks)]
    return Sample(string, first, volts, [21.5] * blocks, [4.25] * blocks, [30.0] * blocks, [None] * blocks, -0.5, 27.0)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Have SQLAlchemy not log every statement, as a plugin of pytest wants it: there are thousands."""
    logger = logging.getLogger("sqlalchemy.engine")
    before = logger.level
    logger.setLevel(logging.WARNING)
    yield
    logger.setLevel(before)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(start=START + timedelta(days=400))


@pytest.fixture
async def log(tmp_path: Path, clock: ManualClock) -> AsyncIterator[BatteryLog]:
    async with BatteryLog.open(tmp_path / "battery.db", clock) as opened:
        yield opened


async def everything(log: BatteryLog, **which: object) -> list[Entry]:
    return [entry async for page in log.read(SYSTEM, **which) for entry in page]  # type: ignore[arg-type]  # read's own


async def volts(log: BatteryLog, number: int = 1, **which: object) -> list[float | None]:
    return [entry.values["voltage"] for entry in await everything(log, module=number, **which)]


async def test_a_block_a_string_and_a_period_can_be_read(log: BatteryLog) -> None:
    for number in range(5):
        at = START + number * MINUTES
        log.write(SYSTEM, at, [sample(13.0 + number), sample(12.0 + number, string=2, first=3)])
    log.write(DeviceId("other"), START, [sample(1.0)])
    assert await volts(log) == [13.0, 14.0, 15.0, 16.0, 17.0]
    assert await volts(log, 4) == [12.01, 13.01, 14.01, 15.01, 16.01]
    assert await volts(log, begin=START + MINUTES, end=START + 2 * MINUTES) == [14.0, 15.0]
    assert await volts(log, 5) == []
    lines = await everything(log, string=2, end=START)
    assert [(entry.at, entry.string, entry.module) for entry in lines] == [
        (START, 2, None),
        (START, 2, 3),
        (START, 2, 4),
    ]
    assert lines[0].values == {"current": -0.5, "voltage": 27.0, "charge": None}
    assert lines[1].values == {"voltage": 12.0, "temperature": 21.5, "impedance": 4.25, "duty": 30.0, "charge": None}
    assert len(await everything(log)) == 2 * 5 * 3


async def test_small_parts_are_joined_and_nothing_changes_by_it(tmp_path: Path, clock: ManualClock) -> None:
    path = tmp_path / "battery.db"
    wanted = [round(13.0 + number / 1000, 3) for number in range(300)]
    async with BatteryLog.open(path, clock) as log:
        for number, volt in enumerate(wanted):
            log.write(SYSTEM, START + number * MINUTES, [sample(volt)])
            if number % 5 == 0:
                await log.flush()
        assert await volts(log) == wanted
    with sqlite3.connect(path) as raw:
        rows = raw.execute("SELECT samples, open FROM battery_parts ORDER BY begin").fetchall()
    raw.close()
    assert rows[0][0] >= module.WHOLE
    assert rows[0][1] == 0
    assert sum(samples for samples, _ in rows) == 300
    assert len(rows) <= 2 + module.JOIN
    # What was open goes on after a restart.
    async with BatteryLog.open(path, clock) as log:
        log.write(SYSTEM, START + 300 * MINUTES, [sample(14.0)])
        assert await volts(log) == [*wanted, 14.0]


async def test_a_reader_misses_nothing_and_gets_nothing_twice_while_it_is_written(
    log: BatteryLog, clock: ManualClock
) -> None:
    for number in range(1000):
        log.write(SYSTEM, START + number * timedelta(seconds=1), [sample(number / 100)])
        if number % 20 == 19:
            await log.flush()
    found: list[float | None] = []
    more = 1000
    async for page in log.read(SYSTEM, module=1, end=START + timedelta(seconds=999)):
        found += [entry.values["voltage"] for entry in page]
        for _ in range(150):
            log.write(SYSTEM, START + more * timedelta(seconds=1), [sample(more / 100)])
            more += 1
        await log.flush()
    assert found == [number / 100 for number in range(1000)]
    assert await volts(log, end=START + timedelta(days=1)) == [number / 100 for number in range(more)]


async def test_other_blocks_and_a_clock_set_back_begin_anew(log: BatteryLog) -> None:
    log.write(SYSTEM, START, [sample(13.0)])
    log.write(SYSTEM, START + MINUTES, [sample(13.1, blocks=3)])
    await log.flush()
    log.write(SYSTEM, START + 2 * MINUTES, [sample(13.2)])
    await log.flush()
    log.write(SYSTEM, START - MINUTES, [sample(13.3)])
    log.write(SYSTEM, START + timedelta(days=90), [sample(13.4)])
    assert sorted(volt for volt in await volts(log) if volt) == [13.0, 13.1, 13.2, 13.3, 13.4]
    assert await volts(log, 3) == [13.12]


async def test_it_takes_at_most_700_bytes_for_a_module_and_a_day_in_float(tmp_path: Path, clock: ManualClock) -> None:
    path, days, blocks = tmp_path / "battery.db", 5, 32
    noise = random.Random(4)
    level = [13500 + noise.randint(-40, 40) for _ in range(blocks)]
    warm = [215 + noise.randint(-15, 15) for _ in range(blocks)]
    ohms = [420 + noise.randint(-30, 30) for _ in range(blocks)]
    async with BatteryLog.open(path, clock) as log:
        for number in range(days * 480):
            if number % 240 == 0:
                ohms = [ohm + noise.randint(-2, 2) for ohm in ohms]
            if number % 10 == 0:
                warm = [tenths + noise.choice((-1, 0, 0, 1)) for tenths in warm]
            # 2 mV of noise, as the converter of a module has it, and a duty that follows it all the time.
            now = [(base + round(noise.gauss(0, 2))) / 1000 for base in level]
            one = Sample(
                1, 1, now, [tenths / 10 for tenths in warm], [ohm / 100 for ohm in ohms],
                [max(0.0, min(100.0, 50.0 + (1000 * volt - base) * 4)) for volt, base in zip(now, level, strict=True)], [100.0] * blocks,
                round(noise.gauss(0.05, 0.02), 2), sum(now), 100.0,
            )  # fmt: skip
            log.write(SYSTEM, START + number * MINUTES, [one])
            if number % 24 == 23:
                await log.flush()
    taken = path.stat().st_size / blocks / days
    print(f"{taken:.0f} bytes per module and day")  # noqa: T201 - the figure is what a person runs this for
    assert taken <= 700


async def test_the_oldest_goes_first_when_it_is_full(tmp_path: Path, clock: ManualClock) -> None:
    path = tmp_path / "battery.db"
    noise = random.Random(1)
    async with BatteryLog.open(path, clock, size=0.08) as log:
        for number in range(25 * 60):
            one = replace(sample(0.0, blocks=40), voltage=[noise.uniform(10, 14) for _ in range(40)])
            log.write(SYSTEM, START + number * timedelta(seconds=1), [one])
            if number % 60 == 59:
                await log.flush()
                assert await log.used() <= 80_000
        found = await everything(log, module=1)
        assert found[-1].at == START + timedelta(seconds=1499)
        assert START < found[0].at < found[-1].at - timedelta(seconds=200)
        times = [entry.at for entry in found]
        assert times == sorted(set(times))
    assert path.stat().st_size < 250_000


async def test_a_killed_bridge_loses_what_waited_at_most(tmp_path: Path, clock: ManualClock) -> None:
    path = tmp_path / "battery.db"
    program = f"""
import asyncio, sys
from datetime import timedelta
from pathlib import Path
from ridethrough.clock import ManualClock
from ridethrough.store.battery_log import BatteryLog
from tests.bridge.store.test_battery_log import START, SYSTEM, sample

async def main():
    async with BatteryLog.open(Path({str(path)!r}), ManualClock()) as log:
        for number in range(100000):
            log.write(SYSTEM, START + number * timedelta(seconds=1), [sample(number / 1000)])
            if number % 7 == 6:
                await log.flush()
                print(number + 1, flush=True)

asyncio.run(main())
"""
    process = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs meanwhile
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    told = 0
    for line in process.stdout:
        told = int(line)
        if told >= 100:
            process.send_signal(signal.SIGKILL)
            break
    rest = [int(line) for line in process.stdout.read().splitlines() if line.isdigit()]
    process.wait()
    process.stdout.close()
    told = max([told, *rest])
    async with BatteryLog.open(path, clock) as log:
        found = await volts(log)
    assert len(found) >= told
    assert found == [number / 1000 for number in range(len(found))]


async def test_a_full_disk_hurts_nobody_and_is_told_once(
    tmp_path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    with small_disk(tmp_path / "disk") as disk:
        async with BatteryLog.open(disk / "battery.db", clock) as log:
            log.write(SYSTEM, START, [sample(13.0)])
            assert await log.flush()
            filler = fill(disk)
            for number in range(1, 200):
                log.write(SYSTEM, START + number * MINUTES, [sample(13.0 + number / 100, blocks=64)])
            outcomes = {await log.flush() for _ in range(3)}
            assert outcomes == {False}
            assert sum("cannot be written" in record.message for record in caplog.records) == 1
            filler.unlink()
            assert await log.flush()
            assert "is written again" in caplog.text
            assert len(await everything(log, module=1)) == 200


async def test_what_waits_is_bounded(log: BatteryLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING", 10)
    for number in range(25):
        log.write(SYSTEM, START + number * MINUTES, [sample(13.0 + number / 100)])
    assert log.lost == 15
    assert len(await volts(log)) == 10


async def test_it_writes_by_itself(log: BatteryLog, clock: ManualClock) -> None:
    running = asyncio.create_task(log.run())
    log.write(SYSTEM, START, [sample(13.0)])
    async with asyncio.timeout(5):
        while log.waiting:
            await clock.advance(module.FLUSH)
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait({running})
    assert await volts(log) == [13.0]


async def test_writing_holds_up_nobody(log: BatteryLog) -> None:
    began = time.perf_counter()
    for number in range(60):
        log.write(SYSTEM, START + number * MINUTES, [sample(13.0, string=string, blocks=32) for string in range(1, 17)])
    assert time.perf_counter() - began < 0.5
    worst = 0.0

    async def watch() -> None:
        nonlocal worst
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            worst = max(worst, time.perf_counter() - before)

    watching = asyncio.create_task(watch())
    await log.flush()
    watching.cancel()
    assert worst < 0.2


async def test_a_system_and_what_is_old_can_be_forgotten(log: BatteryLog) -> None:
    for number in range(3):
        log.write(SYSTEM, START + number * timedelta(days=1), [sample(13.0 + number)])
        await log.flush()
    assert await log.drop(SYSTEM, before=START + timedelta(days=1)) == 1
    assert await volts(log) == [14.0, 15.0]
    log.write(SYSTEM, START + timedelta(days=5), [sample(20.0)])
    log.write(DeviceId("other"), START, [sample(1.0)])
    await log.drop(SYSTEM)
    assert await everything(log) == []
    log.write(SYSTEM, START + timedelta(days=6), [sample(13.0)])
    assert await volts(log) == [13.0]


async def test_a_damaged_part_is_left_out(tmp_path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "battery.db"
    async with BatteryLog.open(path, clock) as log:
        for number in range(20):
            log.write(SYSTEM, START + number * MINUTES, [sample(13.0)])
            await log.flush()
            if number == 2:
                with sqlite3.connect(path) as raw:
                    raw.execute("UPDATE battery_parts SET data = x'00' WHERE id = 2")
                raw.close()
        assert len(await volts(log)) == 19
    assert "damaged" in caplog.text


async def test_what_cannot_be_used_is_said_so(tmp_path: Path, clock: ManualClock) -> None:
    strange = tmp_path / "strange.db"
    strange.write_bytes(b"no database at all" * 100)
    for target, sentence in (
        (strange, "not a database; move it away"),
        (tmp_path / "file" / "x", "cannot be written"),
        (
            "postgresql://user:secret@127.0.0.1:1/x",
            "127.0.0.1:1/x (needs the Python package asyncpg; install|.*refused)",
        ),
        ("postgresql+asyncpg://user:secret@127.0.0.1:1/x?password=secret", "127.0.0.1:1/x(:| needs)"),
        ("postgresql://user:secret@host:secret/x", "write it as postgresql://user:password@host/database"),
        ("nonsense", "write it as postgresql://user:password@host/database"),
    ):
        (tmp_path / "file").write_text("") if not (tmp_path / "file").exists() else None
        with pytest.raises(StoreError, match=sentence) as caught:
            async with BatteryLog.open(target, clock):
                pass
        assert "secret" not in str(caught.value)
