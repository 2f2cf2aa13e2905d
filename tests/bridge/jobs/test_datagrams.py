"""Magic packets, the public RCCMD datagrams and syslog, octet by octet."""

import asyncio
from dataclasses import replace
import re

import pytest

from ridethrough.config.actions import DatagramAction, SyslogAction, WakeOnLanAction
from ridethrough.config.agents import AgentsConfig, DatagramConfig
from ridethrough.events.steps import Occasion
from ridethrough.jobs.syslog import receiver_of
from ridethrough.site import Device

from .rig import LIMITS, Shop, UdpPeer, gone, happened, refused

MAC = "00:1a:2B:3c:4d:5E"
MAGIC = b"\xff" * 6 + bytes.fromhex("001a2b3c4d5e") * 16


async def test_magic_packet_is_sent_three_times(shop: Shop, udp: UdpPeer) -> None:
    action = WakeOnLanAction(macs=(MAC, "00-11-22-33-44-55"), broadcast="127.0.0.1", port=udp.port)
    said = await shop.configure().perform(action, Occasion("job:wake"))
    other = b"\xff" * 6 + bytes.fromhex("001122334455") * 16
    assert [await udp.hear() for _ in range(6)] == [MAGIC, other] * 3
    assert await udp.silent()
    assert len(MAGIC) == 102
    assert said == (
        f"Magic packets for 00:1a:2b:3c:4d:5e, 00:11:22:33:44:55 were sent to 127.0.0.1:{udp.port}; "
        "nobody confirms them."
    )


async def test_magic_packet_goes_to_a_broadcast_address(shop: Shop) -> None:
    # What is sent to the broadcast address of the loopback network comes back to whoever listens there.
    peer = UdpPeer("127.255.255.255")
    try:
        action = WakeOnLanAction(macs=(MAC,), broadcast="127.255.255.255", port=peer.port)
        await shop.configure().perform(action, Occasion("job:wake"))
        assert await peer.hear() == MAGIC
    finally:
        peer.close()


async def test_what_is_no_hardware_address_is_refused(shop: Shop) -> None:
    error = await refused(shop.configure().perform(WakeOnLanAction(macs=("00:1a:2b",)), Occasion("job:wake")))
    assert "is no hardware address" in str(error)
    assert not error.again


@pytest.mark.parametrize(
    ("host", "said"),
    [
        pytest.param("no-such-host.invalid", "The name no-such-host.invalid is not known", id="name"),
        pytest.param("a" * 70 + ".example", "cannot be a name of a computer", id="label-too-long"),
        pytest.param("127.0.0.1", "Nothing could be sent to 127.0.0.1: Invalid argument.", id="system"),
    ],
)
async def test_datagrams_that_cannot_be_sent(shop: Shop, host: str, said: str) -> None:
    error = await refused(
        shop.configure().perform(WakeOnLanAction(macs=(MAC,), broadcast=host, port=0), Occasion("job:wake"))
    )
    assert said in str(error)


def to(udp: UdpPeer, *receivers: str, enabled: bool = True) -> AgentsConfig:
    """Configure the public datagrams."""
    return AgentsConfig(datagrams=DatagramConfig(enabled, receivers, udp.port))


async def test_power_failure_is_told_in_the_public_words(shop: Shop, ups: Device, udp: UdpPeer) -> None:
    shop.world.post(ups, {"battery.runtime": 7559.0})
    await shop.configure(to(udp, "127.0.0.1")).perform(DatagramAction(), happened(ups))
    assert await udp.hear() == (
        b"CONNECT TO RCCMD (SEND) MSG_EXECUTE MSG_TEXT Powerfail on UPS 3000: Autonomietime 125.00 min."
    )


async def test_return_of_power_is_told_in_the_public_words(shop: Shop, ups: Device, udp: UdpPeer) -> None:
    said = await shop.configure(to(udp, "192.0.2.1")).perform(
        DatagramAction(restored=True, to=("127.0.0.1",)), happened(ups)
    )
    assert await udp.hear() == b"CONNECT TO RCCMD (SEND) MSG_EXECUTE MSG_TEXT Powerfail on UPS 3000: restored."
    assert said.startswith("Sent to 1 of 1 receivers: CONNECT TO RCCMD")


async def test_runtime_that_is_not_known_any_longer_is_not_invented(shop: Shop, ups: Device, udp: UdpPeer) -> None:
    jobs = shop.configure(to(udp, "127.0.0.1"))
    shop.world.lose(ups)
    await jobs.perform(DatagramAction(), happened(ups))
    assert (await udp.hear()).endswith(b"Powerfail on UPS 3000: Autonomietime n/a min.")
    await jobs.perform(DatagramAction(), happened(gone()))
    assert (await udp.hear()).endswith(b"Powerfail on n/a: Autonomietime n/a min.")


async def test_datagram_is_of_the_ups_that_a_part_belongs_to(shop: Shop, ups: Device, udp: UdpPeer) -> None:
    shop.world.ups("ups-2")
    outlet = shop.world.part(ups, "outlet", "1")
    await shop.configure(to(udp, "127.0.0.1")).perform(DatagramAction(), happened(outlet))
    assert b"Powerfail on UPS 3000: Autonomietime 30.00 min." in await udp.hear()


async def test_datagram_of_a_schedule_is_of_the_only_ups(shop: Shop, ups: Device, udp: UdpPeer) -> None:
    jobs = shop.configure(to(udp, "127.0.0.1"))
    await jobs.perform(DatagramAction(), Occasion("schedule:x"))
    assert b"Powerfail on UPS 3000:" in await udp.hear()
    shop.world.ups("ups-2")
    await jobs.perform(DatagramAction(), Occasion("schedule:x"))
    assert b"Powerfail on n/a:" in await udp.hear()


async def test_model_cannot_say_anything_else(shop: Shop, ups: Device, udp: UdpPeer) -> None:
    shop.world.site.put(replace(ups, model="X\r\nCONNECT\x00 {minutes} é " + "y" * 100))
    await shop.configure(to(udp, "127.0.0.1")).perform(DatagramAction(restored=True), happened(ups))
    heard = (await udp.hear()).decode("ascii")
    assert re.fullmatch(r".* Powerfail on X CONNECT  \{minutes\} \? y{41}: restored\.", heard)


async def test_datagrams_are_off_until_somebody_wants_them(shop: Shop, ups: Device, udp: UdpPeer) -> None:
    jobs = shop.configure(to(udp, "127.0.0.1", enabled=False))
    assert "are off" in str(await refused(jobs.perform(DatagramAction(), happened(ups))))
    assert "no receivers" in str(await refused(shop.configure(to(udp)).perform(DatagramAction(), happened(ups))))
    assert await udp.silent()


async def test_one_receiver_in_error_does_not_keep_the_others_from_theirs(
    shop: Shop, ups: Device, udp: UdpPeer
) -> None:
    jobs = shop.configure(to(udp, "no-such-host.invalid", "127.0.0.1"))
    said = await jobs.perform(DatagramAction(), happened(ups))
    assert said.startswith("Sent to 1 of 2 receivers:")
    assert "no-such-host.invalid is not known" in said
    assert b"Powerfail" in await udp.hear()
    jobs = shop.configure(to(udp, "no-such-host.invalid"))
    assert (await refused(jobs.perform(DatagramAction(), happened(ups)))).again


async def test_syslog_message_to_a_receiver_of_its_own(shop: Shop, ups: Device, udp: UdpPeer) -> None:
    jobs = shop.configure()
    action = SyslogAction(text="Save\nyour work: {event}", to=f"127.0.0.1:{udp.port}")
    said = await jobs.perform(action, happened(ups, test=True))
    assert said == f"A syslog message was sent to 127.0.0.1:{udp.port}; nobody confirms it."
    await jobs.perform(replace(action, text=""), Occasion("schedule:x"))
    first, second = (await udp.hear()).decode(), (await udp.hear()).decode()
    # Facility daemon (3), severity critical (2) as the event's; RFC 5424 §6.
    assert re.fullmatch(
        r"<26>1 \d{4}-\d\d-\d\dT[\d:.]+Z \S+ ridethrough \d+ job_syslog "
        r'\[meta sequenceId="1"\]\[ridethrough@32473 origin="job:notify" device="ups-1" name="ups-1" seq="17" '
        r'key="on_battery" edge="raised"\] Test: Save your work: on_battery',
        first,
    )
    assert second.startswith("<29>1 ")
    assert second.endswith('[meta sequenceId="2"][ridethrough@32473 origin="schedule:x"] Test bridge: schedule:x')


async def test_syslog_message_to_the_feeds_receivers_goes_by_the_journal(shop: Shop, ups: Device) -> None:
    jobs = shop.configure()
    assert "Remote syslog is off" in str(await refused(jobs.perform(SyslogAction(text="Hello"), happened(ups))))
    feed = shop.world.device("bridge/feed-syslog", "feed")
    shop.world.post(feed, {}, {"feed_enabled": False})
    assert "Remote syslog is off" in str(await refused(jobs.perform(SyslogAction(text="Hello"), happened(ups))))
    shop.world.post(feed, {}, {"feed_enabled": True})
    await jobs.perform(SyslogAction(text="Hello"), happened(ups, drill=True))
    (entry,) = await shop.journal("job_syslog")
    assert (entry.device, entry.details["text"]) == (ups.id, "Drill: Hello")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("192.0.2.7", ("192.0.2.7", 514)),
        ("loghost.example:1514", ("loghost.example", 1514)),
        ("2001:db8::7", ("2001:db8::7", 514)),
        ("[2001:db8::7]:1514", ("2001:db8::7", 1514)),
        ("[2001:db8::7]", ("2001:db8::7", 514)),
    ],
    ids=["address", "port", "ipv6", "ipv6-port", "ipv6-brackets"],
)
def test_receivers_of_syslog_are_read(text: str, found: tuple[str, int]) -> None:
    assert receiver_of(text) == found


@pytest.mark.parametrize("text", ["host:", ":514", "host:0", "host:99999", "host:x"])
async def test_what_is_no_receiver_of_syslog(shop: Shop, text: str) -> None:
    error = await refused(shop.configure().perform(SyslogAction(text="x", to=text), Occasion("job:x")))
    assert "is no receiver of syslog" in str(error)


async def test_name_that_is_looked_up_without_end(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object, **__: object) -> object:
        return await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", never)
    jobs = shop.configure(limits=replace(LIMITS, datagram=0.05))
    error = await refused(jobs.perform(WakeOnLanAction(macs=(MAC,), broadcast="slow.example"), Occasion("job:x")))
    assert (str(error), error.again) == ("Nothing could be sent to slow.example within 0.05 s.", True)
