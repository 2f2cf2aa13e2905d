"""A bridge's side of PROTOCOL.md, written for the tests alone: its authority, its invitation, and its connection."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
import datetime as dt
import hashlib
import itertools
import json
from pathlib import Path
import ssl
import time
from typing import Any, Self
import uuid

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.peers.shutdown_agent import PATIENCE

DAY = dt.timedelta(days=1)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass(frozen=True)
class Identity:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_text(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def key_text(self) -> str:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

    def write(self, folder: Path) -> Path:
        path = folder / f"{uuid.uuid4()}.identity"
        path.write_text(self.key_text + self.certificate_text)
        return path


class Authority:
    """One bridge's certificate authority."""

    def __init__(self, folder: Path, name: str = "Server room") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.id = str(uuid.uuid4())
        self.name = name
        key = ec.generate_private_key(ec.SECP256R1())
        now = dt.datetime.now(dt.UTC)
        own = _name(f"authority of {name}")
        certificate = (
            x509.CertificateBuilder()
            .subject_name(own)
            .issuer_name(own)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + 10 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        self.root = Identity(certificate, key)
        self.client = self.sign(f"bridge {self.id}")

    def sign(self, common_name: str, *, dns: str | None = None, valid: tuple[int, int] = (-1, 5)) -> Identity:
        """Sign a certificate that is valid between so many days from now; with `dns` one of a server."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(common_name))
            .issuer_name(self.root.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + valid[0] * DAY)
            .not_valid_after(now + valid[1] * DAY)
        )
        if dns is not None:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(dns)]), critical=False)
        usage = ExtendedKeyUsageOID.CLIENT_AUTH if dns is None else ExtendedKeyUsageOID.SERVER_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        return Identity(builder.sign(self.root.key, hashes.SHA256()), key)

    def agent(self) -> tuple[str, Identity]:
        """Sign a certificate for a new agent."""
        agent = str(uuid.uuid4())
        return agent, self.sign(f"agent {agent}", dns=f"{agent}.agent.ridethrough.internal")

    def context(self, identity: Identity | None) -> ssl.SSLContext:
        """Build what a client shows and demands."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self.root.certificate_text)
        if identity is not None:
            context.load_cert_chain(identity.write(self.folder))
        return context


@dataclass
class Invitation:
    """An open invitation, and what came of it."""

    port: int
    code: str
    agent: str
    request: dict[str, Any] = field(default_factory=dict)
    bytes_read: int = 0


@asynccontextmanager
async def invitation(
    authority: Authority, host: str = "127.0.0.1", answer: dict[str, Any] | bytes | None = None
) -> AsyncIterator[Invitation]:
    """Let agents pair. With `answer` something else is answered than what is right."""
    secret = b"\x01\x02\x03\x04\x05"
    shown = authority.sign("invitation", dns="pairing.ridethrough.internal")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(shown.write(authority.folder))
    agent, identity = authority.agent()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        open_.bytes_read += len(line)
        if line:
            open_.request = json.loads(line)
            right = {
                "type": "paired",
                "agent": agent,
                "name": "NAS",
                "bridge": {"id": authority.id, "name": authority.name},
                "ca": authority.root.certificate_text,
                "certificate": identity.certificate_text,
                "key": identity.key_text,
            }
            if open_.request["secret"] != secret.hex():
                right = {"type": "refused", "message": "wrong\x1b[2J code"}
            writer.write(answer if isinstance(answer, bytes) else json.dumps(answer or right).encode() + b"\n")
        writer.close()

    server = await asyncio.start_server(serve, host, 0, ssl=context)
    digest = hashlib.sha256(shown.certificate.public_bytes(serialization.Encoding.DER)).digest()
    letters = base64.b32encode(secret + digest[:10]).decode()
    code = "-".join("".join(part) for part in itertools.batched(letters, 4))
    open_ = Invitation(server.sockets[0].getsockname()[1], code, agent)
    async with server:
        yield open_


class Closed(Exception):
    """The agent has ended the connection."""


class Sender:
    """A bridge's connection with an agent.

    async with Sender(authority, agent_uuid, "127.0.0.31", 6004) as sender:
        assert (await sender.command("shutdown"))["ok"]
    """

    def __init__(
        self,
        authority: Authority,
        agent: str,
        host: str,
        port: int,
        *,
        address: str = "127.0.0.1",
        context: ssl.SSLContext | None = None,
        server_name: str | None = None,
        alive: float = 10.0,
        ready: bool = True,
    ) -> None:
        self.authority = authority
        self._where = (host, port)
        self._from = address
        self._context = context or authority.context(authority.client)
        self._server_name = server_name or f"{agent}.agent.ridethrough.internal"
        self._alive = alive
        self._ready = ready
        self.hello: dict[str, Any] = {}
        self.states: list[dict[str, Any]] = []
        self.pongs: list[float] = []
        self.seq = 0
        self._results: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self.closed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        host, port = self._where
        try:
            async with asyncio.timeout(PATIENCE):
                self.reader, self.writer = await asyncio.open_connection(
                    host, port, ssl=self._context, server_hostname=self._server_name, local_addr=(self._from, 0)
                )
                line = await self.reader.readline()
        except OSError as error:
            raise Closed(str(error)) from error
        if not line:
            self.writer.close()
            raise Closed("no hello")
        self.hello = json.loads(line)
        self.seq = self.hello["seq"]
        self._offset = self.hello["clock"] - time.monotonic()
        self.states.append(self.hello["state"])
        self._task = asyncio.create_task(self._read())
        if self._ready:
            self.send({"type": "ready", "name": self.authority.name, "alive": self._alive})
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _read(self) -> None:
        try:
            while line := await self.reader.readline():
                assert len(line) <= 8192
                frame = json.loads(line)
                if frame["type"] == "state":
                    self.states.append(frame["state"])
                elif frame["type"] == "pong":
                    self.pongs.append(frame["clock"])
                else:
                    assert frame["type"] == "result"
                    self._results.pop(frame["id"]).set_result(frame)
        except OSError:
            pass
        finally:
            self.closed.set()
            for future in self._results.values():
                if not future.done():
                    future.set_exception(Closed("no result"))

    @property
    def clock(self) -> float:
        """What the agent's clock shows."""
        return time.monotonic() + float(self._offset)

    @property
    def state(self) -> str:
        return str(self.states[-1]["state"])

    def send(self, frame: dict[str, Any] | bytes) -> None:
        self.writer.write(frame if isinstance(frame, bytes) else json.dumps(frame).encode() + b"\n")

    def frame(self, verb: str, arguments: object = None, **other: Any) -> dict[str, Any]:
        """Build the next command; `other` takes the place of what is right."""
        self.seq += 1
        return {
            "type": "command",
            "id": str(uuid.uuid4()),
            "session": self.hello["session"],
            "seq": self.seq,
            "clock": self.clock,
            "verb": verb,
            "arguments": {} if arguments is None else arguments,
            **other,
        }

    async def give(self, frame: dict[str, Any]) -> dict[str, Any]:
        """Send a command as it stands and wait for its result."""
        future = asyncio.get_running_loop().create_future()
        self._results[frame["id"]] = future
        self.send(frame)
        if self.closed.is_set():
            raise Closed("closed before")
        async with asyncio.timeout(PATIENCE):
            answer: dict[str, Any] = await future
            return answer

    async def command(self, verb: str, arguments: object = None, **other: Any) -> dict[str, Any]:
        return await self.give(self.frame(verb, arguments, **other))

    async def until_state(self, state: str) -> dict[str, Any]:
        """Wait until the agent says that it is in this state."""
        async with asyncio.timeout(PATIENCE):
            while self.state != state:
                await asyncio.sleep(0.01)
        return self.states[-1]

    async def until_closed(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.closed.wait()


__all__ = ["Authority", "Closed", "Identity", "Invitation", "Sender", "invitation"]
