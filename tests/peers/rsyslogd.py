"""Debian's rsyslogd as a receiver: over UDP, TCP or TLS, into a file that tests read field by field."""

import asyncio
from collections.abc import Mapping
import json
from pathlib import Path
import signal
from typing import Literal, Self

FIELDS = (
    "pri",
    "protocol-version",
    "timereported",
    "hostname",
    "app-name",
    "procid",
    "msgid",
    "structured-data",
    "msg",
)
"""Properties of a message, by rsyslog's names."""

type Transport = Literal["udp", "tcp", "tls"]


class Rsyslogd:
    """A receiver on loopback; `certificates` has its ca, certificate and key, `client` whether it wants one too."""

    def __init__(
        self,
        program: Path,
        folder: Path,
        transport: Transport,
        port: int,
        *,
        certificates: Mapping[str, Path] | None = None,
        client: bool = False,
    ) -> None:
        self._program = program
        self._folder = folder
        self._transport = transport
        self.port = port
        self.file = folder / "received.jsonl"
        self._process: asyncio.subprocess.Process | None = None
        (folder / "rsyslog.conf").write_text(self._configuration(certificates or {}, client=client))

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()

    async def start(self) -> None:
        """Start it, and wait until it listens."""
        (self._folder / "pid").unlink(missing_ok=True)
        with (self._folder / "complaints").open("ab") as complaints:
            self._process = await asyncio.create_subprocess_exec(
                self._program,
                *("-n", "-f", str(self._folder / "rsyslog.conf"), "-i", str(self._folder / "pid")),
                stdout=complaints,
                stderr=complaints,
            )
        async with asyncio.timeout(10):
            while not self._listening():
                assert self._process.returncode is None, (self._folder / "complaints").read_text()
                await asyncio.sleep(0.02)

    async def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(how)
            await self._process.wait()

    def messages(self) -> list[dict[str, str]]:
        """Return what it has received so far."""
        if not self.file.exists():
            return []
        whole = self.file.read_text(encoding="utf-8").rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    async def received(self, count: int, patience: float = 10.0) -> list[dict[str, str]]:
        """Wait until it has received so many messages, and return all."""
        try:
            async with asyncio.timeout(patience):
                while len(self.messages()) < count:
                    await asyncio.sleep(0.02)
        except TimeoutError:
            complaints = (self._folder / "complaints").read_text()
            raise AssertionError(f"{len(self.messages())} of {count} messages have come; {complaints}") from None
        return self.messages()

    def _listening(self) -> bool:
        table = "udp" if self._transport == "udp" else "tcp"
        listening = "07" if self._transport == "udp" else "0A"
        rows = [line.split() for line in Path("/proc/net", table).read_text().splitlines()[1:]]
        return any(row[1].endswith(f":{self.port:04X}") and row[3] == listening for row in rows)

    def _configuration(self, certificates: Mapping[str, Path], *, client: bool) -> str:
        properties = "\n".join(
            f'  property(outname="{name}" name="{name}" format="jsonf"{_form(name)})' for name in FIELDS
        )
        properties = properties.replace('jsonf")\n', 'jsonf")\n  constant(value=",")\n')
        properties = properties.replace('rfc3339")\n', 'rfc3339")\n  constant(value=",")\n')
        module = "imudp" if self._transport == "udp" else "imtcp"
        lines = [f'global(workDirectory="{self._folder}" maxMessageSize="16k")']
        if self._transport == "tls":
            lines.append(
                f'global(defaultNetstreamDriver="gtls" defaultNetstreamDriverCAFile="{certificates["ca"]}" '
                f'defaultNetstreamDriverCertFile="{certificates["certificate"]}" '
                f'defaultNetstreamDriverKeyFile="{certificates["key"]}")'
            )
            authentication = "x509/certvalid" if client else "anon"
            lines.append(
                f'module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" '
                f'streamDriver.authMode="{authentication}")'
            )
        else:
            lines.append(f'module(load="{module}")')
        lines += [
            'template(name="fields" type="list") {',
            '  constant(value="{")',
            properties,
            '  constant(value="}\\n")',
            "}",
            'ruleset(name="all") {',
            f'  action(type="omfile" file="{self.file}" template="fields")',
            "}",
            f'input(type="{module}" address="127.0.0.1" port="{self.port}" ruleset="all")',
        ]
        return "\n".join(lines) + "\n"


def _form(name: str) -> str:
    return ' dateFormat="rfc3339"' if name == "timereported" else ""
