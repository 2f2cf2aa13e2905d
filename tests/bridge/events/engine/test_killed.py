"""Killed anywhere: no job that was due is missed, and nothing is done twice without being marked as a retry."""

import asyncio
from collections import Counter
import json
import os
from pathlib import Path
import sys

import pytest

from .killed import OUTAGE, RETURN

KILLS = int(os.environ.get("RIDETHROUGH_KILLS", "200"))
"""How often the bridge is killed; set it to more for a long run."""


@pytest.mark.slow
@pytest.mark.timeout(max(300, 2 * KILLS))
async def test_kill_at_any_point_loses_nothing_and_doubles_nothing_unmarked(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bridge.events.engine.killed", str(tmp_path), str(KILLS), "1"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=2**24,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()[-3000:]
    outages = [json.loads(line) for line in out.splitlines()]
    assert sum(len(outage["ends"]) - 1 for outage in outages) >= KILLS
    for outage in outages:
        assert outage["ends"][-1] == 0, err.decode()[-3000:]
        unmarked = Counter((origin, event) for origin, event, retry in outage["done"] if not retry)
        # A repetition is no doubling.
        repeated = {entry: count for entry, count in unmarked.items() if count > 1 and entry[0] != "job:repeat"}
        assert repeated == {}
        assert {origin for origin, _, _ in outage["done"]} == OUTAGE | RETURN
        events = {event for origin, event, _ in outage["done"] if origin == "job:mail"}
        assert len(events) == 1
        # Only a repetition gives way to the next one.
        ended = {state for key, state in outage["steps"] if not key.startswith("job:repeat/")}
        assert ended == {"done"}
        assert outage["unfinished"] == 0
        assert outage["again"] == []
    retried = sum(retry for outage in outages for _, _, retry in outage["done"])
    print(f"{len(outages)} outages, {sum(len(outage['ends']) - 1 for outage in outages)} kills, {retried} retries")  # noqa: T201
