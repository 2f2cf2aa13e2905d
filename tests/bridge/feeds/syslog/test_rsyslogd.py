"""What Debian's rsyslogd receives, over each transport, compared field by field."""

import os
from pathlib import Path
import socket

import pytest

from ridethrough.config.feeds import SyslogConfig, SyslogReceiver
from ridethrough.feeds import Traffic
from ridethrough.feeds.syslog import make
from tests.bridge.feeds.rig import World, free_port
from tests.peers.rsyslogd import Rsyslogd, Transport
from tests.strangers import peer

from .certificates import Authority

pytestmark = pytest.mark.peer


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_every_event_arrives_field_by_field(
    world: World, tmp_path: Path, authority: Authority, transport: Transport
) -> None:
    port = free_port(socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM)
    certificate, key = authority.certificate("receiver", "127.0.0.1")
    files = {"ca": authority.ca, "certificate": certificate, "key": key}
    receiver = SyslogReceiver("127.0.0.1", port, transport, ca=authority.ca if transport == "tls" else None)
    config = SyslogConfig(receivers=(receiver,), facility="local3")
    traffic = Traffic()
    async with Rsyslogd(peer("rsyslogd"), tmp_path, transport, port, certificates=files) as rsyslogd:
        ups = world.device("ups-1", name='Straße "1"]\\')
        async with world.serving(lambda traffic: make(config, world.context, traffic), traffic):
            world.post(ups, {}, {"on_battery": True})
            world.post(ups, {}, {"on_battery": False, "battery_low": True})
            messages = await rsyslogd.received(3)
            assert traffic.clients == 1
    events = await world.store.journal.after(0)
    assert [event.key for event in events] == ["on_battery", "on_battery", "battery_low"]
    texts = ["On battery: begun", "On battery: over", "Battery low: begun"]
    for number, (event, message, text, severity) in enumerate(
        zip(events, messages, texts, (4, 5, 2), strict=True), start=1
    ):
        assert message == {
            "pri": str(19 * 8 + severity),
            "protocol-version": "1",
            "timereported": f"{event.at:%Y-%m-%dT%H:%M:%S}.{event.at.microsecond // 1000:03}Z",
            "hostname": socket.gethostname(),
            "app-name": "ridethrough",
            "procid": str(os.getpid()),
            "msgid": event.key,
            "structured-data": (
                f'[meta sequenceId="{number}"][ridethrough@32473 seq="{event.seq}" kind="condition" device="ups-1" '
                rf'name="Straße \"1\"\]\\" key="{event.key}" edge="{event.edge}" severity="{event.severity}"]'
            ),
            "msg": f'\ufeffStraße "1"]\\: {text}',
        }
    assert traffic.errors == 0
