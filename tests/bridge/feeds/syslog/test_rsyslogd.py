"""What Debian's rsyslogd receives, over each transport, compared field by field."""

import asyncio
import os
from pathlib import Path
import signal
import socket
import ssl
import warnings

import pytest

from ridethrough.config.feeds import SyslogConfig, SyslogReceiver
from ridethrough.config.tls import TlsConfig
from ridethrough.feeds import Traffic
from ridethrough.feeds.syslog import connection, make, receiver as worker
from ridethrough.tasks import Backoff
from tests.bridge.feeds.rig import World, free_port
from tests.peers.rsyslogd import Rsyslogd, Transport
from tests.strangers import peer

from .certificates import DAY, Authority
from .listener import sending, until

pytestmark = pytest.mark.peer


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_every_event_arrives_field_by_field(
    world: World, tmp_path: Path, authority: Authority, transport: Transport
) -> None:
    port = free_port(socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM)
    certificate, key = authority.certificate("receiver", "127.0.0.1")
    files = {"ca": authority.ca, "certificate": certificate, "key": key}
    receiver = SyslogReceiver("127.0.0.1", port, transport, ca=authority.ca if transport == "tls" else None)
    config = SyslogConfig(receivers=(receiver,), facility="local3")
    traffic = Traffic()
    async with Rsyslogd(peer("rsyslogd"), tmp_path, transport, port, certificates=files) as rsyslogd:
        ups = world.device("ups-1", name='Straße "1"]\\')
        async with world.serving(lambda traffic: make(config, world.context, traffic), traffic):
            world.post(ups, {}, {"on_battery": True})
            world.post(ups, {}, {"on_battery": False, "battery_low": True})
            messages = await rsyslogd.received(3)
            assert traffic.clients == 1
    events = await world.store.journal.after(0)
    assert [event.key for event in events] == ["on_battery", "on_battery", "battery_low"]
    texts = ["On battery: begun", "On battery: over", "Battery low: begun"]
    for number, (event, message, text, severity) in enumerate(
        zip(events, messages, texts, (4, 5, 2), strict=True), start=1
    ):
        assert message == {
            "pri": str(19 * 8 + severity),
            "protocol-version": "1",
            "timereported": f"{event.at:%Y-%m-%dT%H:%M:%S}.{event.at.microsecond // 1000:03}Z",
            "hostname": socket.gethostname(),
            "app-name": "ridethrough",
            "procid": str(os.getpid()),
            "msgid": event.key,
            "structured-data": (
                f'[meta sequenceId="{number}"][ridethrough@32473 seq="{event.seq}" kind="condition" device="ups-1" '
                rf'name="Straße \"1\"\]\\" key="{event.key}" edge="{event.edge}" severity="{event.severity}"]'
            ),
            "msg": f'\ufeffStraße "1"]\\: {text}',
        }
    assert traffic.errors == 0


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again soon."""
    monkeypatch.setattr(worker, "BACKOFF", Backoff(first=0.05, cap=0.2))


@pytest.mark.parametrize("transport", ["tcp", "tls"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "ended"])
async def test_receiver_that_restarts_misses_nothing_and_gets_nothing_twice(
    world: World, tmp_path: Path, authority: Authority, transport: Transport, how: signal.Signals
) -> None:
    port = free_port()
    certificate, key = authority.certificate("receiver", "127.0.0.1")
    files = {"ca": authority.ca, "certificate": certificate, "key": key}
    ca = authority.ca if transport == "tls" else None
    ups = world.device("ups-1")
    async with (
        Rsyslogd(peer("rsyslogd"), tmp_path, transport, port, certificates=files) as rsyslogd,
        sending(world, SyslogReceiver("127.0.0.1", port, transport, ca=ca)) as (feed, traffic),
    ):
        for number in range(10):
            world.post(ups, {}, {"on_battery": number % 2 == 0})
        await rsyslogd.received(10)
        await until(lambda: traffic.requests == 10)
        await rsyslogd.kill(how)
        for number in range(100):
            world.post(ups, {}, {"on_battery": number % 2 == 0})
        await until(lambda: feed.problem is not None)
        await rsyslogd.start()
        messages = await rsyslogd.received(110)
        await until(lambda: traffic.requests == 110)
    sequences = [message["structured-data"].split('"')[1] for message in messages]
    assert sequences == [str(number) for number in range(1, 111)]


@pytest.mark.parametrize(
    ("names", "expired", "own", "receiver", "problem"),
    [
        pytest.param(["127.0.0.1"], False, False, {}, None, id="address"),
        pytest.param(["logs.example"], False, False, {"server_name": "logs.example"}, None, id="name"),
        pytest.param(["*.logs.example"], False, False, {"server_name": "a.logs.example"}, None, id="any-name"),
        pytest.param(["logs.example"], False, False, {}, "IP address mismatch", id="wrong-address"),
        pytest.param(["127.0.0.1"], False, False, {"server_name": "a.example"}, "Hostname mismatch", id="wrong-name"),
        pytest.param(["127.0.0.1"], False, False, {"server_name": ".a"}, "cannot be the name", id="impossible-name"),
        pytest.param([], False, False, {}, "IP address mismatch", id="no-name"),
        pytest.param(["127.0.0.1"], True, False, {}, "certificate has expired", id="expired"),
        pytest.param(["127.0.0.1"], True, False, {"reject_expired": False}, None, id="expired-accepted"),
        pytest.param(
            ["logs.example"], True, False, {"reject_expired": False}, "IP address mismatch", id="expired-wrong-name"
        ),
        pytest.param(["127.0.0.1"], True, True, {"reject_expired": False}, "self-signed", id="expired-stranger"),
        pytest.param(["127.0.0.1"], False, True, {}, "self-signed certificate", id="stranger"),
        pytest.param(["127.0.0.1"], False, True, {"ca": "own"}, None, id="the-same-certificate-on-both-sides"),
        pytest.param(["127.0.0.1"], False, False, {"ca": None}, "unable to get local issuer", id="not-the-systems"),
        pytest.param(["127.0.0.1"], False, False, {"ca": "missing.pem"}, "missing.pem cannot be read", id="no-file"),
        pytest.param(
            ["127.0.0.1"], False, False, {"ca": "received"}, "holds no certificates in PEM form", id="bad-file"
        ),
    ],
)
async def test_receiver_is_trusted_by_its_certificate(
    world: World,
    tmp_path: Path,
    authority: Authority,
    names: list[str],
    expired: bool,
    own: bool,
    receiver: dict[str, str | bool | None],
    problem: str | None,
) -> None:
    port = free_port()
    (tmp_path / "received").write_text("no certificate")
    certificate, key = authority.certificate("receiver", *names, until=-DAY if expired else DAY, own=own)
    files = {"ca": authority.ca, "certificate": certificate, "key": key}
    ca = receiver.get("ca", "authority.pem")
    if ca == "own":
        ca = certificate.name
    config = SyslogReceiver(
        "127.0.0.1",
        port,
        "tls",
        ca=None if ca is None else tmp_path / str(ca),
        server_name=str(receiver["server_name"]) if "server_name" in receiver else None,
        reject_expired=receiver.get("reject_expired") is not False,
    )
    async with (
        Rsyslogd(peer("rsyslogd"), tmp_path, "tls", port, certificates=files) as rsyslogd,
        sending(world, config) as (feed, traffic),
    ):
        world.post(world.device("ups-1"), {}, {"on_battery": True})
        if problem is None:
            await rsyslogd.received(1)
            assert feed.problem is None
        else:
            await until(lambda: feed.problem is not None)
            assert problem in str(feed.problem)
            assert (traffic.requests, rsyslogd.messages()) == (0, [])
            await until(lambda: feed._receivers[0].waiting == 1)


@pytest.mark.parametrize("shown", [True, False], ids=["shown", "not-shown"])
async def test_receiver_that_wants_to_know_who_sends(
    world: World, tmp_path: Path, authority: Authority, shown: bool
) -> None:
    port = free_port()
    certificate, key = authority.certificate("receiver", "127.0.0.1")
    files = {"ca": authority.ca, "certificate": certificate, "key": key}
    mine = TlsConfig(*authority.certificate("bridge", "bridge.example")) if shown else None
    config = SyslogReceiver("127.0.0.1", port, "tls", ca=authority.ca, certificate=mine)
    async with (
        Rsyslogd(peer("rsyslogd"), tmp_path, "tls", port, certificates=files, client=True) as rsyslogd,
        sending(world, config) as (feed, traffic),
    ):
        world.post(world.device("ups-1"), {}, {"on_battery": True})
        if shown:
            await rsyslogd.received(1)
        else:
            await until(lambda: feed.problem is not None)
            # With TLS 1.3 it is told after the handshake: nothing may have been sent into the void by then.
            await until(lambda: feed._receivers[0].waiting == 1)
            assert traffic.requests == 0


async def test_certificate_without_its_key_is_said(world: World, tmp_path: Path, authority: Authority) -> None:
    certificate, _ = authority.certificate("bridge")
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    config = SyslogReceiver("127.0.0.1", port, "tls", certificate=TlsConfig(certificate, certificate))
    async with sending(world, config) as (feed, _):
        await until(lambda: feed.problem is not None)
        assert f"{certificate} holds no certificate with its key in PEM form" in str(feed.problem)
    server.close()


async def test_receiver_without_tls_is_no_receiver_with_tls(
    world: World, tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "PATIENCE", 0.3)
    port = free_port()
    async with (
        Rsyslogd(peer("rsyslogd"), tmp_path, "tcp", port),
        sending(world, SyslogReceiver("127.0.0.1", port, "tls", ca=authority.ca)) as (feed, _),
    ):
        await until(lambda: feed.problem is not None)
        assert "it does not answer" in str(feed.problem)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
async def test_what_a_receiver_says_over_tls_is_read_and_its_leave_is_noticed(
    world: World, authority: Authority, version: ssl.TLSVersion
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
    context.load_cert_chain(*authority.certificate("receiver", "127.0.0.1"))
    got: list[bytes] = []
    leave, leaves = asyncio.Event(), 0

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal leaves
        writer.write(b"syslog has no answers; this is one")
        got.append(await reader.readuntil(b"begun"))
        if not leave.is_set():
            await leave.wait()
            writer.close()
        else:
            # Only a leave that is taken as TLS wants it ends the stream without an error.
            leaves += await reader.read() == b""

    server = await asyncio.start_server(receive, "127.0.0.1", ssl=context)
    port = server.sockets[0].getsockname()[1]
    ups = world.device("ups-1")
    async with sending(world, SyslogReceiver("127.0.0.1", port, "tls", ca=authority.ca)) as (feed, traffic):
        world.post(ups, {}, {"on_battery": True})
        await until(lambda: traffic.requests == 1)
        leave.set()
        await until(lambda: feed.problem is not None)
        world.post(ups, {}, {"overload": True})
        await until(lambda: traffic.requests == 2)
    await until(lambda: leaves == 1)
    assert [b"On battery: begun" in got[0], b"Overload: begun" in got[1]] == [True, True]
    server.close()


async def test_receiver_with_tls_older_than_1_2_is_refused(world: World, authority: Authority) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.load_cert_chain(*authority.certificate("receiver", "127.0.0.1"))
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", ssl=context)
    port = server.sockets[0].getsockname()[1]
    async with sending(world, SyslogReceiver("127.0.0.1", port, "tls", ca=authority.ca)) as (feed, _):
        await until(lambda: feed.problem is not None)
        assert "while TLS was agreed on" in str(feed.problem)
    server.close()


async def test_receiver_that_ends_the_handshake_is_away(world: World, authority: Authority) -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    async with sending(world, SyslogReceiver("127.0.0.1", port, "tls", ca=authority.ca)) as (feed, _):
        await until(lambda: feed.problem is not None)
        assert "closed the connection while TLS was agreed on" in str(feed.problem) or "reset" in str(feed.problem)
    server.close()


async def test_flood_of_datagrams_finds_room(world: World, tmp_path: Path) -> None:
    port = free_port(socket.SOCK_DGRAM)
    ups = world.device("ups-1")
    async with (
        Rsyslogd(peer("rsyslogd"), tmp_path, "udp", port) as rsyslogd,
        sending(world, SyslogReceiver("127.0.0.1", port, "udp")) as (_, traffic),
    ):
        for number in range(1000):
            world.post(ups, {}, {"on_battery": number % 2 == 0})
        messages = await rsyslogd.received(1000)
        await until(lambda: traffic.requests == 1000)
    sequences = [int(message["structured-data"].split('"')[1]) for message in messages]
    assert sequences == list(range(1, 1001))
