"""The client of upsd against an upsd that does what a real one would not."""

import asyncio
from contextlib import ExitStack
from pathlib import Path
import socket

import pytest

from ridethrough.links.base import Credentials, LinkError, LinkUrl
from ridethrough.links.nut.client import Address, GarbledError, NoAnswerError, UpsdClient
from ridethrough.links.nut.options import understand
from ridethrough.links.nut.protocol import UpsdError

from .conftest import Certificate, certify
from .standin import ONLINE, StandIn

NOBODY = Credentials()


def at(upsd: StandIn, patience: float = 0.3) -> Address:
    return Address("127.0.0.1", upsd.port, patience)


def encrypted(upsd: StandIn, options: str) -> Address:
    return understand(LinkUrl.parse(f"nut://127.0.0.1:{upsd.port}/ups1?timeout=3&{options}"), "").address


async def test_everything_that_upsd_offers_is_asked_for(upsd: StandIn) -> None:
    upsd.commands = ["load.off", "beeper.mute"]
    upsd.writable = {"ups.delay.shutdown"}
    upsd.outcomes = ["PENDING", "SUCCESS"]
    async with UpsdClient.open(at(upsd), Credentials("me", "secret")) as client:
        assert (await client.version()).startswith("Network UPS Tools upsd 2.8.0")
        assert await client.protocol_version() == "1.3"
        assert await client.list_ups() == {"ups1": "A UPS"}
        assert (await client.list_variables("ups1")).values == ONLINE
        assert set((await client.list_writable("ups1")).values) == {"ups.delay.shutdown"}
        assert await client.list_commands("ups1") == {"load.off", "beeper.mute"}
        assert await client.variable("ups1", "input.voltage") == "230.1"
        assert await client.track()
        number = await client.set_variable("ups1", "ups.delay.shutdown", "60")
        assert number is not None
        assert not await client.tracked(number)
        assert await client.tracked(number)
        assert await client.instant_command("ups1", "load.off", "5") == number
    await upsd.until_heard("LOGOUT")
    assert upsd.heard[:2] == ["USERNAME me", "PASSWORD secret"]
    assert upsd.variables["ups.delay.shutdown"] == "60"


async def test_an_upsd_that_does_not_track_says_so(upsd: StandIn) -> None:
    async with UpsdClient.open(at(upsd), NOBODY) as client:
        assert not await client.track()
        assert await client.instant_command("ups1", "load.off") is None


async def test_a_refusal_leaves_the_connection_usable(upsd: StandIn) -> None:
    async with UpsdClient.open(at(upsd), NOBODY) as client:
        with pytest.raises(UpsdError, match="UNKNOWN-UPS"):
            await client.list_variables("ups2")
        with pytest.raises(UpsdError, match="INVALID-ARGUMENT"):
            await client.variable("ups1", "no.such")
        assert await client.list_ups() == {"ups1": "A UPS"}


async def test_one_request_is_in_flight_at_a_time(upsd: StandIn) -> None:
    async with UpsdClient.open(at(upsd, 5), NOBODY) as client:
        answers = await asyncio.gather(
            *(client.variable("ups1", "input.voltage") for _ in range(20)),
            *(client.list_ups() for _ in range(20)),
        )
    assert answers == ["230.1"] * 20 + [{"ups1": "A UPS"}] * 20


async def test_nobody_there_is_told(upsd: StandIn) -> None:
    address = at(upsd)
    await upsd.vanish()
    with pytest.raises(LinkError, match="cannot be reached"):
        async with UpsdClient.open(address, NOBODY):
            pass
    await upsd.listen()


async def test_a_connection_that_is_never_accepted_is_given_up() -> None:
    with socket.socket() as server, ExitStack() as others:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):
            # They fill the queue of those that wait to be accepted; the next one is not even answered.
            other = others.enter_context(socket.socket())
            other.setblocking(False)
            other.connect_ex(server.getsockname())
        with pytest.raises(NoAnswerError, match=r"cannot be reached within 0\.2 s"):
            async with UpsdClient.open(Address("127.0.0.1", server.getsockname()[1], 0.2), NOBODY):
                pass


@pytest.mark.parametrize(
    ("said", "error", "says"),
    [
        (b"", NoAnswerError, "has not answered LIST UPS within"),
        (b"BEGIN LIST U", NoAnswerError, "has not answered LIST UPS within"),
        (b"BEGIN LIST UPS\nUPS ups1 ", NoAnswerError, "has not answered LIST UPS within"),
        (b"HTTP/1.1 400 Bad Request\n", GarbledError, "HTTP/1.1 400 Bad Request"),
        (b"\x00\xff\xfe\x80\n", GarbledError, "BEGIN LIST UPS is due"),
        (b"\n", GarbledError, "an empty line"),
        (b"x" * 100_000, GarbledError, "a line of more than 8192 bytes"),
        (b"BEGIN LIST UPS\n" + b'UPS a "b"\n' * 100_000, GarbledError, "more than 4096 rows"),
        (b"BEGIN LIST UPS\nEND LIST VAR\n", GarbledError, "END LIST UPS is due"),
    ],
    ids=["silence", "half-a-line", "half-a-list", "web-server", "garbage", "nothing", "flood", "endless", "other-list"],
)
async def test_what_is_no_upsd_is_left(upsd: StandIn, said: bytes, error: type[LinkError], says: str) -> None:
    upsd.script = lambda request: said
    async with UpsdClient.open(at(upsd), NOBODY) as client:
        with pytest.raises(error, match=says):
            await client.list_ups()
        # Nobody could say what the next line answers, so the connection is no longer used.
        with pytest.raises(LinkError, match="is closed"):
            await client.list_ups()


async def test_lines_nobody_asked_for_are_no_answer_to_the_next_request(upsd: StandIn) -> None:
    upsd.script = lambda request: b"2.8.0\nOK\nOK\n" if request == "VER" else None
    async with UpsdClient.open(at(upsd), NOBODY) as client:
        assert await client.version() == "2.8.0"
        with pytest.raises(GarbledError, match="'OK' where BEGIN LIST VAR ups1 is due"):
            await client.list_variables("ups1")


async def test_another_variable_than_asked_for_is_no_answer(upsd: StandIn) -> None:
    upsd.script = lambda request: b'VAR ups1 ups.load "5"\n'
    async with UpsdClient.open(at(upsd), NOBODY) as client:
        with pytest.raises(GarbledError, match=r"when asked for input\.voltage"):
            await client.variable("ups1", "input.voltage")


async def test_a_connection_that_breaks_in_the_middle_is_an_error(upsd: StandIn) -> None:
    async with UpsdClient.open(at(upsd, 5), NOBODY) as client:
        upsd.script = lambda request: b"BEGIN LIST UPS\n"
        asking = asyncio.create_task(client.list_ups())
        await upsd.until_heard("LIST UPS")
        await upsd.vanish()
        with pytest.raises(LinkError, match="is closed: upsd has ended it|is closed: .*reset"):
            await asking
    await upsd.listen()


async def test_a_request_given_up_half_way_closes_the_connection(upsd: StandIn) -> None:
    async with UpsdClient.open(at(upsd, 5), NOBODY) as client:
        upsd.script = lambda request: b""
        asking = asyncio.create_task(client.list_ups())
        await upsd.until_heard("LIST UPS")
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        with pytest.raises(LinkError, match="is closed"):
            await client.list_ups()


async def test_a_refused_user_name_is_told(upsd: StandIn) -> None:
    upsd.script = lambda request: b"ERR INVALID-USERNAME\n" if request.startswith("USERNAME") else None
    with pytest.raises(LinkError, match="does not take the user name"):
        async with UpsdClient.open(at(upsd), Credentials("me", "secret")):
            pass


async def test_a_password_that_would_be_a_second_request_is_not_sent(upsd: StandIn) -> None:
    with pytest.raises(LinkError, match="control characters"):
        async with UpsdClient.open(at(upsd), Credentials("me", "x\nINSTCMD ups1 load.off")):
            pass
    assert upsd.heard == ["USERNAME me"]


# Encryption


async def test_user_name_and_password_are_sent_encrypted(upsd: StandIn, certificate: Certificate) -> None:
    upsd.context = certificate.context
    async with UpsdClient.open(encrypted(upsd, f"ca={certificate.certificate}"), Credentials("me", "secret")) as client:
        assert (await client.list_variables("ups1")).values == ONLINE
    assert upsd.heard[:3] == ["STARTTLS", "USERNAME me", "PASSWORD secret"]


async def test_a_strangers_certificate_is_refused_before_the_password_is_sent(
    upsd: StandIn, certificate: Certificate, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    upsd.context = certify(tmp_path / "other").context
    with pytest.raises(LinkError, match=r"cannot be trusted: .*ca="):
        async with UpsdClient.open(encrypted(upsd, f"ca={certificate.certificate}"), Credentials("me", "secret")):
            pass
    assert upsd.heard == ["STARTTLS"]


async def test_a_certificate_for_another_address_is_refused(upsd: StandIn, tmp_path: Path) -> None:
    other = certify(tmp_path, "10.9.8.7")
    upsd.context = other.context
    with pytest.raises(LinkError, match=r"cannot be trusted"):
        async with UpsdClient.open(encrypted(upsd, f"ca={other.certificate}"), NOBODY):
            pass


async def test_any_certificate_is_taken_when_told_so(upsd: StandIn, tmp_path: Path) -> None:
    upsd.context = certify(tmp_path, "10.9.8.7").context
    async with UpsdClient.open(encrypted(upsd, "verify=no"), NOBODY) as client:
        assert await client.list_ups() == {"ups1": "A UPS"}


async def test_an_upsd_that_cannot_encrypt_gets_no_password(upsd: StandIn) -> None:
    with pytest.raises(LinkError, match="does not encrypt: .*FEATURE-NOT-CONFIGURED.*tls=no"):
        async with UpsdClient.open(encrypted(upsd, "tls=yes"), Credentials("me", "secret")):
            pass
    assert upsd.heard == ["STARTTLS"]


async def test_an_agreement_to_encrypt_that_is_broken_is_told(upsd: StandIn) -> None:
    upsd.script = lambda request: b"OK STARTTLS\n" + b"this is no handshake\n" * 10
    with pytest.raises(LinkError, match="agreed to encrypt, and then failed to"):
        async with UpsdClient.open(encrypted(upsd, "verify=no"), Credentials("me", "secret")):
            pass
    assert upsd.heard[0] == "STARTTLS"
    assert not any("secret" in request for request in upsd.heard)


async def test_what_was_slipped_in_before_encryption_is_never_read(upsd: StandIn, certificate: Certificate) -> None:
    """Somebody in between adds an answer behind OK STARTTLS: it must not answer the first encrypted request."""
    upsd.context = certificate.context
    injected = b'BEGIN LIST UPS\nUPS evil "injected"\nEND LIST UPS\n'
    upsd.script = lambda request: b"OK STARTTLS\n" + injected if request == "STARTTLS" else None
    try:
        async with UpsdClient.open(encrypted(upsd, f"ca={certificate.certificate}"), NOBODY) as client:
            told = await client.list_ups()
    except LinkError:
        return
    assert told == {"ups1": "A UPS"}
