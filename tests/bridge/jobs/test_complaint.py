"""Why something could not be reached, in words."""

import errno
import socket
import ssl

import aiohttp
import pytest

from ridethrough.config.jobs import MailConfig
from ridethrough.jobs.complaint import complaint, passing
from ridethrough.jobs.post_office import PostOffice
from tests.bridge.jobs.post import Mailbox, mail_server

from .rig import LIMITS


def because(error: Exception, cause: BaseException) -> Exception:
    """Chain one error to what is at the bottom of it."""
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        pytest.param(OSError(errno.ENETUNREACH, "x"), "There is no route to the server; is the", id="no-route"),
        pytest.param(OSError(errno.EHOSTUNREACH, "x"), "There is no route to the server; is the", id="no-host"),
        pytest.param(OSError(errno.EMFILE, "Too many"), "the server could not be reached: Too many.", id="system"),
        pytest.param(socket.gaierror(-2, "Unknown"), "The name of the server is not known (Unknown)", id="name"),
        pytest.param(TimeoutError(), "the server did not answer in time.", id="time-out"),
        pytest.param(ssl.SSLError(1, "wrong version"), "No TLS could be agreed on with the server", id="tls"),
        pytest.param(ValueError("x" * 1000), "the server could not be reached: xxx", id="other"),
        pytest.param(
            because(RuntimeError("outer"), ConnectionRefusedError()), "the server refuses the connection", id="cause"
        ),
        pytest.param(
            ExceptionGroup("all", [ConnectionRefusedError(), TimeoutError()]),
            "the server refuses the connection",
            id="several",
        ),
        pytest.param(aiohttp.ServerDisconnectedError(), "the server has ended the connection.", id="disconnected"),
    ],
)
def test_faults_are_told_in_words(error: Exception, said: str) -> None:
    told = complaint(error, "the server")
    assert told.startswith(said)
    assert len(told) < 300


def test_faults_that_do_not_mend_themselves() -> None:
    assert passing(TimeoutError())
    assert not passing(because(RuntimeError("outer"), ssl.SSLError(1, "wrong version")))


def test_causes_that_go_round_in_a_circle_end() -> None:
    first, second = RuntimeError("first"), RuntimeError("second")
    first.__cause__, second.__cause__ = second, first
    assert complaint(first, "the server") == "the server could not be reached: first"


@pytest.mark.parametrize(
    ("host", "name"),
    [
        pytest.param("ups.example.org", "ups.example.org", id="with-domain"),
        pytest.param("ups", "[127.0.0.1]", id="bare"),
        pytest.param("ups.exämple", "[127.0.0.1]", id="beyond-ascii"),
    ],
)
async def test_server_is_greeted_with_a_name_it_can_look_up(
    host: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    box = Mailbox()
    async with mail_server(box) as port:
        office = PostOffice(MailConfig("127.0.0.1", "ups@example.org", port, "none"), LIMITS)
        await office.send("ups@example.org", ["anna@example.org"], b"Subject: x\r\n\r\n", international=False)
    assert box.greeted == [name]
