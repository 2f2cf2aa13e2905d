"""Health, the journal as CSV, and the live trace."""

import asyncio
import csv
from dataclasses import replace
import io
from pathlib import Path

import aiohttp
import orjson
import pytest
from yarl import URL

from ridethrough.catalogue import Severity
from ridethrough.clock import ManualClock
from ridethrough.events.event import EdgeKind, Event, EventKind, JournalError
from ridethrough.site import Alert, CommandError

from .harness import BRIDGE, LIMITS, NOW, UPS, World, event, running


def bearer(token: str) -> dict[str, str]:
    """Say who we are, as HTTP has it."""
    return {"Authorization": f"Bearer {token}"}


async def get(world: World, path: str, token: str | None = None) -> tuple[int, str]:
    """Fetch something; status and text."""
    async with world.session.get(f"{world.url}/{path}", headers=bearer(token) if token else {}) as response:
        return response.status, (await response.read()).decode()


async def test_health_needs_no_token(world: World) -> None:
    async with world.session.get(f"{world.url}/health") as response:
        assert response.headers["Server"] == "Ridethrough"
        assert response.content_type == "application/json"
        assert orjson.loads(await response.read()) == {
            "status": "ok", "api": {"min": 1, "max": 1}, "id": BRIDGE.id, "version": "0.1.0"
        }  # fmt: skip


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({}, 401),
        ({"Authorization": "Basic YWRtaW46YWRtaW4="}, 401),
        ({"Authorization": "Bearer"}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "Bearer " + "x" * 600}, 401),
        ({"Authorization": "Bearer guest"}, 403),
        ({"Authorization": "bearer customer"}, 200),
    ],
)
async def test_events_need_a_token_of_a_customer(world: World, said: dict[str, str], status: int) -> None:
    async with world.session.get(f"{world.url}/events.csv", headers=said) as response:
        assert response.status == status
        if status == 401:
            assert response.headers["WWW-Authenticate"] == "Bearer"


async def test_events_are_csv_that_a_spreadsheet_reads_as_text(world: World) -> None:
    await world.recorder.record(event(details={"note": 'a "quoted", line\r\nand another', "n": -1.5}))
    for key in ("=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"):
        await world.recorder.record(
            Event(NOW, EventKind.SYSTEM, None, key, EdgeKind.OCCURRED, Severity.INFO, {"surrogate": "\udc80"})
        )
    gone = replace(event(), device=replace(UPS, id="gone").id)  # type: ignore[arg-type]  # an id is an id
    await world.recorder.record(gone)
    async with world.session.get(f"{world.url}/events.csv", headers=bearer("customer")) as response:
        assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert response.headers["Content-Disposition"] == 'attachment; filename="events.csv"'
        rows = list(csv.DictReader(io.StringIO(await response.text(), newline="")))
    assert rows[0] == {
        "seq": "1",
        "at": "2026-01-02T03:04:05.678+00:00",
        "kind": "condition",
        "device": "ups-1",
        "key": "on_battery",
        "edge": "raised",
        "severity": "warning",
        "details": rows[0]["details"],
    }
    assert orjson.loads(rows[0]["details"]) == {"note": 'a "quoted", line\r\nand another', "n": -1.5}
    assert [row["key"] for row in rows[1:7]] == ["'=1+1", "'+1", "'-1", "'@SUM(A1)", "'\tx", "'\rx"]
    assert rows[7]["device"] == "gone"
    assert rows[7]["details"] == ""


async def test_events_of_many_pages_come_once_and_in_order(world: World) -> None:
    for _ in range(2500):
        await world.journal.append(event())
    _, text = await get(world, "events.csv?after=3", "customer")
    assert [int(row["seq"]) for row in csv.DictReader(io.StringIO(text))] == list(range(4, 2501))
    _, text = await get(world, "events.csv?after=2500", "customer")
    assert text == "seq,at,kind,device,key,edge,severity,details\r\n"


@pytest.mark.parametrize("after", ["-1", "x", "1.5", "", "²", "9" * 16])
async def test_after_must_be_a_number(world: World, after: str) -> None:
    status, text = await get(world, f"events.csv?after={after}", "customer")
    assert status == 400
    assert "number of an event" in text


async def test_unreadable_journal_is_said_so(world: World) -> None:
    world.journal.broken = True
    assert await get(world, "events.csv", "customer") == (503, "The journal cannot be read at the moment.\n")


async def test_download_that_breaks_off_is_not_taken_for_complete(world: World) -> None:
    for _ in range(1500):
        await world.journal.append(event())
    after = world.journal.after

    async def break_off(seq: int, limit: int = 1000) -> list[Event]:
        if seq:
            raise JournalError("the disk is gone")
        return await after(seq, limit)

    world.journal.after = break_off  # type: ignore[method-assign]
    with pytest.raises(aiohttp.ClientPayloadError):
        await get(world, "events.csv", "customer")


async def test_trace_is_streamed_line_by_line(world: World) -> None:
    lines = world.traces.lines["ups-1/outlet-2"] = asyncio.Queue()
    async with world.session.get(f"{world.url}/trace/ups-1/outlet-2", headers=bearer("engineer")) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
        for number in range(3):
            lines.put_nowait(f"line {number} \udc80")
            assert await response.content.readline() == f"line {number} ?\n".encode()
        assert world.traces.listeners == 1
    async with asyncio.timeout(5):
        while world.traces.listeners:
            await asyncio.sleep(0)
    assert world.server._roster.clients == 0


@pytest.mark.parametrize("path", ["trace/ups-1%2Foutlet-2", "trace/ups-1/outlet-2"])
async def test_key_with_a_slash_may_be_written_either_way(world: World, path: str) -> None:
    world.traces.lines["ups-1/outlet-2"] = asyncio.Queue()
    world.traces.lines["ups-1/outlet-2"].put_nowait("here")
    async with world.session.get(URL(f"{world.url}/{path}", encoded=True), headers=bearer("admin")) as response:
        assert await response.content.readline() == b"here\n"


async def test_trace_needs_an_engineer_and_a_line(world: World) -> None:
    world.traces.lines["ups-1"] = asyncio.Queue()
    assert (await get(world, "trace/ups-1", "customer"))[0] == 403
    assert (await get(world, "trace/ups-1"))[0] == 401
    assert await get(world, "trace/ups-2", "engineer") == (404, "There is no trace of a device ups-2.\n")


async def test_trace_ends_when_its_token_is_revoked(tmp_path: Path) -> None:
    clock = ManualClock()
    async with running(tmp_path, clock=clock) as world:
        world.traces.lines["ups-1"] = asyncio.Queue()
        world.traces.lines["ups-1"].put_nowait("first")
        async with world.session.get(f"{world.url}/trace/ups-1", headers=bearer("engineer")) as response:
            assert await response.content.readline() == b"first\n"
            world.tokens.valid.clear()
            await clock.advance(10.0)
            assert await response.content.read() == b""


async def test_trace_ends_when_the_bridge_stops(world: World) -> None:
    world.traces.lines["ups-1"] = asyncio.Queue()
    async with world.session.get(f"{world.url}/trace/ups-1", headers=bearer("engineer")) as response:
        await world.server.stop()
        assert await response.content.read() == b""


async def test_traces_count_as_clients(tmp_path: Path) -> None:
    async with running(tmp_path, limits=replace(LIMITS, clients=1)) as world, world.client():
        world.traces.lines["ups-1"] = asyncio.Queue()
        assert (await get(world, "trace/ups-1", "engineer"))[0] == 503


async def test_reader_of_a_trace_who_does_not_read_is_dropped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with running(tmp_path, limits=replace(LIMITS, send=0.2)) as world:
        lines: asyncio.Queue[str] = asyncio.Queue(maxsize=10)
        world.traces.lines["ups-1"] = lines
        reader, writer = await asyncio.open_connection("127.0.0.1", world.server.port, limit=1024)
        writer.write(b"GET /api/v1/trace/ups-1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer engineer\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        assert world.server._roster.clients == 1
        async with asyncio.timeout(10):
            while world.server._roster.clients:
                if not lines.full():
                    lines.put_nowait("x" * 10_000)
                await asyncio.sleep(0)
        writer.close()
    assert "127.0.0.1 reads /api/v1/trace/ups-1 too slowly and is dropped" in caplog.text


async def test_history_of_a_device_is_csv_in_its_own_words(world: World) -> None:
    async def recall() -> tuple[Alert, ...]:
        return (Alert(1, "11/21/2026 03:04:05", "raised", "=Utility, failed"), Alert(2, "", "", "On"))

    world.memories.offer(UPS.id, recall)
    status, text = await get(world, "history/ups-1.csv", "customer")
    assert status == 200
    assert text == 'number,at,edge,text\r\n1,11/21/2026 03:04:05,raised,"\'=Utility, failed"\r\n2,,,On\r\n'


async def test_history_that_cannot_be_had_is_answered_with_why(world: World) -> None:
    async def recall() -> tuple[Alert, ...]:
        raise CommandError("offline", "UPS 1 cannot be reached at the moment.")

    assert (await get(world, "history/ups-1.csv", "guest"))[0] == 403
    assert await get(world, "history/attic.csv", "customer") == (404, "There is no device attic.\n")
    status, text = await get(world, "history/ups-1.csv", "customer")
    assert (status, text) == (404, "UPS 1 keeps no history of its own that could be read.\n")
    world.memories.offer(UPS.id, recall)
    assert await get(world, "history/ups-1.csv", "customer") == (503, "UPS 1 cannot be reached at the moment.\n")


async def test_history_is_json_for_programs(world: World) -> None:
    async def recall() -> tuple[Alert, ...]:
        return (Alert(1, "11/21/2026 03:04:05", "raised", "=Utility, failed"), Alert(2, "", "", "On"))

    status, text = await get(world, "history/ups-1.json", "customer")
    assert (status, orjson.loads(text)["error"]) == (
        404,
        {"code": "unknown_command", "message": "UPS 1 keeps no history of its own that could be read."},
    )
    status, text = await get(world, "history/attic.json", "customer")
    assert (status, orjson.loads(text)["error"]["code"]) == (404, "unknown_device")
    assert (await get(world, "history/ups-1.json", "guest"))[0] == 403
    world.memories.offer(UPS.id, recall)
    status, text = await get(world, "history/ups-1.json", "customer")
    assert (status, orjson.loads(text)) == (
        200,
        {
            "alerts": [
                {"number": 1, "at": "11/21/2026 03:04:05", "edge": "raised", "text": "=Utility, failed"},
                {"number": 2, "at": "", "edge": "", "text": "On"},
            ]
        },
    )


async def test_mib_files_are_listed_and_fetched(world: World) -> None:
    assert await get(world, "mibs", "guest") == (200, '{"files":["ONE-MIB.txt"]}')
    async with world.session.get(f"{world.url}/mibs/ONE-MIB.txt", headers=bearer("guest")) as response:
        assert response.headers["Content-Disposition"] == 'attachment; filename="ONE-MIB.txt"'
        assert await response.text() == "ONE-MIB DEFINITIONS ::= BEGIN\nEND\n"


@pytest.mark.parametrize(
    ("path", "token", "status"),
    [
        ("mibs", None, 401),
        ("mibs/ONE-MIB.txt", None, 401),
        ("mibs/OTHER.txt", "guest", 404),
        ("mibs/..%2f", "guest", 404),
    ],
    ids=["list", "file", "unknown", "elsewhere"],
)
async def test_mib_files_need_a_token_and_a_name(world: World, path: str, token: str | None, status: int) -> None:
    assert (await get(world, path, token))[0] == status
