"""What a stranger's decoder makes of what our feeds say: tshark, from a capture on the loopback interface."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
import os
from pathlib import Path
import signal

import pytest

from tests.strangers import peer


@dataclass
class Capture:
    """Packets between two moments; they can be read once the capture has ended."""

    file: Path
    decode: tuple[str, ...] = ()
    """What runs on ports that are not its own, e.g. `tcp.port==5502,mbtcp`."""
    tshark: Path = field(default_factory=lambda: peer("tshark"))

    async def packets(self, display: str = "", *fields: str) -> list[list[str]]:
        """Return the packets that a display filter lets through: the fields of each, or its summary."""
        arguments = ["-n", "-r", str(self.file)]
        for one in self.decode:
            arguments += ["-d", one]
        if display:
            arguments += ["-Y", display]
        if fields:
            arguments += ["-T", "fields", *(word for name in fields for word in ("-e", name))]
        process = await asyncio.create_subprocess_exec(
            self.tshark, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, complaint = await process.communicate()
        assert process.returncode == 0, complaint.decode()
        return [line.split("\t") for line in out.decode(errors="replace").splitlines()]

    async def malformed(self) -> list[list[str]]:
        """Return what the decoder calls malformed."""
        return await self.packets("_ws.malformed")


@asynccontextmanager
async def capturing(folder: Path, ports: str, *decode: str) -> AsyncIterator[Capture]:
    """Capture on loopback what fits a capture filter such as `udp port 1161`; skips without the right to."""
    tshark = peer("tshark")
    if os.geteuid() != 0:
        pytest.skip("only root may capture on the loopback interface")
    capture = Capture(folder / "capture.pcapng", decode, tshark)
    process = await asyncio.create_subprocess_exec(
        peer("dumpcap"),
        *("-q", "-i", "lo", "-f", ports, "-w", str(capture.file)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    said = b""
    async with asyncio.timeout(20):
        while b"File:" not in said:
            chunk = await process.stderr.readline()
            assert chunk, f"the capture did not begin: {said.decode()}"
            said += chunk
    try:
        yield capture
    finally:
        await asyncio.sleep(0.3)  # what is under way reaches the file
        process.send_signal(signal.SIGINT)
        await process.wait()
