"""The pieces under a connection: turns, clocks, and TLS to those who do not play along."""

import asyncio
from pathlib import Path
import ssl

import pytest

from ridethrough.agents.authority import Authority, open_authority
from ridethrough.agents.channel import MOST_UNSENT, Channel
from ridethrough.agents.connection import Offset
from ridethrough.agents.turns import Turns
from ridethrough.site import DeviceId

from .peer import Papers, until

AGENT = DeviceId("6a7f1a3c-51f2-5c4f-9d3e-1f2d3c4b5a69")
NAME = f"{AGENT}.agent.ridethrough.internal"


class Ends:
    """Both ends of a channel: ours, and what a plain server has got."""

    def __init__(self, authority: Authority) -> None:
        self.context = authority.context()
        self.said: list[bytes] = []
        self.shown: list[bytes] = []
        self.ended: list[str] = []
        self.channel = Channel(
            self.context,
            NAME,
            Turns(),
            secured=self.shown.append,
            received=self.said.append,
            ended=self.ended.append,
        )

    async def connect(self, port: int) -> None:
        """Connect to a port of this computer, and wait for the handshake."""
        await asyncio.get_running_loop().create_connection(lambda: self.channel, "127.0.0.1", port)
        await until(lambda: self.shown or self.ended)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Make one."""
    return open_authority(tmp_path, DeviceId("bridge"), None)


@pytest.fixture
def server_context(tmp_path: Path, authority: Authority) -> ssl.SSLContext:
    """Make what an agent serves with."""
    signed = authority.agent(AGENT)
    return Papers(authority.pem, signed.certificate, signed.key).context(tmp_path)


async def test_who_does_not_read_is_ended_and_costs_no_memory(
    authority: Authority, server_context: ssl.SSLContext
) -> None:
    held: list[asyncio.StreamWriter] = []

    def hold(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined] # it is one that reads, too
        held.append(writer)

    server = await asyncio.start_server(hold, "127.0.0.1", 0, ssl=server_context)
    ends = Ends(authority)
    await ends.connect(server.sockets[0].getsockname()[1])
    sent = 0
    while not ends.ended:
        ends.channel.send(b"x" * 8192)
        sent += 8192
        await asyncio.sleep(0)
        assert sent < 100 * MOST_UNSENT + 2**24, "what the system itself holds is some megabytes"
    assert ends.ended == ["it does not read what it is sent"]
    ends.channel.send(b"x")
    ends.channel.close("again")
    assert len(ends.ended) == 1
    for writer in held:
        writer.transport.abort()
    server.close()


async def test_what_comes_faster_than_it_is_read_waits_in_the_network(
    authority: Authority, server_context: ssl.SSLContext
) -> None:
    held: list[asyncio.StreamWriter] = []

    async def pour(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)
        writer.write(b"x" * 100_000)
        await writer.drain()

    server = await asyncio.start_server(pour, "127.0.0.1", 0, ssl=server_context)
    ends = Ends(authority)
    await ends.connect(server.sockets[0].getsockname()[1])
    await until(lambda: sum(map(len, ends.said)) == 100_000)
    assert max(map(len, ends.said)) <= 4096
    ends.channel.close("enough")
    assert ends.ended == ["enough"]
    for writer in held:
        writer.transport.abort()
    server.close()


async def test_an_end_without_goodbye_is_an_end(authority: Authority, server_context: ssl.SSLContext) -> None:
    server = await asyncio.start_server(
        lambda _reader, writer: writer.transport.abort(), "127.0.0.1", 0, ssl=server_context
    )
    ends = Ends(authority)
    await ends.connect(server.sockets[0].getsockname()[1])
    await until(lambda: ends.ended)
    assert ends.said == []
    server.close()


async def test_an_end_within_the_handshake_is_an_end(authority: Authority) -> None:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    ends = Ends(authority)
    await ends.connect(server.sockets[0].getsockname()[1])
    assert len(ends.ended) == 1
    assert ends.shown == []
    server.close()


async def test_what_fails_does_not_keep_the_next_from_its_turn(caplog: pytest.LogCaptureFixture) -> None:
    turns, done = Turns(budget=0.0), []

    def fail() -> None:
        raise ValueError("nobody foresaw this")

    turns.add(fail)
    turns.add(lambda: done.append("later"))
    turns.add(lambda: done.append("urgent"), urgent=True)
    await until(lambda: len(done) == 2)
    assert done == ["urgent", "later"]
    assert "failed in a way nobody foresaw" in caplog.text


def test_the_agents_clock_is_known_as_well_as_the_quickest_answer_shows_it() -> None:
    offset = Offset()
    offset.learn(1002.0, 0.0, 4.0)  # it showed 1002 at some time within these four seconds
    assert offset.at(10.0) == 1010.0
    offset.learn(1012.4, 10.0, 13.0)  # slow, and tells nothing new
    assert offset.at(10.0) == 1010.0
    offset.learn(1020.5, 20.0, 20.1)
    assert 1020.4 <= offset.at(20.0) <= 1020.5
    offset.learn(930.0, 30.0, 30.1)  # it has slept
    assert 929.9 <= offset.at(30.0) <= 930.0
