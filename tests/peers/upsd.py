"""Debian's upsd and dummy-ups, serving dumps of real devices: our NUT link's other end.

    async with Upsd(folder, {"ups1": dump}) as upsd:
        … f"nut://127.0.0.1:{upsd.port}/ups1" …
        upsd.write("ups1", {"ups.status": "OB DISCHRG"})

Uses only the standard library, so that a script may use it as well.
"""

import asyncio
from collections.abc import Iterable, Mapping
import os
from pathlib import Path
import re
import shutil
import signal
import socket
import subprocess
from typing import Self

USER = "bridge"
PASSWORD = "right"
"""May do everything."""
WATCHER = "watcher"
"""Another user, with the same password, who may do nothing."""

PROGRAMS = ("upsd", "dummy-ups", "upsc", "upsrw")

# Where Debian keeps what an ordinary user's PATH does not name. /sbin/upsd is a wrapper that wants /etc/nut.
_PLACES = ["/lib/nut", "/usr/lib/nut"]
_VARIABLE = re.compile(r"([A-Za-z0-9._-]+):[ \t]?(.*)")


def missing() -> list[str]:
    """Name the programs that are not installed."""
    return [name for name in PROGRAMS if _program(name) is None]


def _program(name: str) -> str | None:
    return shutil.which(name, path=os.pathsep.join([*_PLACES, os.environ.get("PATH", os.defpath)]))


def read_dump(text: str) -> dict[str, str]:
    """Read a dump of NUT's device library: `name: value` lines; notes after # and blank lines do not count."""
    variables: dict[str, str] = {}
    for line in text.splitlines():
        found = _VARIABLE.fullmatch(line)
        if found is not None:
            value = re.split(r"\s#", f" {found[2]}", maxsplit=1)[0]
            variables[found[1]] = value.strip()
    return variables


class Upsd:
    """An upsd on a free port of the loopback with one dummy-ups for each dump.

    `configuration` are further lines of upsd.conf. Everything lives below `folder`. Not bound to an event loop.
    """

    def __init__(
        self, folder: Path, dumps: Mapping[str, Mapping[str, str]], configuration: Iterable[str] = (), port: int = 0
    ) -> None:
        self.folder = folder
        self.port = port or _free_port()
        self._configuration = list(configuration)
        self._dumps = {name: dict(variables) for name, variables in dumps.items()}
        self._server: subprocess.Popen[bytes] | None = None
        self._drivers: dict[str, subprocess.Popen[bytes]] = {}

    async def __aenter__(self) -> Self:
        (self.folder / "state").mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        self._write("nut.conf", "MODE=standalone\n")
        self._write("upsd.conf", "\n".join([f"LISTEN 127.0.0.1 {self.port}", "MAXAGE 3", *self._configuration, ""]))
        self._write(
            "upsd.users",
            f"[{USER}]\n password = {PASSWORD}\n actions = SET\n actions = FSD\n instcmds = ALL\n"
            f"[{WATCHER}]\n password = {PASSWORD}\n",
        )
        self._write(
            "ups.conf",
            "maxretry = 1\npollinterval = 1\n"
            + "".join(
                f'[{name}]\n driver = dummy-ups\n port = "{self.folder / name}.dev"\n mode = dummy-once\n'
                for name in self._dumps
            ),
        )
        for name, variables in self._dumps.items():
            self._write_dump(name, variables)
        try:
            await asyncio.gather(*(self.start_driver(name) for name in self._dumps))
            await self.start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        for name in list(self._drivers):
            await self.stop_driver(name)

    @property
    def url(self) -> str:
        """The link of the first UPS."""
        return f"nut://127.0.0.1:{self.port}/{next(iter(self._dumps))}"

    def write(self, name: str, changes: Mapping[str, str | None]) -> None:
        """Change variables of a UPS; None takes one away. The driver looks once a second."""
        variables = self._dumps[name]
        for variable, value in changes.items():
            if value is None:
                variables.pop(variable, None)
            else:
                variables[variable] = value
        self._write_dump(name, variables)

    async def start(self) -> None:
        """Start upsd and wait until it serves every UPS whose driver runs."""
        self._server = self._run("upsd", "-FF")
        for name in self._drivers:
            async with asyncio.timeout(10):
                while not await self._serves(name):
                    if self._server.poll() is not None:
                        raise RuntimeError(f"upsd ended with {self._server.returncode}: see {self.folder}/upsd.log")
                    await asyncio.sleep(0.05)

    async def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End upsd, e.g. with SIGKILL."""
        if self._server is not None:
            await _end(self._server, how)
            self._server = None

    async def start_driver(self, name: str) -> None:
        """Start the driver of one UPS and wait until it listens."""
        listens = self.folder / "state" / f"dummy-ups-{name}"
        listens.unlink(missing_ok=True)
        driver = self._drivers[name] = self._run("dummy-ups", "-FF", "-a", name)
        async with asyncio.timeout(10):
            while not listens.exists():
                if driver.poll() is not None:
                    raise RuntimeError(f"dummy-ups ended with {driver.returncode}: see {self.folder}/dummy-ups.log")
                await asyncio.sleep(0.02)

    async def stop_driver(self, name: str, how: signal.Signals = signal.SIGTERM) -> None:
        """End the driver of one UPS; SIGSTOP only halts it, so that its data grow old."""
        driver = self._drivers[name]
        if how is signal.SIGSTOP:
            driver.send_signal(how)
            return
        del self._drivers[name]
        # One that was halted must be able to end.
        driver.send_signal(signal.SIGCONT)
        await _end(driver, how)

    async def upsc(self, *arguments: str) -> tuple[int, str]:
        """Run upsc; its return code and what it printed."""
        return await self._client("upsc", *arguments)

    async def upsrw(self, name: str, variable: str, value: str) -> None:
        """Set a variable of a UPS with upsrw."""
        settings = ["-s", f"{variable}={value}", "-u", USER, "-p", PASSWORD]
        code, out = await self._client("upsrw", *settings, f"{name}@127.0.0.1:{self.port}")
        if code:
            raise RuntimeError(f"upsrw ended with {code}: {out}")

    async def variables(self, name: str) -> dict[str, str]:
        """Return what upsc prints of a UPS."""
        code, out = await self.upsc(f"{name}@127.0.0.1:{self.port}")
        if code:
            raise RuntimeError(f"upsc {name} ended with {code}")
        return dict(line.split(": ", 1) for line in out.splitlines() if ": " in line)

    async def _serves(self, name: str) -> bool:
        """Tell whether upsd has heard all of a driver's variables; until then it has some, and the status WAIT."""
        code, out = await self.upsc(f"{name}@127.0.0.1:{self.port}")
        told = {line.partition(":")[0] for line in out.splitlines()}
        due = {
            variable for variable, value in self._dumps[name].items() if value and not variable.startswith("driver.")
        }
        return code == 0 and due | {"driver.name"} <= told

    @staticmethod
    async def _client(program: str, *arguments: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            _program(program) or program,
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        out, _ = await process.communicate()
        return process.returncode or 0, out.decode(errors="replace")

    def _run(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        found = _program(program)
        if found is None:
            raise RuntimeError(f"{program} is not installed; scripts/setup --peers installs it")
        state = str(self.folder / "state")
        user = ["-u", "root"] if os.geteuid() == 0 else []
        with (self.folder / f"{program}.log").open("ab") as log:
            return subprocess.Popen(
                [found, *arguments, *user],
                env=os.environ
                | {
                    "NUT_CONFPATH": str(self.folder),
                    "NUT_STATEPATH": state,
                    "NUT_ALTPIDPATH": state,
                    "NUT_PIDPATH": state,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )

    def _write_dump(self, name: str, variables: Mapping[str, str]) -> None:
        self._write(f"{name}.dev", "".join(f"{variable}: {value}\n" for variable, value in variables.items()))

    def _write(self, name: str, text: str) -> None:
        """Write a file so that a reader sees all of it or nothing."""
        new = self.folder / f".{name}.new"
        new.write_text(text, encoding="utf-8")
        new.chmod(0o600)
        new.replace(self.folder / name)


async def _end(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    if process.poll() is None:
        process.send_signal(how)
    try:
        async with asyncio.timeout(5):
            while process.poll() is None:
                await asyncio.sleep(0.01)
    except TimeoutError:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
