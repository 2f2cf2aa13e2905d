"""Magic packets, as a network card on the wire would see them."""

from collections.abc import Iterator
from contextlib import closing
import socket

import pytest

from ridethrough.clock import SystemClock
from ridethrough.wake import TIMES, wake


@pytest.fixture
def card() -> Iterator[socket.socket]:
    """Listen for datagrams, as the network card of a computer that is off does."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as found:
        found.bind(("127.0.0.1", 0))
        found.settimeout(5)
        yield found


async def test_a_packet_is_six_times_ff_and_sixteen_times_the_address(card: socket.socket) -> None:
    await wake(["00-11-22-33-44-55"], "127.0.0.1", card.getsockname()[1], SystemClock(), 0.01)
    expected = b"\xff" * 6 + bytes.fromhex("001122334455") * 16
    assert [card.recv(200) for _ in range(TIMES)] == [expected] * TIMES


async def test_it_may_be_sent_to_everybody(card: socket.socket) -> None:
    # Without the socket's option for it the system refuses that.
    await wake(["00:11:22:33:44:55"], "127.255.255.255", card.getsockname()[1], SystemClock(), 0.01)


async def test_a_network_that_is_not_there_is_an_error() -> None:
    with pytest.raises(OSError):
        await wake(["00:11:22:33:44:55"], "no-such-host.invalid", 9, SystemClock())
