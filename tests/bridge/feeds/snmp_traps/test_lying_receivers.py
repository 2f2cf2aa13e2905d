"""Receivers that answer what they should not: none of it counts as a confirmation."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
import logging
import socket

import pytest

from ridethrough.config.feeds import SnmpReceiver, SnmpUser
from ridethrough.feeds.snmp import receivers
from ridethrough.feeds.snmp.ber import BerError, Reader, Tag, element, integer, octets
from ridethrough.feeds.snmp.pdu import Kind, response, variable
from ridethrough.feeds.snmp.trap_message import object_id
from ridethrough.feeds.snmp.trap_security import EngineTime, Seal, scoped_pdu
from tests.bridge.feeds.fuzz import mutations
from tests.bridge.feeds.rig import World, free_port

from .rig import telling
from .trapd import the_user

THEIRS = bytes.fromhex("80001f8804666f72656967")
STATS = "1.3.6.1.6.3.15.1.1"

type Lie = Callable[[bytes], list[bytes]]
"""What a message is answered with."""


@asynccontextmanager
async def liar(lie: Lie) -> AsyncIterator[int]:
    """Answer each datagram; gives the port."""

    class Answering(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override] # its kind
            self.transport = transport

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            for answer in lie(data):
                self.transport.sendto(answer, addr)

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Answering, local_addr=("127.0.0.1", 0))
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


async def until(true: Callable[[], object]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.01)


def v2c_answer(data: bytes, *, kind: Kind = Kind.RESPONSE, add: int = 0, version: int = 1) -> bytes:
    """Answer an inform, rightly unless told otherwise."""
    message = Reader(data).enter()
    message.integer()
    community = message.take(Tag.OCTETS)
    number = message.enter(Kind.INFORM).integer()
    pdu = response(integer(number + add), (), kind=kind)
    return element(Tag.SEQUENCE, integer(version) + octets(community) + pdu)


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receivers, "ANSWER", (0.3,))


async def test_v2c_is_confirmed_by_the_right_answer_only(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.ups()
    honest = False

    def lie(data: bytes) -> list[bytes]:
        if honest:
            return [v2c_answer(data)]
        right = v2c_answer(data)
        return [
            b"",
            b"\x30",
            *(right[:length] for length in (5, 12, len(right) - 1)),
            v2c_answer(data, add=1),
            v2c_answer(data, version=0),
            v2c_answer(data, kind=Kind.REPORT),
            data,
        ]

    async with (
        liar(lie) as port,
        telling(world, SnmpReceiver("127.0.0.1", port, inform=True)) as told,
    ):
        await until(lambda: "does not take SNMP notifications: it does not answer" in caplog.text)
        assert told.traffic.requests == 0
        honest = True
        await until(lambda: told.traffic.requests == 1)


async def test_noise_hurts_nobody(world: World) -> None:
    world.ups()
    noise = mutations(
        [bytes.fromhex("302602010104067075626c6963a219020101020100020100300e300c06082b060102010103000500")], 5000
    )

    def lie(data: bytes) -> list[bytes]:
        return [*(next(noise) for _ in range(10)), v2c_answer(data)]

    async with (
        liar(lie) as port,
        telling(world, SnmpReceiver("127.0.0.1", port, inform=True)) as told,
    ):
        await until(lambda: told.traffic.requests == 1)


class Foreign:
    """An engine of v3 that lies as it is told."""

    def __init__(self, user: SnmpUser) -> None:
        """Know the passwords of a user."""
        self.seal = Seal(user, THEIRS)
        self.plain = Seal(SnmpUser(user.name), THEIRS)
        self.time = EngineTime(THEIRS, 7, 1000)

    def report(self, data: bytes, number: int, *, signed: bool = False) -> bytes:
        """Answer with a counter."""
        count = variable(object_id(f"{STATS}.{number}.0"), integer(1, Tag.COUNTER))
        scoped = scoped_pdu(THEIRS, response(integer(0), (count,), kind=Kind.REPORT))
        seal = self.seal if signed else self.plain
        return seal.message(_message_id(data), self.time, scoped, reportable=False)

    def confirmation(self, data: bytes, seal: Seal) -> bytes:
        """Answer the inform that only the user's keys can open."""
        number = _opened(data, self.seal)
        scoped = scoped_pdu(THEIRS, response(integer(number), ()))
        return seal.message(_message_id(data), self.time, scoped, reportable=False)


def _message_id(data: bytes) -> int:
    message = Reader(data).enter()
    message.integer()
    return message.enter().integer()


def _engine_id(data: bytes) -> bytes:
    message = Reader(data).enter()
    message.integer()
    message.enter()
    return message.enter(Tag.OCTETS).enter().take(Tag.OCTETS)


def _opened(data: bytes, seal: Seal) -> int:
    """Read the request id of an inform, which `Seal.open` itself refuses since it is no answer that confirms."""
    return int.from_bytes(seal.open(data).pdu.request_id[2:], signed=True)


async def test_v3_is_not_confirmed_without_the_password(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.ups()
    user = the_user("sha256", "aes")
    foreign = Foreign(user)
    honest = False

    def lie(data: bytes) -> list[bytes]:
        if _engine_id(data) != THEIRS:
            return [b"\x30\x00", foreign.report(data, 4)]
        if honest:
            return [foreign.confirmation(data, foreign.seal)]
        stranger = Seal(SnmpUser(user.name, "sha256", "another-0123", "aes", "another-0123"), THEIRS)
        other = Seal(user, THEIRS + b"\x01")
        # Not signed, signed with another password, signed for another engine, and a clock that nobody vouches for.
        lies = [foreign.confirmation(data, seal) for seal in (foreign.plain, stranger, other)]
        return [*lies, foreign.report(data, 2), foreign.report(b"\x30\x09\x02\x01\x03\x30\x04\x02\x02\x01\x01", 5)]

    async with (
        liar(lie) as port,
        telling(world, SnmpReceiver("127.0.0.1", port, version="3", user=user.name, inform=True)) as told,
    ):
        await until(lambda: "does not take SNMP notifications: it does not answer" in caplog.text)
        assert told.traffic.requests == 0
        honest = True
        await until(lambda: told.traffic.requests == 1)


async def test_v3_follows_the_clock_of_a_receiver(world: World) -> None:
    world.ups()
    user = the_user("sha512", "des")
    foreign = Foreign(user)
    clocks = []

    def lie(data: bytes) -> list[bytes]:
        if _engine_id(data) != THEIRS:
            return [foreign.report(data, 4)]
        clocks.append(foreign.seal.open(data).engine)
        if clocks[-1].boots != 7:
            return [foreign.report(data, 2, signed=True)]
        return [foreign.confirmation(data, foreign.seal)]

    async with (
        liar(lie) as port,
        telling(world, SnmpReceiver("127.0.0.1", port, version="3", user=user.name, inform=True)) as told,
    ):
        await until(lambda: told.traffic.requests == 1)
    assert [(clock.boots, clock.seconds // 10) for clock in clocks] == [(0, 0), (7, 100)]


async def test_v3_does_not_go_on_for_ever_with_an_engine_that_never_agrees(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.ups()
    user = the_user("sha256", "aes")
    foreign = Foreign(user)
    asked = []

    def lie(data: bytes) -> list[bytes]:
        asked.append(data)
        return [foreign.report(data, 4) if _engine_id(data) != THEIRS else foreign.report(data, 2, signed=True)]

    async with (
        liar(lie) as port,
        telling(world, SnmpReceiver("127.0.0.1", port, version="3", user=user.name, inform=True)),
    ):
        await until(lambda: "it does not agree with us about its engine id and its clock" in caplog.text)
        assert len(asked) == receivers.ROUNDS


async def test_inform_to_nobody_is_noted_at_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    world.ups()
    receiver = SnmpReceiver("127.0.0.1", free_port(socket.SOCK_DGRAM), inform=True)
    async with telling(world, receiver):
        await until(lambda: "does not take SNMP notifications: nobody listens there" in caplog.text)


async def test_v1_over_ipv6_has_no_address_of_ours_to_show(world: World) -> None:
    if not socket.has_ipv6:
        pytest.skip("this computer has no IPv6")
    world.ups()
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as listener:
        listener.bind(("::1", 0))
        listener.settimeout(5)
        receiver = SnmpReceiver("::1", listener.getsockname()[1], version="1")
        async with telling(world, receiver) as told:
            data = await asyncio.to_thread(listener.recv, 2000)
            assert told.notifications.receivers[0].name.startswith("[::1]:")
    message = Reader(data).enter()
    assert (message.integer(), message.take(Tag.OCTETS)) == (0, b"public")
    trap = message.enter(Kind.TRAP_V1)
    trap.take(Tag.OID)
    assert trap.take(Tag.ADDRESS) == bytes(4)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param("3003020103", id="cut off"),
        pytest.param("3003020101", id="another version"),
        pytest.param("301302010330 0d 020101 020205dc 040104 020102 0400".replace(" ", ""), id="another model"),
        pytest.param("30130201033009020101020101040104020103 0403300102".replace(" ", ""), id="no security"),
    ],
)
def test_what_is_no_answer_of_v3_is_refused(data: str) -> None:
    with pytest.raises(BerError):
        Seal(the_user("sha256", "aes"), THEIRS).open(bytes.fromhex(data))
