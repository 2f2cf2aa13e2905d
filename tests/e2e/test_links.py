"""Each kind of link through the bridge into a real Home Assistant, by the command a newcomer types."""

import asyncio
import os
from pathlib import Path
import sys

import pytest

from tests.strangers import peer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("link", ["snmp", "modbus", "nut", "contacts"])
async def test_an_outage_is_seen_in_home_assistant_whatever_the_link(link: str, tmp_path: Path) -> None:
    if link == "nut":
        peer("nutdrv_qx")
        peer("upsd")
    demonstration = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "demonstration", "--check", "--link", link, "--keep", str(tmp_path)),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "scripts")},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await demonstration.communicate()
    told = output.decode()
    assert demonstration.returncode == 0, told
    for step in ("on battery", "battery low", "off battery", *(("charge rises",) if link != "contacts" else ())):
        assert f"  {step} " in told, told
