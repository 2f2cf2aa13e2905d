"""The battery log and the inventory by REST."""

import asyncio
from collections.abc import AsyncIterator
import csv
from dataclasses import replace
from datetime import UTC, datetime, timedelta
import io
from pathlib import Path

import aiohttp
import pytest

from ridethrough.api.battery_sheets import SheetError, read_inventory
from ridethrough.battery.records import BLANK, Entry, RecordsError, Sheet
from ridethrough.site import Device, DeviceId
from ridethrough.store import BatteryLog, Sample, Store

from .harness import BRIDGE, World, running
from .test_downloads import bearer, get

START = datetime(2026, 3, 1, tzinfo=UTC)
SYSTEM = Device(DeviceId("ba77"), "battery-1", "battery_system", "Battery", parent=BRIDGE.id)


def sample(voltage: float, string: int = 1, first: int = 1) -> Sample:
    return Sample(string, first, [voltage, None], [21.5] * 2, [4.25] * 2, [30.0] * 2, [99.0] * 2, -0.5, 27.0, 98.0)


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[tuple[World, BatteryLog, Store]]:
    """Serve a battery system with a log and an inventory."""
    async with (
        running(tmp_path) as world,
        Store.open(tmp_path / "store.db") as store,
        BatteryLog.open(tmp_path / "battery.db", world.clock) as log,
    ):
        world.site.put(SYSTEM)
        world.site.lane(SYSTEM.id, None).post({"battery.modules": 4})
        world.server._batteries._log = log
        world.server._batteries._inventory = store.inventory
        yield world, log, store


@pytest.fixture
async def battery(world: World) -> World:
    """Serve a battery system of which nothing can be read."""
    world.site.put(SYSTEM)
    world.site.lane(SYSTEM.id, None).post({"battery.modules": 4})
    world.server._batteries._log = world.server._batteries._inventory = Broken(0)
    return world


async def rows(world: World, query: str) -> list[dict[str, str]]:
    status, text = await get(world, f"battery/battery-1.csv{query}", "customer")
    assert status == 200
    return list(csv.DictReader(io.StringIO(text, newline="")))


async def test_the_log_of_a_block_a_string_and_a_period(kept: tuple[World, BatteryLog, Store]) -> None:
    world, log, _ = kept
    for number in range(3):
        log.write(SYSTEM.id, START + timedelta(hours=number), [sample(13.0 + number), sample(12.0, 2, 3)])
    block = await rows(world, "?module=1")
    assert block[0] == {
        "at": "2026-03-01T00:00:00.000+00:00", "string": "1", "module": "1", "voltage": "13", "temperature": "21.5",
        "impedance": "4.25", "equalizing": "30", "charge": "99", "current": "",
    }  # fmt: skip
    assert [row["voltage"] for row in block] == ["13", "14", "15"]
    assert [row["voltage"] for row in await rows(world, "?module=2")] == ["", "", ""]
    string = await rows(world, "?string=2&begin=2026-03-01T01:00:00Z&end=2026-03-01T02:30:00%2B01:00")
    assert [(row["module"], row["voltage"], row["current"]) for row in string] == [
        ("", "27", "-0.5"), ("3", "12", ""), ("4", "", ""),
    ]  # fmt: skip
    assert await rows(world, "?string=2&begin=2026-03-01T02:00+01:00&end=2026-03-01T01:30Z") == string
    assert len(await rows(world, "")) == 18
    assert await rows(world, "?begin=2027-01-01") == []


async def test_a_download_goes_on_while_the_log_is_written(kept: tuple[World, BatteryLog, Store]) -> None:
    world, log, _ = kept
    for number in range(3000):
        log.write(SYSTEM.id, START + timedelta(seconds=number), [sample(number / 1000)])
        if number % 250 == 249:
            await log.flush()

    async def write_on() -> None:
        for number in range(3000, 3600):
            log.write(SYSTEM.id, START + timedelta(seconds=number), [sample(number / 1000)])
            if number % 50 == 49:
                await log.flush()

    found, _ = await asyncio.gather(rows(world, "?module=1&end=2026-03-01T00:49:59Z"), write_on())
    assert [row["voltage"] for row in found] == [f"{number / 1000:g}" for number in range(3000)]


@pytest.mark.parametrize(
    ("path", "token", "status", "sentence"),
    [
        ("battery/battery-1.csv", None, 401, "valid token"),
        ("battery/battery-1.csv", "guest", 403, "role customer"),
        ("battery/battery-2.csv", "customer", 404, "no battery system battery-2"),
        ("battery/ups-1.csv", "customer", 404, "no battery system ups-1"),
        ("battery/battery-1.csv?module=0", "customer", 400, "module must be a number from 1 to 512"),
        ("battery/battery-1.csv?module=x", "customer", 400, "module must be a number"),
        ("battery/battery-1.csv?string=17", "customer", 400, "string must be a number from 1 to 16"),
        ("battery/battery-1.csv?string=1&module=1", "customer", 400, "not both"),
        ("battery/battery-1.csv?begin=yesterday", "customer", 400, "begin must be a time"),
        ("battery/battery-1.csv?begin=2026-03-02&end=2026-03-01", "customer", 400, "end must not be before begin"),
        ("battery/battery-1.csv?begin=0001-01-01T00:00%2B14:00", "customer", 400, "begin must be a time"),
        ("battery/battery-1.csv?end=9999-12-31T23:59-12:00", "customer", 400, "end must be a time"),
        ("battery/battery-1.csv?colour=red", "customer", 400, "There is no colour; permitted: module"),
        ("inventory/battery-1.csv", "customer", 403, "role engineer"),
        ("inventory/battery-9.csv", "engineer", 404, "no battery system battery-9"),
    ],
)
async def test_what_cannot_be_fetched_is_said_so(
    battery: World, path: str, token: str | None, status: int, sentence: str
) -> None:
    got, text = await get(battery, path, token)
    assert got == status
    assert sentence in text


class Broken:
    """A log and an inventory on a disk that is gone."""

    def __init__(self, pages: int) -> None:
        self.pages = pages

    async def read(self, system: DeviceId, **_which: object) -> AsyncIterator[list[Entry]]:
        for _ in range(self.pages):
            yield [Entry(START, 1, 1, {"voltage": 13.5})]
        raise RecordsError("the disk is gone")

    async def sheet(self, system: DeviceId) -> Sheet:
        raise RecordsError("the disk is gone")

    async def replace(self, system: DeviceId, sheet: Sheet) -> None:
        raise RecordsError("the disk is gone")


async def test_a_broken_log_is_said_so_or_breaks_off(battery: World) -> None:
    assert await get(battery, "battery/battery-1.csv", "customer") == (
        503,
        "The battery log cannot be read at the moment.\n",
    )
    battery.server._batteries._log = Broken(1)
    with pytest.raises(aiohttp.ClientError):
        await get(battery, "battery/battery-1.csv", "customer")
    assert (await get(battery, "inventory/battery-1.csv", "engineer"))[0] == 503
    assert (await put(battery, "module,x\n1,y\n"))[0] == 503


async def test_without_a_log_there_is_none(world: World) -> None:
    world.site.put(SYSTEM)
    assert (await get(world, "battery/battery-1.csv", "customer"))[0] == 404
    assert (await get(world, "inventory/battery-1.csv", "engineer"))[0] == 404


# The inventory


async def put(world: World, content: str | bytes, token: str = "engineer") -> tuple[int, str]:
    url = f"{world.url}/inventory/battery-1.csv"
    async with world.session.put(url, data=content, headers=bearer(token)) as response:
        return response.status, await response.text()


async def test_notes_go_out_and_come_back(kept: tuple[World, BatteryLog, Store]) -> None:
    world, _, store = kept
    await store.inventory.name(SYSTEM.id, 1, "Replaced")
    await store.inventory.note(SYSTEM.id, 3, 1, "=2026-01-02")
    await store.inventory.note(SYSTEM.id, 3, 5, 'a "loose", nut')
    status, text = await get(world, "inventory/battery-1.csv", "engineer")
    assert status == 200
    assert text.splitlines()[0] == "module,Replaced,,,,"
    assert text.splitlines()[3] == '3,\'=2026-01-02,,,,"a ""loose"", nut"'
    assert len(text.splitlines()) == 5
    before = await store.inventory.sheet(SYSTEM.id)
    assert before == Sheet(("Replaced", "", "", "", ""), {3: ("=2026-01-02", "", "", "", 'a "loose", nut')})
    assert await put(world, text) == (204, "")
    assert await store.inventory.sheet(SYSTEM.id) == before


async def test_a_sheet_takes_the_place_of_all_notes(kept: tuple[World, BatteryLog, Store]) -> None:
    world, _, store = kept
    await store.inventory.note(SYSTEM.id, 1, 1, "old")
    # As a German spreadsheet writes it.
    assert (await put(world, "\ufeffModule;Zustand;Zelle\r\n\r\n2;gut\r\n4;;x\r\n".encode()))[0] == 204
    assert await store.inventory.sheet(SYSTEM.id) == Sheet(
        ("Zustand", "Zelle", "", "", ""), {2: ("gut", "", "", "", ""), 4: ("", "x", "", "", "")}
    )


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "line 1: the sheet is empty"),
        (b"number,x\n1,y\n", "line 1: the first line must begin with module, not 'number'"),
        (b"module,1,2,3,4,5,6\n", "line 1: there can be 5 columns, not 6"),
        (b"module," + b"x" * 65, "line 1: the name 'x.*has 65 characters"),
        (b"module,x\n1,a\n5,b\n0,c\nx,d\n", "line 3: '5' is no module; permitted: 1 to 4.\nline 4.*\nline 5"),
        (b"module,x\n1,a\n1,b\n", "line 3: module 1 stands there already"),
        (b"module,x\n1,,\n1,b\n", "line 3: module 1 stands there already"),
        (b"module,x\n1,1,2,3,4,5,6\n", "line 2: module 1 has 6 notes"),
        (b"module,x\n1," + b"x" * 201, "line 2: a note of module 1 has 201 characters; 200 are permitted"),
        (b"module,x\n1,\xff\n", "line 2: this is not UTF-8"),
        (b"module,x\n" + b"9,x\n" * 50, "line 21"),
        (b"module,x\n1," + b"x" * 140000, "line 2: field larger than field limit"),
    ],
    ids=["empty", "heading", "columns", "name", "modules", "twice", "blank", "notes", "long", "bytes", "many", "field"],
)
def test_a_wrong_sheet_is_refused_with_its_lines(content: bytes, sentence: str) -> None:
    with pytest.raises(SheetError, match=f"(?s){sentence}"):
        read_inventory(content, 4)


async def test_a_wrong_sheet_changes_nothing(kept: tuple[World, BatteryLog, Store]) -> None:
    world, _, store = kept
    await store.inventory.note(SYSTEM.id, 1, 2, "stays")
    assert await put(world, "module,x\n2,y\n9,z\n") == (400, "line 3: '9' is no module; permitted: 1 to 4.\n")
    assert (await store.inventory.sheet(SYSTEM.id)).notes == {1: ("", "stays", "", "", "")}


async def test_only_engineers_bring_sheets_and_no_large_ones(battery: World) -> None:
    assert (await put(battery, "module,x\n", token="customer"))[0] == 403
    assert (await put(battery, b"module,x\n" + b"1,x\n" * 300_000))[0] == 413


async def test_notes_are_kept_by_system_and_can_be_taken_away(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "store.db") as store:
        other = replace(SYSTEM, id=DeviceId("other")).id
        await store.inventory.note(SYSTEM.id, 512, 5, " text ")
        await store.inventory.note(other, 1, 1, "of the other")
        assert (await store.inventory.sheet(SYSTEM.id)).notes == {512: (*BLANK[1:], "text")}
        await store.inventory.note(SYSTEM.id, 512, 5, "")
        assert await store.inventory.sheet(SYSTEM.id) == Sheet()
        with pytest.raises(ValueError, match="columns 1 to 5"):
            await store.inventory.name(SYSTEM.id, 6, "x")
        await store.facts.put(f"inventory/{SYSTEM.id}/7", "no JSON")
        await store.facts.put(f"inventory/{SYSTEM.id}/8", "12")
        assert await store.inventory.sheet(SYSTEM.id) == Sheet()
        await store.inventory.forget(SYSTEM.id)
        assert (await store.inventory.sheet(other)).notes == {1: ("of the other", "", "", "", "")}
    with pytest.raises(RecordsError, match="closed"):
        await store.inventory.sheet(SYSTEM.id)
    with pytest.raises(RecordsError, match="closed"):
        await store.inventory.forget(SYSTEM.id)
