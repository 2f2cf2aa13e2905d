"""Contacts on the modem lines of a port of this computer. A pty has none, so the kernel's answers are given here."""

import asyncio
import fcntl
from pathlib import Path
import sys
import termios

import pytest

from ridethrough.clock import SystemClock
from ridethrough.links.base import Credentials, LinkError, LinkUrl
from ridethrough.links.contacts import ContactsLink
from ridethrough.links.context import LinkContext
from ridethrough.links.ports import SerialPorts
from tests.bridge.links.conftest import Notebook
from tests.bridge.links.peers import SerialPeer

from .conftest import running


class Kernel:
    """What a driver of a serial port with modem lines does with the ioctls for them."""

    def __init__(self) -> None:
        self.bits = 0
        self.breaking = False
        self._real = fcntl.ioctl

    def set(self, bit: int, high: bool) -> None:
        self.bits = self.bits | bit if high else self.bits & ~bit

    def ioctl(self, descriptor: int, request: int, *arguments: object) -> object:
        match request:
            case termios.TIOCMGET:
                return self.bits.to_bytes(4, sys.byteorder)
            case termios.TIOCMBIS | termios.TIOCMBIC:
                (mask,) = arguments
                assert isinstance(mask, bytes)
                self.set(int.from_bytes(mask, sys.byteorder), request == termios.TIOCMBIS)
                return 0
            case 0x5427 | 0x5428:  # TIOCSBRK, TIOCCBRK
                self.breaking = request == 0x5427
                return 0
        return self._real(descriptor, request, *arguments)  # type: ignore[call-overload]  # passed on as it came


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    answering = Kernel()
    monkeypatch.setattr(fcntl, "ioctl", answering.ioctl)
    return answering


def link_on(path: str, ports: SerialPorts, options: str) -> ContactsLink:
    url = LinkUrl.parse(f"contacts:{path}?debounce=0.1&{options}")
    return ContactsLink(url, Credentials(), LinkContext(SystemClock(), ports))


async def test_lines_are_read_and_the_cable_is_fed(
    kernel: Kernel, peer: SerialPeer, ports: SerialPorts, notebook: Notebook
) -> None:
    kernel.set(termios.TIOCM_RI | termios.TIOCM_DSR, True)
    link = link_on(peer.path, ports, "cable=apc-940-0095a")
    async with running(link, notebook), asyncio.timeout(10):
        assert notebook.conditions["on_battery"] is True
        assert kernel.bits & termios.TIOCM_DTR
        assert not kernel.bits & termios.TIOCM_RTS
        kernel.set(termios.TIOCM_CD, True)
        await notebook.until_condition("battery_low")
        kernel.set(termios.TIOCM_RI | termios.TIOCM_CD, False)
        await notebook.until_condition("on_battery", False)
    assert kernel.bits & termios.TIOCM_DTR
    trace = ports.trace(peer.path)
    assert trace is not None
    assert any(b"dtr on, rts off, break off" in line.data for line in trace.lines)


async def test_a_break_orders_the_shutdown(
    kernel: Kernel, peer: SerialPeer, ports: SerialPorts, notebook: Notebook
) -> None:
    link = link_on(peer.path, ports, "cable=powerware-3115&pulse=0.2")
    async with running(link, notebook), asyncio.timeout(10):
        await link.perform("shutdown.return", {"delay": 0})
        while not kernel.breaking:
            await asyncio.sleep(0.01)
        while kernel.breaking:
            await asyncio.sleep(0.01)


async def test_an_adapter_that_is_pulled_out_is_lost(
    kernel: Kernel, peer: SerialPeer, ports: SerialPorts, notebook: Notebook
) -> None:
    async with running(link_on(peer.path, ports, "cable=rups"), notebook) as task:
        peer.hang_up()
        with pytest.raises(LinkError, match="unplugged"):
            await asyncio.wait_for(task, 10)
        peer.plug_in()


async def test_a_port_without_modem_lines_is_said_so_and_given_back(
    peer: SerialPeer, ports: SerialPorts, notebook: Notebook
) -> None:
    with pytest.raises(LinkError, match="does not tell its modem lines .*; contacts need a real serial port"):
        await link_on(peer.path, ports, "cable=rups").run(notebook)
    with pytest.raises(LinkError, match="does not tell its modem lines .*; contacts need a real serial port"):
        await link_on(peer.path, ports, "cable=rups").run(notebook)


async def test_a_port_whose_driver_cannot_drive_is_said_so(
    kernel: Kernel, peer: SerialPeer, ports: SerialPorts, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(descriptor: int, request: int, *arguments: object) -> object:
        if request in (termios.TIOCMBIS, termios.TIOCMBIC):
            raise OSError(5, "Input/output error")
        return kernel.ioctl(descriptor, request, *arguments)

    link = link_on(peer.path, ports, "cable=cyberpower-power99")
    async with running(link, notebook) as task:
        monkeypatch.setattr(fcntl, "ioctl", broken)
        await link.perform("shutdown.return", {"delay": 0})
        with pytest.raises(LinkError, match="cannot set its modem lines"):
            await asyncio.wait_for(task, 10)


async def test_there_is_no_port(ports: SerialPorts, notebook: Notebook, tmp_path: Path) -> None:
    with pytest.raises(LinkError, match="There is no port"):
        await link_on(str(tmp_path / "ttyS9"), ports, "cable=rups").run(notebook)
