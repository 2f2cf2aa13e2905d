"""A serial port that several links use in turns, and conversations without terminators."""

import asyncio

import pytest

from ridethrough.links.answer import MalformedError, NoAnswerError
from ridethrough.links.base import LinkError
from ridethrough.links.ports import SerialPorts
from ridethrough.serial_line import LineSettings

from .peers import STATUS, SerialPeer

LINE = LineSettings(baud=115200)


def ended(received: bytes) -> bytes | None:
    """Take everything up to the carriage return."""
    return received if received.endswith(b"\r") else None


async def test_those_who_share_have_one_port(peer: SerialPeer, ports: SerialPorts) -> None:
    first, second = await asyncio.gather(ports.share(peer.path, LINE), ports.share(peer.tty, LINE))
    assert first.port is second.port
    answers = await asyncio.gather(
        first.port.converse(b"Q1\r", ended, patience=1), second.port.converse(b"I\r", ended, patience=1)
    )
    assert answers[0] == STATUS
    assert answers[1].startswith(b"#ACME")
    await first.close()
    assert not second.port.lost
    await second.close()
    assert second.port.lost


async def test_a_port_with_one_owner_is_not_shared(peer: SerialPeer, ports: SerialPorts) -> None:
    port = await ports.open(peer.path, LINE)
    with pytest.raises(LinkError, match="is already used by another link"):
        await ports.share(peer.path, LINE)
    await port.close()
    shared = await ports.share(peer.path, LINE)
    with pytest.raises(LinkError, match="is already used by another link"):
        await ports.open(peer.path, LINE)
    await shared.close()
    await (await ports.open(peer.path, LINE)).close()


async def test_those_who_share_must_agree_on_the_line(peer: SerialPeer, ports: SerialPorts) -> None:
    shared = await ports.share(peer.path, LINE)
    with pytest.raises(LinkError, match="sets it to 115200 baud, N parity, 1 stop bits; all links on one line"):
        await ports.share(peer.path, LineSettings(baud=9600))
    await shared.close()


async def test_after_the_port_has_gone_it_is_shared_anew(peer: SerialPeer, ports: SerialPorts) -> None:
    old, idle = await ports.share(peer.path, LINE), await ports.share(peer.path, LINE)
    peer.hang_up()
    with pytest.raises(LinkError, match="the port has gone"):
        await old.port.converse(b"Q1\r", ended, patience=5)
    peer.plug_in()
    new = await ports.share(peer.path, LINE)
    assert new.port is not old.port
    await old.close()
    await idle.close()
    assert await new.port.converse(b"Q1\r", ended) == STATUS
    await new.close()


async def test_one_that_opens_while_the_last_closes_waits_for_it(peer: SerialPeer, ports: SerialPorts) -> None:
    first = await ports.share(peer.path, LINE)
    _, second = await asyncio.gather(first.close(), ports.share(peer.path, LINE))
    assert await second.port.converse(b"Q1\r", ended) == STATUS


async def test_a_conversation_ends_as_soon_as_the_answer_is_found(peer: SerialPeer, ports: SerialPorts) -> None:
    port = await ports.open(peer.path, LINE)
    peer.answers[b"Q\r"] = b"one two"
    assert await port.converse(b"Q\r", lambda data: data[:3] or None, patience=30) == b"one"
    sent = [line for line in port.trace.lines if line.data == b"Q\r"]
    assert sent


async def test_silence_and_nonsense_are_told_apart(peer: SerialPeer, ports: SerialPorts) -> None:
    port = await ports.open(peer.path, LINE)
    peer.answers[b"Q\r"] = None
    with pytest.raises(NoAnswerError, match="no answer to 51 0d"):
        await port.converse(b"Q\r", ended, patience=0.01)
    peer.answers[b"Q\r"] = b"\x01\x02"
    with pytest.raises(MalformedError, match="makes no sense: 01 02") as caught:
        await port.converse(b"Q\r", ended, patience=0.05)
    assert caught.value.received == b"\x01\x02"
