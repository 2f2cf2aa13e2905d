"""A battery room through the bridge into a real Home Assistant, by the command a newcomer types."""

import asyncio
import os
from pathlib import Path
import sys

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

ROOT = Path(__file__).parent.parent.parent
BLOCKS = 16


async def test_blocks_that_fail_are_seen_and_their_breaker_opens(tmp_path: Path) -> None:
    demonstration = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "demonstration", "--check", "--battery", str(BLOCKS), "--keep", str(tmp_path)),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "scripts")},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await demonstration.communicate()
    told = output.decode()
    assert demonstration.returncode == 0, told
    for step in ("a module is lost", "thermal runaway", "its breaker opens", "an impedance is too high"):
        assert f"  {step} " in told, told
