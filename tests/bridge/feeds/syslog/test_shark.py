"""What a stranger's decoder makes of our messages."""

from pathlib import Path
import re
import socket

import pytest

from ridethrough.config.feeds import SyslogReceiver
from tests.bridge.feeds.rig import World, free_port
from tests.bridge.feeds.shark import capturing
from tests.peers.rsyslogd import Rsyslogd, Transport
from tests.strangers import peer

from .listener import sending, until

pytestmark = pytest.mark.peer


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_capture_is_decoded_without_a_fault(world: World, tmp_path: Path, transport: Transport) -> None:
    port = free_port(socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM)
    async with (
        Rsyslogd(peer("rsyslogd"), tmp_path, transport, port) as rsyslogd,
        capturing(tmp_path, f"{transport} port {port}", f"{transport}.port=={port},syslog") as capture,
        sending(world, SyslogReceiver("127.0.0.1", port, transport)) as (_, traffic),
    ):
        ups = world.device("ups-1", name="Straße]")
        for active in (True, False) * 20:
            world.post(ups, {}, {"on_battery": active})
        await rsyslogd.received(40)
        await until(lambda: traffic.requests == 40)
    assert await capture.malformed() == []
    fields = ("facility", "level", "version", "appname") if transport == "udp" else ("msg",)
    rows = await capture.packets("syslog", *(f"syslog.{field}" for field in fields))
    if transport == "udp":
        assert rows == [["3", level, "1", "ridethrough"] for level in ("4", "5")] * 20
    else:
        # This decoder does not count octets over TCP, so it shows segments; several messages may share one.
        counted = [re.findall(r"\d+ <2[89]>1 ", row[0]) for row in rows]
        assert sum(map(len, counted)) == 40
