"""What clients are told of changes, and how many may ask for it."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
import math
from typing import Any

from bac_py.services.errors import BACnetError
from bac_py.types.enums import ErrorCode, PropertyIdentifier
from bacpypes3.apdu import AbortPDU, AbortReason, Error, SimpleAckPDU
from bacpypes3.basetypes import COVSubscription
from bacpypes3.constructeddata import ListOf
from bacpypes3.errors import ExecutionError
from bacpypes3.pdu import IPv4Address, PDUData
from bacpypes3.primitivedata import TagList
import pytest

from ridethrough.clock import ManualClock
from ridethrough.feeds.bacnet.objects import AnalogInput, BinaryInput
from ridethrough.feeds.bacnet.subscriptions import AT_ONCE, IN_ALL, LONGEST, PATIENCE, PEERS, PER_PEER, Subscriptions
from ridethrough.site import Quality, Reading
from tests.bridge.feeds.rig import World

from .rig import DEVICE, Stranger, a_stranger, serving, until


def flags(stranger: Stranger) -> list[Any]:
    """Return the status flags that have been told."""
    return [list(told.values())[1] for _, told in stranger.told]


@pytest.mark.parametrize("confirmed", [pytest.param(False, id="unconfirmed"), pytest.param(True, id="confirmed")])
async def test_a_subscriber_is_told_when_the_ups_goes_on_battery(world: World, confirmed: bool) -> None:
    ups = world.ups()
    async with serving(world) as served, a_stranger(served) as stranger:
        condition = await stranger.named("ups-1.on_battery")
        await stranger.subscribe(condition, 7, confirmed=confirmed)
        await until(lambda: len(stranger.told), lambda count: count == 1)
        world.post(ups, conditions={"on_battery": True})
        await until(lambda: len(stranger.told), lambda count: count == 2)
        notification, told = stranger.told[1]
        assert notification.subscriber_process_identifier == 7
        assert notification.initiating_device_identifier.instance_number == DEVICE
        assert 290 <= notification.time_remaining <= 300
        assert next(iter(told.values())) == 1
        world.post(ups, conditions={"on_battery": False})
        await until(lambda: len(stranger.told), lambda count: count == 3)


async def test_small_moves_of_a_number_are_not_told_but_a_fault_is(world: World) -> None:
    ups = world.ups()
    async with serving(world) as served, a_stranger(served) as stranger:
        voltage = await stranger.named("ups-1.input.voltage")
        await stranger.subscribe(voltage, 1)
        await until(lambda: len(stranger.told), lambda count: count == 1)
        world.post(ups, {"input.voltage": 230.05})
        world.post(ups, {"input.voltage": 231.0})
        await until(lambda: len(stranger.told), lambda count: count == 2)
        world.lose(ups)
        await until(lambda: len(stranger.told), lambda count: count == 3)
        assert list(flags(stranger)[2])[1]


async def test_a_property_is_told_with_an_increment_of_its_own(world: World) -> None:
    ups = world.ups()
    async with serving(world) as served, a_stranger(served) as stranger:
        voltage = await stranger.named("ups-1.input.voltage")
        await stranger.subscribe_property(voltage, "present-value", 1, cov_increment=20.0)
        await stranger.subscribe_property(voltage, "reliability", 2, confirmed=True)
        await until(lambda: len(stranger.told), lambda count: count == 2)
        world.post(ups, {"input.voltage": 240.0})
        await asyncio.sleep(0.2)
        assert len(stranger.told) == 2
        world.post(ups, {"input.voltage": 260.0})
        await until(lambda: len(stranger.told), lambda count: count == 3)
        assert stranger.told[2][0].subscriber_process_identifier == 1
        world.lose(ups)
        await until(lambda: len(stranger.told), lambda count: count == 5)
        told = next(one for one, _ in stranger.told[3:] if one.subscriber_process_identifier == 2)
        assert {value.property_identifier for value in told.list_of_values} == {
            PropertyIdentifier.RELIABILITY,
            PropertyIdentifier.STATUS_FLAGS,
        }


async def test_a_subscription_ends_when_it_is_cancelled_or_its_time_is_up(world: World) -> None:
    ups = world.ups()
    async with serving(world) as served, a_stranger(served) as stranger:
        condition = await stranger.named("ups-1.on_battery")
        await stranger.subscribe(condition, 1)
        await stranger.subscribe(condition, 2, lifetime=1)
        await until(lambda: len(stranger.told), lambda count: count == 2)
        answer = await stranger.client.read_property(served.place, f"device,{DEVICE}", "active-cov-subscriptions")
        listed = ListOf(COVSubscription).decode(TagList.decode(PDUData(answer.property_value)))
        assert sorted(int(one.recipient.processIdentifier) for one in listed) == [1, 2]
        assert not listed[0].issueConfirmedNotifications
        assert 0 < listed[0].timeRemaining <= 300
        assert listed[0].monitoredPropertyReference.propertyIdentifier == PropertyIdentifier.PRESENT_VALUE
        await stranger.client.unsubscribe_cov(served.place, condition, 1)
        await stranger.client.unsubscribe_cov(served.place, condition, 77)
        await until(
            lambda: stranger.client.read_property(served.place, f"device,{DEVICE}", "active-cov-subscriptions"),
            lambda answer: answer.property_value == b"",
        )
        world.post(ups, conditions={"on_battery": True})
        await asyncio.sleep(0.2)
        assert len(stranger.told) == 2


async def test_what_cannot_be_subscribed_to_is_refused(world: World) -> None:
    world.ups()
    async with serving(world) as served, a_stranger(served) as stranger:

        async def refused(code: ErrorCode, which: str, what: str | None = None, **more: Any) -> None:
            trying = (
                stranger.subscribe(which, 1, **more)
                if what is None
                else stranger.subscribe_property(which, what, 1, **more)
            )
            with pytest.raises(BACnetError) as failed:
                await trying
            assert failed.value.error_code == code

        await refused(ErrorCode.UNKNOWN_OBJECT, "analog-input,99999")
        await refused(ErrorCode.OPTIONAL_FUNCTIONALITY_NOT_SUPPORTED, f"device,{DEVICE}")
        await refused(ErrorCode.VALUE_OUT_OF_RANGE, "analog-input,1", lifetime=LONGEST + 1)
        await refused(ErrorCode.NOT_COV_PROPERTY, "analog-input,1", "units")
        await refused(ErrorCode.UNKNOWN_PROPERTY, "analog-input,1", "state-text")
        await refused(ErrorCode.VALUE_OUT_OF_RANGE, "analog-input,1", "present-value", cov_increment=-1.0)
        await refused(ErrorCode.PROPERTY_IS_NOT_AN_ARRAY, "analog-input,1", "present-value", property_array_index=1)


async def test_an_object_that_goes_takes_its_subscriptions_along(world: World) -> None:
    ups = world.ups()
    async with serving(world) as served, a_stranger(served) as stranger:
        await stranger.subscribe(await stranger.named("ups-1.on_battery"), 1, lifetime=None)
        world.site.remove(ups.id)
        await until(
            lambda: stranger.client.read_property(served.place, f"device,{DEVICE}", "active-cov-subscriptions"),
            lambda answer: answer.property_value == b"",
        )


class Network:
    """What is sent, and how peers answer: here no packets go, since a thousand peers are wanted."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.sent: list[Any] = []
        self.asked: list[tuple[Any, asyncio.Future[Any]]] = []
        self.subscriptions = Subscriptions(self.clock, (8, DEVICE), self._send, self._ask)

    async def _send(self, pdu: Any) -> None:
        self.sent.append(pdu)

    def _ask(self, pdu: Any) -> asyncio.Future[Any]:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.asked.append((pdu, answer))
        return answer

    def shown(self, number: int) -> AnalogInput:
        shown = AnalogInput(objectIdentifier=("analog-input", number), objectName=str(number), covIncrement=1.0)
        shown.show(0.0, Quality.GOOD)
        return shown

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)


@pytest.fixture
async def network() -> Any:
    network = Network()
    running = asyncio.create_task(network.subscriptions.run())
    yield network
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_peers_may_not_subscribe_without_end(network: Network) -> None:
    shown = [network.shown(number) for number in range(1, PER_PEER + 2)]
    peers = [IPv4Address(f"192.0.2.{number}") for number in range(1, PEERS + 2)]

    def subscribe(peer: Any, one: AnalogInput) -> None:
        network.subscriptions.subscribe(peer, 1, one, confirmed=False, lifetime=60)

    for one in shown[:-1]:
        subscribe(peers[0], one)
    with pytest.raises(ExecutionError) as full:
        subscribe(peers[0], shown[-1])
    assert full.value.args == ("resources", "noSpaceToAddListElement")
    subscribe(peers[0], shown[0])  # who has it already may renew it
    for peer in peers[1:-1]:
        subscribe(peer, shown[0])
    with pytest.raises(ExecutionError):
        subscribe(peers[-1], shown[0])
    for peer in peers[1:-1]:
        for one in shown[:-1]:
            with suppress(ExecutionError):
                subscribe(peer, one)
    assert len(network.subscriptions) == IN_ALL


async def test_only_the_last_of_many_values_is_told(network: Network) -> None:
    shown = network.shown(1)
    network.subscriptions.subscribe(IPv4Address("192.0.2.1"), 1, shown, confirmed=True, lifetime=0)
    await network.settle()
    for value in range(100):
        shown.show(float(value), Quality.GOOD)
        network.subscriptions.changed(shown)
    await network.settle()
    assert len(network.asked) <= 3
    assert network.asked[-1][0].pduData.endswith(bytes.fromhex("2e 44 42c60000 2f 096f2e8204002f4f"))


async def test_a_value_is_told_although_somebody_has_read_it_before(network: Network) -> None:
    shown = network.shown(1)
    now = datetime(2026, 11, 21, tzinfo=UTC)
    known = [Reading(1.0, Quality.GOOD, now)]
    shown.follow(lambda: known[-1])
    network.subscriptions.subscribe(IPv4Address("192.0.2.1"), 1, shown, confirmed=False, lifetime=0)
    await network.settle()
    known.append(Reading(7.0, Quality.GOOD, now))
    assert shown.encoded("presentValue") == bytes.fromhex("4440e00000")
    network.subscriptions.changed(shown)
    await network.settle()
    assert len(network.sent) == 2
    assert network.sent[-1].pduData.endswith(bytes.fromhex("2e 44 40e00000 2f 096f2e8204002f4f"))


async def test_an_object_is_watched_for_as_long_as_somebody_subscribes_to_it(network: Network) -> None:
    shown = network.shown(1)
    one, other = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")
    assert [shown.watched] == [False]
    for peer in (one, other):
        network.subscriptions.subscribe(peer, 1, shown, confirmed=False, lifetime=60)
    network.subscriptions.cancel(one, 1, shown.objectIdentifier)
    assert [shown.watched] == [True]
    network.clock.tick(61)
    network.subscriptions.subscribe(one, 1, network.shown(2), confirmed=False, lifetime=60)
    await network.settle()
    assert [shown.watched] == [False]


async def test_a_peer_confirms_a_few_at_once(network: Network) -> None:
    peer = IPv4Address("192.0.2.1")
    for number in range(1, 20):
        network.subscriptions.subscribe(peer, 1, network.shown(number), confirmed=True, lifetime=0)
    await network.settle()
    assert len(network.asked) == AT_ONCE
    network.asked[0][1].set_result(SimpleAckPDU())
    await network.settle()
    assert len(network.asked) == AT_ONCE + 1


async def test_a_peer_that_does_not_answer_is_left_alone_and_at_last_forgotten(network: Network) -> None:
    peer, other = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")
    shown = network.shown(1)
    network.subscriptions.subscribe(peer, 1, shown, confirmed=True, lifetime=0)
    network.subscriptions.subscribe(other, 1, shown, confirmed=False, lifetime=0)
    await network.settle()
    for _ in range(PATIENCE * AT_ONCE):
        asked = len(network.asked)
        network.asked[-1][1].set_exception(AbortPDU(False, 1, AbortReason.noResponse))
        await network.settle()
        assert len(network.asked) == asked
        network.clock.tick(700)
        shown.show(shown.presentValue + 5.0, Quality.GOOD)
        network.subscriptions.changed(shown)
        network.subscriptions._wake.set()
        await network.settle()
    assert [one.peer.address for one in network.subscriptions] == [other]
    assert len(network.sent) > 5


async def test_a_peer_that_does_not_know_its_subscription_loses_it(network: Network) -> None:
    shown = network.shown(1)
    network.subscriptions.subscribe(IPv4Address("192.0.2.1"), 1, shown, confirmed=True, lifetime=0)
    await network.settle()
    network.asked[0][1].set_exception(Error(service_choice=1, errorClass="services", errorCode="unknownSubscription"))
    await network.settle()
    assert not len(network.subscriptions)


async def test_another_error_of_a_peer_changes_nothing(network: Network) -> None:
    network.subscriptions.subscribe(IPv4Address("192.0.2.1"), 1, network.shown(1), confirmed=True, lifetime=0)
    await network.settle()
    network.asked[0][1].set_exception(Error(service_choice=1, errorClass="services", errorCode="other"))
    await network.settle()
    assert len(network.subscriptions) == 1


async def test_a_subscription_without_an_end_has_none(network: Network) -> None:
    network.subscriptions.subscribe(IPv4Address("192.0.2.1"), 1, network.shown(1), confirmed=False, lifetime=0)
    assert [one.ends for one in network.subscriptions] == [math.inf]
    network.clock.tick(10 * LONGEST)
    await network.settle()
    assert len(network.subscriptions) == 1


async def test_an_alarm_is_told_by_the_flags(network: Network) -> None:
    shown = BinaryInput(objectIdentifier=("binary-input", 1), objectName="x")
    shown.show(False, Quality.GOOD)
    shown._app = type("App", (), {"object_changed": lambda _self, one: network.subscriptions.changed(one)})()
    network.subscriptions.subscribe(IPv4Address("192.0.2.1"), 1, shown, confirmed=False, lifetime=0)
    await network.settle()
    shown.eventState = "offnormal"
    await network.settle()
    assert len(network.sent) == 2
    assert b"\x82\x04\x80" in bytes(network.sent[1].pduData)
