"""A real upsd through the bridge into a real Home Assistant, by the command a newcomer types."""

import asyncio
import os
from pathlib import Path
import sys

import pytest

from tests.peers.upsd import Upsd, read_dump
from tests.strangers import RECORDINGS, peer

pytestmark = [pytest.mark.slow, pytest.mark.peer, pytest.mark.recordings, pytest.mark.timeout(180)]

ROOT = Path(__file__).parent.parent.parent
DUMP = RECORDINGS / "nut" / "Eaton__5PX__snmp-ups__2.7.4__02.dev"


async def test_demonstration_shows_what_a_real_upsd_has(tmp_path: Path) -> None:
    peer("upsd")
    peer("dummy-ups")
    if not DUMP.exists():
        pytest.skip(f"no recording {DUMP.name} in {RECORDINGS}; RIDETHROUGH_RECORDINGS may say where")
    variables = read_dump(DUMP.read_text())
    async with Upsd(tmp_path, {"ups1": variables}) as upsd:
        demonstration = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "demonstration", "--check", "--nut", upsd.url.removeprefix("nut://")),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT / "scripts")},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await demonstration.communicate()
    told = output.decode()
    assert demonstration.returncode == 0, told
    shown = {row.split()[0]: row.split()[1] for row in told.splitlines() if row.startswith("  ")}
    assert float(shown["sensor.rack_ups_battery_charge"]) == float(variables["battery.charge"])
    assert float(shown["sensor.rack_ups_load"]) == float(variables["ups.load"])
    assert shown["binary_sensor.rack_ups_on_battery"] == "off"
