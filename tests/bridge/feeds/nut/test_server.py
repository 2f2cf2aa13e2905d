"""Connections: encryption, limits, and clients that do not behave."""

import asyncio
from ipaddress import ip_network
from pathlib import Path
import socket
import ssl

import pytest

from ridethrough.config.feeds import NutConfig
from ridethrough.config.tls import TlsConfig
from ridethrough.feeds import FeedError, Traffic
from ridethrough.feeds.nut import make
from tests.bridge.feeds.fuzz import never_stalled, watching_stalls
from tests.bridge.feeds.rig import World, free_port

from .certificates import Certificates, certify
from .rig import USERS, Dialer, Served, a_server, until


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    """Make certificates for the loopback."""
    return certify(tmp_path / "tls")


def trusting(certificates: Certificates) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificates.authority)


async def encrypted(client: Dialer, certificates: Certificates) -> Dialer:
    """Encrypt a connection from the client's side."""
    assert await client.ask("STARTTLS") == "OK STARTTLS"
    await client.writer.start_tls(trusting(certificates), server_hostname="127.0.0.1")
    return client


async def test_a_connection_is_encrypted_in_the_middle(world: World, certificates: Certificates) -> None:
    world.ups()
    async with a_server(world, tls=certificates.server) as served, served.client() as plain:
        assert await plain.ask("NETVER") == "1.3"
        client = await encrypted(plain, certificates)
        assert await client.ask("STARTTLS") == "ERR ALREADY-SSL-MODE"
        assert await client.ask("USERNAME monuser") == "OK"
        assert await client.ask("PASSWORD secret") == "OK"
        assert await client.ask("LOGIN ups-1") == "OK"
        assert 'VAR ups-1 ups.status "OL"' in await client.list("VAR ups-1")
        # Who does not encrypt may log in all the same, as with upsd.
        async with served.client(log_in="monuser") as other:
            assert await other.ask("LOGIN ups-1") == "OK"
        assert await client.ask("LOGOUT") == "OK Goodbye"
        assert await client.ended()


async def test_what_came_in_the_clear_is_never_taken_for_encrypted(world: World, certificates: Certificates) -> None:
    """Somebody between client and server may put requests behind STARTTLS, to be carried out as the client's."""
    world.ups(commands=("beeper.mute",))
    async with a_server(world, tls=certificates.server) as served, served.client() as client:
        client.writer.write(b"STARTTLS\nUSERNAME admin\nPASSWORD secret\nINSTCMD ups-1 beeper.mute\n")
        assert await client.hear() == "OK STARTTLS"
        await client.writer.start_tls(trusting(certificates), server_hostname="127.0.0.1")
        assert await client.ask("LOGIN ups-1") == "ERR USERNAME-REQUIRED"
    assert world.given == []


@pytest.mark.parametrize("garbage", [b"GET VAR ups-1 ups.status\n", b"\x16\x03\x01\xff\xff" + b"A" * 400, b""])
async def test_a_failed_handshake_ends_that_connection_only(
    world: World, certificates: Certificates, garbage: bytes
) -> None:
    world.ups()
    async with a_server(world, tls=certificates.server) as served, served.client() as good:
        async with served.client() as bad:
            assert await bad.ask("STARTTLS") == "OK STARTTLS"
            bad.writer.write(garbage)
            if not garbage:
                bad.writer.write_eof()
            assert not (await bad.reader.read()).startswith(b"VAR")
        assert await good.ask("NETVER") == "1.3"
        await until(lambda: served.traffic.clients == 1)


async def test_certificates_that_cannot_be_used_are_told(world: World, certificates: Certificates) -> None:
    other = certify(certificates.folder / "other")
    missing = certificates.folder / "missing.pem"
    for tls, words in (
        (TlsConfig(missing, certificates.server.key), "cannot be read: No such file"),
        (TlsConfig(certificates.server.certificate, other.server.key), "cannot be used: KEY_VALUES_MISMATCH"),
    ):
        feed = make(NutConfig(port=free_port(), tls=tls), world.context, Traffic())
        with pytest.raises(FeedError, match=words):
            await feed.serve(lambda place: None)


async def test_a_port_in_use_is_told(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(FeedError, match=rf"cannot listen at 127\.0\.0\.1 port {port}: .*in use"):
            await make(NutConfig(port=port), world.context, Traffic()).serve(lambda place: None)


async def test_it_says_where_it_serves_also_by_ipv6(world: World, served: Served) -> None:
    assert served.place == f"127.0.0.1:{served.port}"
    if not socket.has_ipv6:
        pytest.skip("this computer has no IPv6")
    async with a_server(world, listen="::1") as other:
        assert other.place == f"[::1]:{other.port}"
        reader, writer = await asyncio.open_connection("::1", other.port)
        client = Dialer(reader, writer)
        assert await client.ask("USERNAME monuser") == "OK"
        assert await client.ask("PASSWORD secret") == "OK"
        assert await client.ask("LOGIN ups-1") == "OK"
        assert await client.list("CLIENT ups-1") == ["CLIENT ups-1 ::1"]
        writer.transport.abort()


async def test_only_the_networks_that_are_named_are_served(world: World) -> None:
    world.ups()
    async with a_server(world, clients=(ip_network("192.0.2.0/24"),)) as served, served.client() as client:
        assert await client.ended()
        assert served.traffic.errors == 1
        assert served.traffic.clients == 0
    async with a_server(world, clients=(ip_network("127.0.0.0/8"),)) as served, served.client() as client:
        assert await client.ask("NETVER") == "1.3"


async def test_stopping_closes_every_connection(world: World) -> None:
    world.ups()
    async with a_server(world) as served:
        port = served.port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        client = Dialer(reader, writer)
        assert await client.ask("NETVER") == "1.3"
    assert await client.ended()
    writer.transport.abort()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    # And it can be started again at once.
    config = NutConfig(users=USERS, port=port)
    async with world.serving(lambda traffic: make(config, world.context, traffic)), Dialer.open(port) as again:
        assert await again.ask("NETVER") == "1.3"


async def test_an_endless_line_is_too_long(served: Served) -> None:
    async with served.client() as client:
        client.writer.write(b"GET VAR " + b"x" * 5000)
        assert await client.hear() == "ERR TOO-LONG"
        assert await client.ended()
    assert (served.traffic.requests, served.traffic.errors) == (1, 1)


async def test_who_says_nothing_is_sent_away(world: World) -> None:
    world.ups()
    async with (
        a_server(world, idle=0.2) as served,
        served.client() as silent,
        served.client() as slow,
        served.client() as good,
    ):
        slow.writer.write(b"NETV")
        for _ in range(6):
            await asyncio.sleep(0.1)
            assert await good.ask("NETVER") == "1.3"
        assert await silent.ended()
        assert await slow.ended()


async def test_one_byte_at_a_time_is_a_request_too(served: Served) -> None:
    async with served.client() as client:
        for byte in b"NETVER\n":
            client.writer.write(bytes([byte]))
            await asyncio.sleep(0.001)
        assert await client.hear() == "1.3"


async def test_an_end_right_behind_a_request_does_not_cost_the_answer(served: Served) -> None:
    async with served.client() as client:
        client.writer.write(b"NETVER\nGET VAR ups-1 ups.status\nLIST")
        client.writer.write_eof()
        assert await client.reader.read() == b'1.3\nVAR ups-1 ups.status "OL"\n'


async def test_strangers_make_room_and_those_logged_in_stay(world: World) -> None:
    world.ups()
    async with a_server(world, connections=3) as served, served.client(log_in="monuser") as member:
        assert await member.ask("LOGIN ups-1") == "OK"
        async with served.client() as first, served.client() as second:
            assert await first.ask("NETVER") == "1.3"
            assert await second.ask("NETVER") == "1.3"
            assert await first.ask("NETVER") == "1.3"
            async with served.client(log_in="monuser") as third:
                assert await third.ask("LOGIN ups-1") == "OK"
                # Of the strangers it is the one that has been silent for longer.
                assert await second.ended()
                assert await first.ask("NETVER") == "1.3"
                assert served.traffic.clients == 3
                async with served.client(log_in="admin") as fourth:
                    assert await fourth.ask("LOGIN ups-1") == "OK"
                    assert await first.ended()
                    # There is nobody left who could go.
                    async with served.client() as fifth:
                        assert await fifth.ended()
                    assert served.traffic.errors == 1
                    for one in (member, third, fourth):
                        assert await one.ask("NETVER") == "1.3"


async def test_who_opens_connections_without_end_does_not_keep_others_out(world: World) -> None:
    world.ups()
    async with a_server(world, connections=16) as served, served.client(log_in="monuser") as member:
        assert await member.ask("LOGIN ups-1") == "OK"
        opened = []
        async with watching_stalls() as stalls:
            for number in range(300):
                reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
                writer.write(b"GET VAR ups-1 ups.sta")
                opened.append((reader, writer))
                if number % 20 == 0:
                    assert await member.ask("GET VAR ups-1 ups.status") == 'VAR ups-1 ups.status "OL"'
                    async with served.client() as newcomer:
                        assert await newcomer.ask("NETVER") == "1.3"
        assert served.traffic.clients <= 16
        never_stalled(stalls.spans)
        for _, writer in opened:
            writer.transport.abort()


async def test_who_never_reads_is_not_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ridethrough.feeds.nut.lines.SLOW", 0.5)
    world.ups()
    loop = asyncio.get_running_loop()
    with socket.socket() as raw:
        # The kernel's own patience is to end soon.
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.setblocking(False)
        async with a_server(world) as served, served.client() as good:
            await loop.sock_connect(raw, ("127.0.0.1", served.port))
            flooding = asyncio.create_task(loop.sock_sendall(raw, b"LIST VAR ups-1\n" * 20000))
            await until(lambda: served.traffic.clients == 2)
            async with asyncio.timeout(20):
                while served.traffic.clients == 2:
                    assert await good.ask("NETVER") == "1.3"
            # It was not answered without end meanwhile.
            assert served.traffic.requests < 40000
            flooding.cancel()
            await asyncio.gather(flooding, return_exceptions=True)


async def test_a_flood_of_requests_leaves_the_others_their_turn(served: Served) -> None:
    async def flood(dialer: Dialer) -> None:
        for _ in range(5):
            dialer.writer.write(b"LIST VAR ups-1\n" * 200)
            for _ in range(200):
                await dialer.reader.readuntil(b"END LIST VAR ups-1\n")

    async with served.client() as good, served.client() as one, served.client() as two:
        async with watching_stalls() as stalls, asyncio.TaskGroup() as tasks:
            floods = [tasks.create_task(flood(dialer)) for dialer in (one, two)]
            answered = 0
            while not all(task.done() for task in floods):
                assert await good.ask("GET VAR ups-1 ups.status") == 'VAR ups-1 ups.status "OL"'
                answered += 1
        assert answered > 20
        never_stalled(stalls.spans)


async def test_guessing_passwords_waits(world: World) -> None:
    """From the same address a right password waits as well: else it would tell itself apart."""
    world.ups()
    loop = asyncio.get_running_loop()
    async with a_server(world) as served, served.client(log_in="monuser") as member:
        assert await member.ask("LOGIN ups-1") == "OK"

        async def guess(password: str) -> str:
            async with served.client() as client:
                client.say("USERNAME admin")
                client.say(f"PASSWORD {password}")
                client.say("PRIMARY ups-1")
                return [await client.hear() for _ in range(3)][2]

        began = loop.time()
        assert [await guess("wrong") for _ in range(5)] == ["ERR ACCESS-DENIED"] * 5
        assert loop.time() - began < 0.9
        assert list(await asyncio.gather(guess("wrong"), guess("secret"))) == [
            "ERR ACCESS-DENIED",
            "OK PRIMARY-GRANTED",
        ]
        assert loop.time() - began > 0.9
        # Who is known already is not held up.
        began = loop.time()
        assert await member.ask("FSD ups-1") == "ERR ACCESS-DENIED"
        assert loop.time() - began < 0.5
