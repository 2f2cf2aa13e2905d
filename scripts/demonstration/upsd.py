"""Network UPS Tools between the simulated UPS and the bridge: its driver for the serial line, and upsd."""

import getpass
import os
from pathlib import Path
import shutil

from .process import Process, ProcessFailed

NAME = "ups"
"""What the UPS is called there."""
_PLACES = ("/lib/nut", "/usr/lib/nut")
"""Where Debian keeps what an ordinary user's PATH does not name."""


class Upsd:
    """The driver nutdrv_qx on a serial line, and an upsd on the loopback that serves it."""

    def __init__(self, folder: Path, line: Path, port: int) -> None:
        """Say where everything lives: the files in `folder`, the UPS at `line`, upsd at `port`."""
        self._folder = folder / "nut"
        self._line = line
        self._port = port
        self.processes: list[Process] = []

    async def start(self) -> None:
        """Run both and wait until they serve. Raises ProcessFailed, also when they are not installed."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        self._write("nut.conf", "MODE=standalone\n")
        self._write("upsd.conf", f"LISTEN 127.0.0.1 {self._port}\n")
        self._write("upsd.users", "")
        self._write(
            "ups.conf",
            f"maxretry = 3\npollinterval = 1\n[{NAME}]\n driver = nutdrv_qx\n port = {self._line}\n protocol = megatec\n",
        )
        driver = self._process("NUT's driver", "nutdrv_qx", "-FF", "-a", NAME)
        server = self._process("upsd", "upsd", "-FF")
        self.processes = [driver, server]
        await driver.start()
        await driver.wait_until(lambda _text: any(self._folder.glob("nutdrv_qx-*")), 20)
        await server.start()
        await server.wait_until(lambda text: "Connected to UPS" in text or "listening on" in text, 20)

    async def stop(self) -> None:
        """End both."""
        for process in reversed(self.processes):
            await process.stop()

    def _process(self, name: str, program: str, *arguments: str) -> Process:
        found = shutil.which(program, path=os.pathsep.join([*_PLACES, os.environ.get("PATH", os.defpath)]))
        if found is None:
            raise ProcessFailed(f"{program} is not installed; on Debian the package nut-server has it")
        # Neither drops its privileges: the folder is this user's.
        command = [found, "-u", getpass.getuser(), *arguments]
        return Process(name, command, self._folder / f"{program}.log", self._environment())

    def _environment(self) -> dict[str, str]:
        folder = str(self._folder)
        return {"NUT_STATEPATH": folder, "NUT_CONFPATH": folder, "NUT_ALTPIDPATH": folder}

    def _write(self, name: str, text: str) -> None:
        path = self._folder / name
        path.touch(mode=0o600)
        path.write_text(text)


__all__ = ["NAME", "Upsd"]
