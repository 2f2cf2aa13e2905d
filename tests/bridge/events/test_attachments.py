"""What mails carry: the end of the event log and the values of all devices, as CSV that a spreadsheet reads as text."""

import asyncio
import csv
from datetime import UTC, datetime
import io
from pathlib import Path

import pytest

from ridethrough.catalogue import Severity, load_catalogue
from ridethrough.clock import ManualClock
from ridethrough.events import EdgeKind, Event, EventKind
from ridethrough.events.attachments import LARGEST, MOST_EVENTS, Attachments
from ridethrough.events.sheets import FORMULA
from ridethrough.site import Device, DeviceId, Site, Value
from ridethrough.store import Store

AT = datetime(2026, 11, 21, 3, tzinfo=UTC)
UPS = DeviceId("u")


def event(number: int, **details: Value) -> Event:
    edge = EdgeKind.RAISED if number % 2 else EdgeKind.CLEARED
    return Event(AT, EventKind.CONDITION, UPS, "on_battery", edge, Severity.WARNING, details)


@pytest.fixture
def site() -> Site:
    site = Site(load_catalogue(), ManualClock(AT))
    site.put(Device(UPS, "ups-1", "ups", "Rack UPS"))
    return site


def read(content: bytes) -> list[dict[str, str]]:
    assert content.startswith(b"\xef\xbb\xbf"), "spreadsheets would not know that it is UTF-8"
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


async def test_the_last_thousand_events(site: Site, tmp_path: Path) -> None:
    async with Store.open(tmp_path / "store.db") as store:
        for begin in range(0, MOST_EVENTS + 500, 500):
            await store.journal.append([event(begin + number) for number in range(500)])
        name, content = await Attachments(site, store.journal).make("events")
    rows = read(content)
    assert name == "events.csv"
    assert [int(row["seq"]) for row in rows] == list(range(501, MOST_EVENTS + 501))
    assert rows[-1] == {
        "seq": "1500",
        "at": "2026-11-21T03:00:00.000+00:00",
        "kind": "condition",
        "device": "ups-1",
        "key": "on_battery",
        "edge": "raised",
        "severity": "warning",
        "details": "",
    }


class Log:
    """A journal in memory, for what a real one does not take."""

    def __init__(self, events: list[Event]) -> None:
        self._events = events

    async def after(self, seq: int, limit: int = 1000) -> list[Event]:
        return self._events[seq : seq + limit]

    async def last(self) -> int:
        return len(self._events)


async def test_an_empty_log_is_a_heading(site: Site) -> None:
    _, content = await Attachments(site, Log([])).make("events")
    assert content.decode("utf-8-sig") == "seq,at,kind,device,key,edge,severity,details\r\n"


async def test_long_events_leave_out_the_oldest(site: Site) -> None:
    events = [event(number, message=f"{number} " + "x" * 5000) for number in range(MOST_EVENTS)]
    _, content = await Attachments(site, Log(events)).make("events")
    assert LARGEST * 0.9 < len(content) < LARGEST * 1.1
    rows = read(content)
    assert rows[-1]["details"].startswith('{"message":"999 ')
    assert 100 < len(rows) < 250


async def test_nothing_is_a_formula_and_everything_is_unicode(site: Site) -> None:
    strange: list[Event] = [
        Event(AT, EventKind.SYSTEM, None, f"{sign}1+2", EdgeKind.OCCURRED, Severity.INFO) for sign in FORMULA
    ]
    strange.append(event(1, text="\ud800", amount=float("inf"), large=2**70))
    rows = read((await Attachments(site, Log(strange)).make("events"))[1])
    assert [row["key"][:1] for row in rows[:-1]] == ["'"] * len(FORMULA)
    assert rows[-1]["details"] == f'{{"text":"?","amount":null,"large":{2**70}}}'


async def test_values_have_their_quality_and_time(site: Site) -> None:
    outlet = DeviceId("o")
    site.put(Device(outlet, "ups-1/outlet-1", "outlet", "=cmd|'/c calc'!A0", parent=UPS))
    site.lane(outlet, None).post({"outlet.power": 12.0})
    lane = site.lane(UPS, 5.0)
    lane.post({"ups.load": 33.0, "ups.alarm": "=HYPERLINK()", "ups.temperature": None})
    lane.lost()
    name, content = await Attachments(site, Log([])).make("data")
    rows = {row["point"]: row for row in read(content)}
    assert name == "values.csv"
    assert rows["ups.load"] == {
        "device": "ups-1",
        "device_name": "Rack UPS",
        "point": "ups.load",
        "name": "Load",
        "value": "33.0",
        "unit": "%",
        "quality": "lost",
        "measured_at": "2026-11-21T03:00:00+00:00",
    }
    assert rows["ups.alarm"]["value"] == "'=HYPERLINK()"
    assert rows["outlet.power"]["device_name"].startswith("'=")
    assert "ups.temperature" not in rows


async def test_a_large_site_does_not_stall_the_bridge(site: Site) -> None:
    for number in range(512):
        module = DeviceId(f"m{number}")
        site.put(Device(module, f"bs-1/battery_module-{number}", "battery_module", f"Module {number}", parent=UPS))
        site.lane(module, None).post(
            {"module.voltage": 13.5, "module.temperature": 21.0, "module.impedance": 4.2, "module.charge": 100.0}
        )
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            beats += 1
            await asyncio.sleep(0)

    beating = asyncio.create_task(beat())
    _, content = await Attachments(site, Log([])).make("data")
    beating.cancel()
    assert len(read(content)) >= 4 * 512
    assert beats >= 4, "others go on while it is made"
