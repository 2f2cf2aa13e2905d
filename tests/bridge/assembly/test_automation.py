"""Jobs, plans and the schedule in a whole bridge with a UPS on a line: fired, killed, reloaded, without a store."""

import asyncio
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
import shutil
import signal
import sqlite3

import pytest

from ridethrough.assembly import automation
from ridethrough.catalogue import Role
from ridethrough.clock import SystemClock
from ridethrough.events import scheduler
from tests.bridge.links.module_bus.peer import FakeBus, Served
from tests.bridge.links.peers import SerialPeer, status
from tests.disks import fill, small_disk

from .conftest import QUICK, House, Person
from .test_service import process

type Lines = tuple[SerialPeer, SerialPeer]

MAINS, BATTERY = status(), status("10001001")
JOBS = """jobs:
  allow: [job]
  events:
    - {id: told, on: {device: a, condition: on_battery}, do: {log: {text: Power has failed}}}
    - {id: off, on: {device: a, condition: on_battery}, when: {on_battery: SECONDS s},
       do: {command: {device: a, command: shutdown.return}}}
    - {id: clear, on: {device: a, condition: on_battery, edge: cleared}, do: {log: {text: Power is back}}}
"""
PLAN = """plans:
  - id: room
    name: Server room
    ups: [a]
    allow: [plan]
    stages:
      - id: power
        name: Power
        members: [{ups: a}]
        when: {on_battery: SECONDS s}
"""


def configure(house: House, lines: Lines, *sections: str, seconds: float = 1) -> None:
    """Write a configuration with the UPS on the first line and these sections."""
    house.write(f"  - id: a\n    name: UPS A\n    link: megatec:{lines[0].path}{QUICK}\n    allow: [shutdown]\n")
    with house.file.open("a") as file:
        file.writelines(section.replace("SECONDS", str(seconds)) for section in sections)


def orders(lines: Lines) -> list[bytes]:
    """Return the orders to switch off that the UPS has heard."""
    return [heard for heard in lines[0].heard if heard.startswith(b"S")]


async def until_ordered(lines: Lines, seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not orders(lines):
            await asyncio.sleep(0.02)


async def until_known(admin: Person) -> None:
    """Wait until the UPS is connected, and on mains."""
    await admin.subscribe(0)
    await admin.until_value("a", "link.state", lambda value: value == "connected")
    await admin.until_value("a", "input.voltage", lambda value: value == 226.0)


async def until_told(admin: Person, key: str, count: int = 1, **details: object) -> None:
    """Wait until the journal has so many events of a name, with these details."""
    async with asyncio.timeout(15):
        while sum(event["key"] == key and details.items() <= event["details"].items() for event in admin.told) < count:
            await admin.receive()


def told(admin: Person, key: str) -> list[str]:
    return [
        str(event["details"].get("job", event["details"].get("text"))) for event in admin.told if event["key"] == key
    ]


async def give(person: Person, device: str, command: str) -> str:
    """Give a device a command, and return `ok` or the code of the refusal."""
    person.asked += 1
    number = person.asked
    identity = person.key(device)
    await person.send({"type": "command", "id": number, "device": identity, "command": command, "arguments": {}})
    while (said := await person.receive())["type"] != "result" or said["id"] != number:
        pass
    return "ok" if said["ok"] else str(said["error"]["code"])


async def test_power_failure_has_its_jobs_done_and_its_end_those_of_the_end(house: House, lines: Lines) -> None:
    configure(house, lines, JOBS)
    async with process(house), house.person() as admin:
        await until_known(admin)
        lines[0].answers[b"Q1\r"] = BATTERY
        await until_told(admin, "job_done", job="off")
        assert len(orders(lines)) == 1
        lines[0].answers[b"Q1\r"] = MAINS
        await until_told(admin, "job_done", job="clear")
        assert told(admin, "job_done") == ["told", "off", "clear"]
        assert told(admin, "job_log") == ["Power has failed", "Power is back"]
        assert len(orders(lines)) == 1
    assert "Traceback" not in (house.folder / "bridge.log").read_text()


async def test_shutdown_that_became_due_while_the_bridge_was_killed_is_done_once(house: House, lines: Lines) -> None:
    configure(house, lines, JOBS, seconds=2)
    async with process(house) as bridge, house.person() as admin:
        await until_known(admin)
        lines[0].answers[b"Q1\r"] = BATTERY
        await until_told(admin, "job_done", job="told")
        bridge.kill()
        await bridge.wait()
    assert not orders(lines)
    async with process(house) as bridge, house.person() as admin:
        await until_ordered(lines)
        await admin.subscribe(0)
        await until_told(admin, "job_done", job="off")
        bridge.kill()
        await bridge.wait()
    async with process(house), house.person() as admin:
        await until_known(admin)
        await give(admin, "a", "shutdown.stop")
        assert told(admin, "job_done") == ["told", "off"]
    assert len(orders(lines)) == 1


async def test_signal_in_an_outage_drops_jobs_that_are_gone_and_lets_the_others_count_on(
    house: House, lines: Lines
) -> None:
    configure(house, lines, JOBS, seconds=60)
    async with process(house) as bridge, house.person() as admin:
        await until_known(admin)
        lines[0].answers[b"Q1\r"] = BATTERY
        await until_told(admin, "job_done", job="told")
        # One is gone, one is new and counts from the beginning of the outage, one that is new would have been at once.
        new = JOBS.replace("id: off", "id: sooner").replace("id: told", "id: at-once")
        configure(house, lines, new, PLAN.replace("SECONDS", "3600"), seconds=1)
        bridge.send_signal(signal.SIGHUP)
        await until_told(admin, "job_done", job="sooner")
        async with asyncio.timeout(5):
            while admin.key("bridge/plan-room/power") is None:
                await admin.subscribe(0)
        assert admin.point("bridge/plan-room", "plan.state")["value"] is not None
        assert {"told", "sooner"} == set(told(admin, "job_done"))
        # And back again: plans and jobs go, the outage and the bridge go on.
        configure(house, lines)
        bridge.send_signal(signal.SIGHUP)
        async with asyncio.timeout(10):
            while (await admin.subscribe(0)) and admin.key("bridge/plan-room") is not None:
                await asyncio.sleep(0.05)
        lines[0].answers[b"Q1\r"] = MAINS
        await until_told(admin, "on_battery", 2)
        assert "clear" not in told(admin, "job_done")
    assert "Traceback" not in (house.folder / "bridge.log").read_text()


async def test_plan_does_nothing_until_it_is_armed_by_somebody_with_the_right(house: House, lines: Lines) -> None:
    configure(house, lines, PLAN)
    async with process(house):
        said = {}
        for role in Role:
            async with house.person(role) as person:
                await person.subscribe(0)
                commands = ("plan.arm", "plan.run", "plan.drill", "plan.abort", "plan.disarm")
                if role is not Role.ADMIN:
                    said[role] = [await give(person, "bridge/plan-room", command) for command in commands]
        assert said[Role.GUEST] == said[Role.CUSTOMER] == ["forbidden"] * 5
        assert [said[Role.ENGINEER][place] for place in (0, 1, 4)] == ["forbidden"] * 3
        assert said[Role.ENGINEER][2] != "forbidden"
        assert not orders(lines)
        async with house.person() as admin:
            await until_known(admin)
            lines[0].answers[b"Q1\r"] = BATTERY
            await until_told(admin, "plan_would_have")
            assert not orders(lines)
            assert await give(admin, "bridge/plan-room", "plan.arm") == "ok"
            await until_ordered(lines)


@pytest.mark.parametrize("full", [False, True], ids=["room", "full-disk"])
async def test_plan_of_a_bridge_that_is_killed_goes_on_also_on_a_full_disk(
    house: House, lines: Lines, tmp_path: Path, full: bool
) -> None:
    with small_disk(tmp_path / "disk") as disk:
        shutil.copy(house.folder / "data" / "ridethrough.db", disk)
        configure(house, lines, PLAN)
        house.file.write_text(house.file.read_text().replace("data: data", f"data: {disk}"))
        async with process(house) as bridge, house.person() as admin:
            await until_known(admin)
            assert await give(admin, "bridge/plan-room", "plan.arm") == "ok"
            lines[0].answers[b"Q1\r"] = BATTERY
            await until_ordered(lines)
            bridge.kill()
            await bridge.wait()
        # As if it had been killed before it knew how the order ended.
        with closing(sqlite3.connect(disk / "ridethrough.db")) as store, store:
            changed = store.execute("UPDATE steps SET state = 'started' WHERE key LIKE 'plan:room/%'").rowcount
        assert changed
        filler = fill(disk) if full else None
        async with process(house), house.person() as admin:
            await admin.subscribe(0)
            await admin.until_value("bridge/plan-room", "plan.state", lambda value: value is not None)
            await admin.until_value("a", "link.state", lambda value: value == "connected")
            if filler is not None:
                filler.unlink()


async def test_store_that_cannot_be_read_at_the_start_keeps_only_plans_waiting(
    house: House, lines: Lines, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(automation, "RETRY", 0.05)
    configure(house, lines, JOBS, PLAN)
    path = house.folder / "data" / "ridethrough.db"
    with closing(sqlite3.connect(path)) as store, store:
        store.execute("ALTER TABLE steps RENAME TO gone")
    async with house.running(), house.person() as admin:
        await until_known(admin)
        assert admin.key("bridge/plan-room") is None
        assert await give(admin, "bridge", "job.log") != "unknown_command"
        with closing(sqlite3.connect(path)) as store, store:
            store.execute("ALTER TABLE gone RENAME TO steps")
        async with asyncio.timeout(10):
            while (await admin.subscribe(0)) and admin.key("bridge/plan-room") is None:
                await asyncio.sleep(0.05)
        lines[0].answers[b"Q1\r"] = BATTERY
        await until_told(admin, "job_done", job="off")
    assert caplog.text.count("Agents and plans cannot begin") == 1
    assert "Agents and plans have begun" in caplog.text


async def test_bridge_that_is_stopped_amid_an_order_ends_soon_and_gives_it_again(house: House, lines: Lines) -> None:
    configure(house, lines, JOBS)
    async with process(house) as bridge, house.person() as admin:
        await until_known(admin)
        # It does not say whether it will: the order goes on until its status shows it.
        lines[0].answers[b"Q1\r"] = BATTERY
        await until_ordered(lines)
        bridge.terminate()
        async with asyncio.timeout(8):
            assert await bridge.wait() == 0
    assert "Traceback" not in (house.folder / "bridge.log").read_text()
    with closing(sqlite3.connect(house.folder / "data" / "ridethrough.db")) as store:
        ((state,),) = store.execute("SELECT state FROM steps WHERE origin = 'job:off'").fetchall()
    first = len(orders(lines))
    async with process(house), house.person() as admin:
        await admin.subscribe(0)
        await until_told(admin, "job_done", job="off")
        assert len(orders(lines)) == first + (state != "done")


class Wrong(SystemClock):
    """A clock of the machine that somebody sets."""

    ahead = timedelta()

    def utc(self) -> datetime:
        return super().utc() + self.ahead


async def test_clock_that_is_set_in_an_outage_shuts_nothing_down_and_runs_the_schedule_once(
    house: House, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "LOOK", 0.05)
    start = (datetime.now() + timedelta(hours=1)).strftime("%Y-%m-%d %H:%M")
    schedule = f"""  schedule:
    - {{id: soon, start: "{start}", repeat: once, late: yes, do: {{log: {{text: It is time}}}}}}
"""
    configure(house, lines, JOBS, schedule, PLAN, seconds=600)
    clock = Wrong()
    async with house.running(clock), house.person() as admin:
        await until_known(admin)
        assert await give(admin, "bridge/plan-room", "plan.arm") == "ok"
        lines[0].answers[b"Q1\r"] = BATTERY
        await until_told(admin, "job_done", job="told")
        clock.ahead = timedelta(hours=2)
        await until_told(admin, "job_log", text="It is time")
        clock.ahead = timedelta(hours=-2)
        await asyncio.sleep(0.5)
        clock.ahead = timedelta(hours=2)
        await asyncio.sleep(0.5)
        await admin.subscribe(0)
        assert admin.conditions[admin.key("a") or ""]["on_battery"]["active"]
        assert not orders(lines)
    async with house.running(clock), house.person() as admin:
        await admin.subscribe(0)
        await until_told(admin, "started", 2)
        assert told(admin, "job_log").count("It is time") == 1
        assert not orders(lines)


async def test_job_of_the_schedule_pauses_the_equalising_of_a_battery(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "LOOK", 0.05)
    start = (datetime.now() + timedelta(hours=1)).strftime("%Y-%m-%d %H:%M")
    clock = Wrong()
    bus = FakeBus.of(2)
    async with Served(bus) as line:
        house.file.write_text(
            f"name: Here\ndata: data\napi:\n  port: {house.port}\n"
            f"batteries:\n  - {{id: room, name: Room, link: 'module_bus://{line.where}?poll=0.05&guard=3', modules: 2,\n"
            "     block: {voltage: 12 V}, equalising: {enabled: yes}, allow: [equalizing]}\n"
            "jobs:\n  schedule:\n    - id: inspection\n"
            f'      start: "{start}"\n      repeat: once\n      late: yes\n'
            "      do: {command: {device: room, command: equalizing.pause, arguments: {duration: 3}}}\n"
        )
        async with house.running(clock), house.person() as admin:
            await admin.subscribe(0)
            await admin.until_value("room", "link.state", lambda value: value == "connected")
            assert not admin.conditions[admin.key("room") or ""].get("equalizing_paused", {}).get("active")
            clock.ahead = timedelta(hours=2)
            await until_told(admin, "job_done", job="inspection")
            await admin.until_value("room", "equalizing.pause.remaining", lambda left: 10700 <= left <= 10800)
            assert admin.conditions[admin.key("room") or ""]["equalizing_paused"]["active"]
