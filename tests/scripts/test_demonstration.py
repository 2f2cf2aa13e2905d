"""The demonstration leaves nothing behind, however it is ended."""

import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_demonstration_ends_what_it_started(number: signal.Signals, tmp_path: Path) -> None:
    log, line = tmp_path / "demo.log", tmp_path / "kept" / "ttyUPS"
    command = [sys.executable, "-m", "demonstration", "--keep", str(tmp_path / "kept")]
    environment = os.environ | {"PYTHONPATH": "scripts", "PYTHONUNBUFFERED": "1"}
    with (
        log.open("wb") as output,
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output) as demo,
    ):
        end = time.monotonic() + 60
        while "Starting the bridge" not in log.read_text():
            assert demo.poll() is None, log.read_text()
            assert time.monotonic() < end
            time.sleep(0.05)
        assert line.is_symlink()
        terminal = os.open(line.resolve(), os.O_RDWR | os.O_NOCTTY)
        demo.send_signal(number)
        assert demo.wait(30) == 128 + signal.SIGINT
    try:
        # The simulator's end is gone: the line is hung up.
        assert os.read(terminal, 1) == b""
    finally:
        os.close(terminal)
    assert "Traceback" not in log.read_text()
