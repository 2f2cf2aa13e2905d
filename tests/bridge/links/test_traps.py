"""The trap port: what net-snmp sends is heard, what anybody else sends does no harm, and nothing is ever believed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
import errno
from itertools import count
import logging
import os
import socket
import time

from hypothesis import example, given, strategies as st
from pyasn1.codec.ber import decoder, encoder
from pysnmp.proto.api import v1, v2c
import pytest

from ridethrough.clock import ManualClock, SystemClock, settle
from ridethrough.links import traps
from ridethrough.links.base import LinkError
from ridethrough.links.trap_message import TrapKind, TrapMessage
from ridethrough.links.traps import TrapListener
from tests.strangers import peer

UPS = "127.0.0.1"
OTHER = "127.0.0.9"
ON_BATTERY = "1.3.6.1.2.1.33.2.1"
V1 = ("-v1", "-c", "public", "{to}", "1.3.6.1.2.1.33.2", UPS, "6", "1", "0", "1.3.6.1.2.1.33.1.2.3.0", "i", "20")
V2C = ("-v2c", "-c", "public", "{to}", "", ON_BATTERY, "1.3.6.1.2.1.33.1.2.3.0", "i", "20")
KEYS = ("-u", "ups", "-a", "SHA-256", "-A", "authentic", "-x", "AES", "-X", "encrypted")
V3_TRAP = ("-v3", "-e", "0x80001f8804757073", "-l", "authPriv", *KEYS, "{to}", "", ON_BATTERY)
V3_PLAIN = ("-v3", "-e", "0x80001f8804757073", "-l", "noAuthNoPriv", "-u", "ups", "{to}", "", ON_BATTERY)
V3_INFORM = ("-v3", "-l", "authPriv", *KEYS, "{to}", "", ON_BATTERY)


def v2c_message(pdu: object) -> bytes:
    message = v2c.Message()
    v2c.apiMessage.set_defaults(message)
    v2c.apiMessage.set_community(message, "public")
    v2c.apiMessage.set_pdu(message, pdu)
    return bytes(encoder.encode(message))


def notification(pdu: object) -> bytes:
    v2c.apiTrapPDU.set_defaults(pdu)
    return v2c_message(pdu)


def trap_v1() -> bytes:
    pdu = v1.TrapPDU()
    v1.apiTrapPDU.set_defaults(pdu)
    message = v1.Message()
    v1.apiMessage.set_defaults(message)
    v1.apiMessage.set_pdu(message, pdu)
    return bytes(encoder.encode(message))


TRAP = notification(v2c.SNMPv2TrapPDU())
INFORM = notification(v2c.InformRequestPDU())


class Ear:
    """Counts how often it was told."""

    def __init__(self) -> None:
        self.told = 0
        self._news = asyncio.Event()

    def __call__(self) -> None:
        self.told += 1
        self._news.set()

    async def until(self, told: int) -> None:
        while self.told < told:
            self._news.clear()
            await self._news.wait()


@asynccontextmanager
async def listening(listener: TrapListener) -> AsyncIterator[int]:
    """Run a listener; gives its port."""
    ready = asyncio.Event()
    task = asyncio.create_task(listener.listen(ready.set))
    await ready.wait()
    assert listener.address is not None
    try:
        yield listener.address[1]
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert listener.address is None


def talker(host: str = UPS) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_DGRAM)
    opened.bind((host, 0))
    opened.settimeout(5.0)
    return opened


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.005)


async def net_snmp(program: str, arguments: tuple[str, ...], port: int, source: str = UPS) -> int:
    """Send with a program of net-snmp from an address; gives its exit status."""
    process = await asyncio.create_subprocess_exec(
        *(str(peer(program)), f"--clientaddr={source}", "-t", "1", "-r", "0"),
        *(argument.format(to=f"127.0.0.1:{port}") for argument in arguments),
        env=os.environ | {"MIBS": "", "SNMP_PERSISTENT_DIR": "/nonexistent"},
        stderr=asyncio.subprocess.DEVNULL,
    )
    return await process.wait()


@pytest.mark.peer
@pytest.mark.parametrize(
    ("program", "arguments", "kind", "content"),
    [
        ("snmptrap", V1, TrapKind.V1, True),
        ("snmptrap", V2C, TrapKind.V2C, True),
        ("snmpinform", V2C, TrapKind.INFORM, True),
        ("snmptrap", V3_PLAIN, TrapKind.V3, True),
        ("snmptrap", V3_TRAP, TrapKind.V3, True),
        # Its sender asks for our engine first, which we do not have: it gives up, but it has been heard.
        ("snmpinform", V3_INFORM, TrapKind.V3, False),
    ],
    ids=["v1", "v2c", "inform", "v3 in the clear", "v3 encrypted", "v3 inform"],
)
@pytest.mark.parametrize("host", ["127.0.0.1", "", "0.0.0.0"])
async def test_what_net_snmp_sends_is_heard_and_an_inform_is_answered(
    program: str, arguments: tuple[str, ...], kind: TrapKind, content: bool, host: str
) -> None:
    listener, ear = TrapListener(SystemClock(), host, 0), Ear()
    listener.subscribe(UPS, ear)
    async with listening(listener) as port:
        sent = asyncio.create_task(net_snmp(program, arguments, port))
        await ear.until(1)
        assert (await sent == 0) is content
    assert listener.counts == {kind: 1}


@pytest.mark.peer
async def test_an_unknown_sender_is_counted_and_gets_no_answer() -> None:
    listener, ear = TrapListener(SystemClock(), UPS, 0), Ear()
    listener.subscribe(UPS, ear)
    async with listening(listener) as port:
        assert await net_snmp("snmpinform", V2C, port, OTHER) != 0
        assert await net_snmp("snmptrap", V2C, port, OTHER) == 0
        await until(lambda: listener.counts["unknown"] == 2)
    assert ear.told == 0


def test_the_response_to_an_inform_is_what_another_library_takes_for_one() -> None:
    message = TrapMessage.parse(INFORM + b"padding")
    asked, _ = decoder.decode(INFORM, asn1Spec=v2c.Message())
    answered, rest = decoder.decode(message.response, asn1Spec=v2c.Message())
    pdu = v2c.apiMessage.get_pdu(answered)
    assert rest == b""
    assert isinstance(pdu, v2c.ResponsePDU)
    assert v2c.apiMessage.get_community(answered) == b"public"
    assert v2c.apiPDU.get_request_id(pdu) == v2c.apiPDU.get_request_id(v2c.apiMessage.get_pdu(asked))
    assert v2c.apiPDU.get_error_status(pdu) == 0
    assert v2c.apiPDU.get_varbinds(pdu) == v2c.apiPDU.get_varbinds(v2c.apiMessage.get_pdu(asked))


def requests() -> list[bytes]:
    pdus = [v2c.GetRequestPDU(), v2c.SetRequestPDU(), v2c.ResponsePDU()]
    for pdu in pdus:
        v2c.apiPDU.set_defaults(pdu)
    return [v2c_message(pdu) for pdu in pdus]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"0",
        b"\x30\x00",
        b"\x30\x80\x00\x00",
        b"\x30\x85\x00\x00\x00\x00\x01\x00",
        b"\x30\x84\xff\xff\xff\xff",
        b"\x31\x03\x02\x01\x01",
        TRAP[:-1],
        TRAP.replace(b"\x02\x01\x01", b"\x02\x01\x00", 1),
        # A v3 message without content, and one whose content is a number.
        bytes.fromhex("3016 020103 300d 02010102020400040100020103 0402 3000"),
        bytes.fromhex("3019 020103 300d 02010102020400040100020103 0402 3000 020100"),
        # More in the header than belongs there.
        bytes.fromhex("301b 020103 3010 02010102020400040100020103020103 0402 3000 3000"),
        *requests(),
    ],
    # Their request ids differ from process to process.
    ids=(str(number) for number in count()),
)
def test_what_is_no_trap_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        TrapMessage.parse(data)


@given(st.binary(max_size=200))
def test_garbage_is_refused_or_a_trap_but_never_a_surprise(data: bytes) -> None:
    with suppress(ValueError):
        TrapMessage.parse(data)


@given(st.sampled_from([TRAP, INFORM, trap_v1()]), st.data())
def test_a_damaged_trap_is_refused_or_a_trap_but_never_a_surprise(message: bytes, data: st.DataObject) -> None:
    damaged = bytearray(message)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = TrapMessage.parse(bytes(damaged))
    except ValueError:
        return
    assert bool(found.response) is (found.kind is TrapKind.INFORM)
    assert len(found.response) <= len(message)  # nobody's amplifier


@given(st.integers(0, len(TRAP) - 1))
@example(len(TRAP) - 1)
def test_half_a_trap_is_none(length: int) -> None:
    with pytest.raises(ValueError, match=r"."):
        TrapMessage.parse(TRAP[:length])


async def test_malformed_messages_of_a_known_sender_are_counted_and_move_nobody() -> None:
    listener, ear = TrapListener(SystemClock(), UPS, 0), Ear()
    listener.subscribe(UPS, ear)
    async with listening(listener) as port:
        with closing(talker()) as ups:
            for data in (b"", b"hello", os.urandom(1000), *requests()):
                ups.sendto(data, (UPS, port))
            await until(lambda: listener.counts["malformed"] == 6)
            assert ear.told == 0
            ups.sendto(TRAP, (UPS, port))
            await ear.until(1)


async def test_traps_within_a_second_are_told_at_its_end_and_none_is_lost() -> None:
    clock = ManualClock()
    listener, ear, other = TrapListener(clock, UPS, 0), Ear(), Ear()
    listener.subscribe(UPS, ear)
    listener.subscribe(OTHER, other)
    async with listening(listener) as port:
        with closing(talker()) as ups, closing(talker(OTHER)) as second:
            for _ in range(3):
                ups.sendto(TRAP, (UPS, port))
            await until(lambda: listener.counts["v2c"] == 3)
            assert ear.told == 1
            await clock.advance(0.4)
            second.sendto(TRAP, (UPS, port))
            await other.until(1)
            second.sendto(trap_v1(), (UPS, port))
            await until(lambda: listener.counts["v1"] == 1)
            await clock.advance(0.5)
            assert (ear.told, other.told) == (1, 1)
            await clock.advance(0.2)
            assert (ear.told, other.told) == (2, 1)
            await clock.advance(0.4)
            assert (ear.told, other.told) == (2, 2)
            await clock.advance(10.0)
            assert (ear.told, other.told) == (2, 2)
            ups.sendto(TRAP, (UPS, port))
            await ear.until(3)


async def test_a_flood_from_one_address_causes_a_poll_per_second_and_is_hardly_looked_at() -> None:
    clock = ManualClock()
    listener, ear = TrapListener(clock, UPS, 0), Ear()
    listener.subscribe(UPS, ear)
    async with listening(listener) as port:
        with closing(talker()) as ups:

            def flood() -> None:
                for _ in range(5000):
                    ups.sendto(INFORM, (UPS, port))

            await asyncio.to_thread(flood)
            await until(lambda: listener.counts["flooded"] > 200)
            assert listener.counts["inform"] == 50
            assert ear.told == 1
            await clock.advance(1.0)
            assert ear.told == 2
            ups.settimeout(0.0)
            answers = 0
            with suppress(BlockingIOError):
                while ups.recv(1000):
                    answers += 1
            assert answers == 50


async def test_a_flood_of_strangers_leaves_the_loop_its_time() -> None:
    listener = TrapListener(SystemClock(), UPS, 0)
    async with listening(listener) as port:
        with closing(talker(OTHER)) as stranger:
            stop = asyncio.Event()

            def flood() -> None:
                while not stop.is_set():
                    stranger.sendto(TRAP, (UPS, port))

            running = asyncio.create_task(asyncio.to_thread(flood))
            try:
                await until(lambda: listener.counts["unknown"] >= 100)
                seen, began = listener.counts["unknown"], time.monotonic()
                await asyncio.sleep(0.5)
                windows = (time.monotonic() - began) / traps._PAUSE + 2
                assert listener.counts["unknown"] - seen <= windows * traps._BATCH
            finally:
                stop.set()
                await running


async def test_all_links_of_an_address_are_told_and_one_that_fails_hinders_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    listener, first, second = TrapListener(SystemClock(), UPS, 0), Ear(), Ear()

    def broken() -> None:
        raise RuntimeError("a mistake")

    listener.subscribe(UPS, broken)
    end = listener.subscribe(UPS, first)
    listener.subscribe("::ffff:127.0.0.1", second)
    async with listening(listener) as port:
        with closing(talker()) as ups:
            ups.sendto(TRAP, (UPS, port))
            await second.until(1)
            assert first.told == 1
            assert "could not be told" in caplog.text
            end()
            end()
            await asyncio.sleep(1.0)
            ups.sendto(TRAP, (UPS, port))
            await second.until(2)
    assert first.told == 1


async def test_an_address_nobody_listens_to_any_more_is_unknown() -> None:
    clock = ManualClock()
    listener, ear = TrapListener(clock, UPS, 0), Ear()
    end = listener.subscribe(UPS, ear)
    async with listening(listener) as port:
        with closing(talker()) as ups:
            ups.sendto(TRAP, (UPS, port))
            ups.sendto(TRAP, (UPS, port))
            await until(lambda: listener.counts["v2c"] == 2)
            end()
            await clock.advance(5.0)
            ups.sendto(TRAP, (UPS, port))
            await until(lambda: listener.counts["unknown"] == 1)
            again = Ear()
            listener.subscribe(UPS, again)
            end()  # an old subscription does not end a new one
            ups.sendto(TRAP, (UPS, port))
            await again.until(1)
    assert ear.told == 1


@pytest.mark.parametrize("subscribed", ["::1", "0:0:0:0:0:0:0:1", "::1%lo"])
async def test_ipv6_is_heard_however_its_address_is_written(subscribed: str) -> None:
    if not traps._has_ipv6():
        pytest.skip("this machine has no IPv6")
    listener, ear = TrapListener(SystemClock(), "::1", 0), Ear()
    listener.subscribe(subscribed, ear)
    async with listening(listener) as port:
        with closing(talker("::1")) as ups:
            ups.sendto(INFORM, ("::1", port))
            await ear.until(1)
            assert (await asyncio.to_thread(ups.recv, 1000))[:2] == INFORM[:2]


async def test_a_machine_without_ipv6_listens_on_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traps, "_has_ipv6", lambda: False)
    listener = TrapListener(SystemClock(), "::", 0)
    async with listening(listener):
        assert listener.address is not None
        assert listener.address[0] == "0.0.0.0"


def test_only_addresses_can_be_listened_to() -> None:
    with pytest.raises(ValueError, match="ups.example"):
        TrapListener(SystemClock()).subscribe("ups.example", Ear())


async def test_a_taken_port_and_a_wrong_address_are_one_sentence_each() -> None:
    with closing(talker()) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LinkError, match=rf"UDP port {port}: another program has it"):
            await TrapListener(SystemClock(), UPS, port).listen()
    with pytest.raises(LinkError, match=r"192\.0\.2\.1 is no address of this machine"):
        await TrapListener(SystemClock(), "192.0.2.1", 0).listen()


def test_a_port_without_permission_says_what_to_do() -> None:
    listener = TrapListener(SystemClock(), UPS)
    assert "CAP_NET_BIND_SERVICE" in listener._refusal(PermissionError(errno.EACCES, "Permission denied"))
    assert "Permission denied" in TrapListener(SystemClock(), UPS, 1162)._refusal(
        PermissionError(errno.EACCES, "Permission denied")
    )


async def test_a_port_that_is_taken_is_tried_again_and_spoken_of_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ridethrough")
    clock, ear = ManualClock(), Ear()
    with closing(talker()) as taken:
        port = taken.getsockname()[1]
        listener = TrapListener(clock, UPS, port)
        listener.subscribe(UPS, ear)
        running = asyncio.create_task(listener.run())
        await clock.advance(300.0)
        problems = [listener.problem]
    await clock.advance(75.0)
    with closing(talker()) as ups:
        ups.sendto(TRAP, (UPS, port))
        await ear.until(1)
    problems.append(listener.problem)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert problems == [caplog.messages[0], None]
    assert f"port {port}: another program has it" in caplog.messages[0]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


async def test_it_can_be_stopped_and_started_again_with_its_subscriptions() -> None:
    listener, ear = TrapListener(SystemClock(), UPS, 0), Ear()
    listener.subscribe(UPS, ear)
    for times in (1, 2):
        async with listening(listener) as port:
            with closing(talker()) as ups:
                ups.sendto(TRAP, (UPS, port))
                await ear.until(times)


async def test_a_sender_that_has_closed_its_port_does_no_harm() -> None:
    listener, ear = TrapListener(SystemClock(), UPS, 0), Ear()
    listener.subscribe(UPS, ear)
    async with listening(listener) as port:
        with closing(talker()) as ups:
            ups.sendto(INFORM, (UPS, port))
        await ear.until(1)
        await settle()  # the answer has nobody to go to
        with closing(talker()) as ups:
            ups.sendto(INFORM, (UPS, port))
            assert await asyncio.to_thread(ups.recv, 1000)
