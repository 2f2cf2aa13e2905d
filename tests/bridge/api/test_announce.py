"""What is announced on the network, and that others find it."""

import asyncio
from dataclasses import replace
import errno
from pathlib import Path
import socket
from unittest.mock import patch

import ifaddr
import pytest
from zeroconf import ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from ridethrough.api import announce as room
from ridethrough.api.announce import SERVICE, Announcement, announce
from ridethrough.clock import ManualClock, settle

from .harness import BRIDGE, CONFIG, running

HERE = Announcement(BRIDGE.id, "Server room", "0.1.0", "127.0.0.1", 8480, None)


async def test_bridge_is_found_on_the_network_and_says_goodbye(tmp_path: Path) -> None:
    found: asyncio.Queue[tuple[str, ServiceStateChange]] = asyncio.Queue()

    def notice(zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        found.put_nowait((name, state_change))

    zeroconf = AsyncZeroconf(interfaces=["127.0.0.1"])
    browser = AsyncServiceBrowser(zeroconf.zeroconf, SERVICE, handlers=[notice])
    try:
        async with running(tmp_path, replace(CONFIG, zeroconf=True)) as world, asyncio.timeout(20):
            name = f"Server room (b0000000).{SERVICE}"
            while await found.get() != (name, ServiceStateChange.Added):
                pass
            service = AsyncServiceInfo(SERVICE, name)
            assert await service.async_request(zeroconf.zeroconf, 3000)
            assert service.port == world.server.port
            assert service.parsed_addresses() == ["127.0.0.1"]
            assert service.decoded_properties == {
                "id": BRIDGE.id, "name": "Server room", "version": "0.1.0", "api": "1", "tls": "0"
            }  # fmt: skip
        async with asyncio.timeout(20):
            while await found.get() != (name, ServiceStateChange.Removed):
                pass
    finally:
        await browser.async_cancel()
        await zeroconf.async_close()


def test_fingerprint_is_announced_with_tls() -> None:
    text = replace(HERE, fingerprint="ab" * 32).text
    assert (text["tls"], text["fingerprint"]) == ("1", "ab" * 32)
    assert "fingerprint" not in HERE.text


@pytest.mark.parametrize("name", ["Server.room", "x" * 300, "ü" * 300, "a\x00b\\c", "...", ""])
def test_any_name_can_be_announced(name: str) -> None:
    announcement = replace(HERE, name=name)
    label = announcement.instance.removesuffix(f".{SERVICE}")
    assert len(label.encode()) <= 63
    assert "." not in label
    assert label.endswith(" (b0000000)")
    assert all(len(f"{key}={value}".encode()) <= 255 for key, value in announcement.text.items())
    AsyncServiceInfo(SERVICE, announcement.instance, port=1, properties=dict(announcement.text))


def test_addresses_are_those_it_listens_on() -> None:
    assert HERE.addresses == ["127.0.0.1"]
    assert replace(HERE, listen="localhost").addresses == ["127.0.0.1"]
    assert replace(HERE, listen="[2001:db8::1]").addresses == ["2001:db8::1"]
    rows = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 8480)) for ip in ("192.0.2.2", "192.0.2.1", "192.0.2.1")]
    # Names are not looked up in tests.
    with patch.object(socket, "getaddrinfo", return_value=rows):
        assert replace(HERE, listen="bridge.example").addresses == ["192.0.2.1", "192.0.2.2"]
    everywhere = replace(HERE, listen="0.0.0.0")
    assert everywhere.everywhere
    assert not HERE.everywhere
    assert all(":" not in address and not address.startswith("127.") for address in everywhere.addresses)
    assert set(everywhere.addresses) <= set(replace(HERE, listen="::").addresses)


async def test_missing_network_is_said_once_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    tries = 0

    def refuse(*_: object, **__: object) -> None:
        nonlocal tries
        tries += 1
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    # A computer without a network cannot be had in a test.
    with patch.object(room, "AsyncZeroconf", refuse):
        task = asyncio.create_task(announce(HERE, clock))
        for expected in (1, 2, 3):
            async with asyncio.timeout(5):
                while tries < expected:
                    await asyncio.sleep(0.001)
            await settle()
            await clock.advance(60.0)
        task.cancel()
        await asyncio.wait([task])
    assert caplog.text.count("cannot be announced") == 1


async def test_computer_without_addresses_waits_for_some(caplog: pytest.LogCaptureFixture) -> None:
    with patch.object(ifaddr, "get_adapters", return_value=[]):
        task = asyncio.create_task(announce(replace(HERE, listen="0.0.0.0"), ManualClock()))
        async with asyncio.timeout(5):
            while "no address" not in caplog.text:
                await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.wait([task])
    assert "this computer has no address on a network" in caplog.text
