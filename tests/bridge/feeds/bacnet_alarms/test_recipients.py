"""Recipients: who they are, and what becomes of those that are unplugged, slow, or refuse."""

import asyncio
from dataclasses import replace
from datetime import datetime
import logging
import socket
from typing import Any

from bac_py.network.address import parse_address
from bac_py.services.errors import BACnetError
from bac_py.services.who_is import IAmRequest
from bac_py.types.enums import EventState, ObjectType, PropertyIdentifier, Segmentation, UnconfirmedServiceChoice
from bac_py.types.primitives import ObjectIdentifier as TheirIdentifier
from bacpypes3.basetypes import DaysOfWeek, EventTransitionBits
from bacpypes3.constructeddata import Any as LibraryAny
from bacpypes3.errors import PropertyError
from bacpypes3.local.binary import BinaryInputObject
from bacpypes3.pdu import PDUData
from bacpypes3.primitivedata import ObjectIdentifier, TagList, Time
import pytest

from ridethrough.feeds import FeedError
from ridethrough.feeds.bacnet import condition_events, event_recipients
from ridethrough.feeds.bacnet.event_memory import EVENTS, RECIPIENTS, load_statuses
from ridethrough.feeds.bacnet.event_recipients import MOST_OUTBOXES, MOST_WAITING, Recipients
from ridethrough.feeds.bacnet.event_state import Transition
from ridethrough.feeds.bacnet.invocations import Invocations
from ridethrough.feeds.bacnet.recipient_list import configured, entry_of
from ridethrough.feeds.base import Facts
from ridethrough.store import StoreError
from ridethrough.tasks import Backoff
from tests.bridge.feeds.fuzz import never_stalled, watching_work
from tests.bridge.feeds.rig import World, free_port

from .bench import ALARM, WARNING, Bench, Operator, an_operator, serving, so, until
from .test_event_encoding import BEGUN as BEGUN_NOTIFICATION

ALWAYS = b"\x82\x01\xfe\xb4\x00\x00\x00\x00\xb4\x17\x3b\x3b\x63"
"""All days, all day."""
GRANTED = frozenset({"settings"})
CLASS = "notification-class,3"
MONDAY_NOON = datetime(2026, 3, 2, 12)
HOLDS = so(active=True)
BEGUN = BEGUN_NOTIFICATION.encode()


def entry(recipient: bytes, *, confirmed: bool = False, transitions: int = 0xE0) -> bytes:
    """Make an entry of a recipient list, for process 9."""
    return ALWAYS + recipient + b"\x21\x09" + bytes((0x10 | confirmed, 0x82, 0x05, transitions))


def at(operator: Operator) -> bytes:
    """Name an operator by its address."""
    octets = bytes((127, 0, 0, 1)) + int(operator.address.rpartition(":")[2]).to_bytes(2)
    return b"\x1e\x21\x00\x65\x06" + octets + b"\x1f"


async def write(operator: Operator, bench: Bench, content: bytes) -> None:
    """Write the recipients of alarms."""
    await operator.client.write_property(bench.address, CLASS, "recipient-list", content)


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_recipients, "_RETRIES", Backoff(first=0.05, cap=0.1))
    monkeypatch.setattr(event_recipients, "LOOKING", 0.3)


async def test_a_client_enters_itself_where_that_is_granted_and_stays_over_a_restart(world: World) -> None:
    async with an_operator() as operator:
        async with serving(world.context, allow=GRANTED) as bench:
            await write(operator, bench, entry(at(operator), transitions=0x80))
            obj = bench.add(ALARM)
            bench.set(obj, active=True)
            (begun,) = await operator.hears(1)
            bench.set(obj, active=False)  # it does not want to know that
            assert operator.heard[0][0] is False
            assert begun.process_identifier == 9
        async with serving(world.context, allow=GRANTED) as bench:
            bench.set(bench.add(ALARM), active=True)
            *_, last = await operator.hears(2)
            assert last.to_state == EventState.OFFNORMAL
        async with serving(world.context, "127.0.0.1:1", allow=GRANTED) as bench:  # that is news since
            obj = bench.add(ALARM)
            bench.set(obj, active=False)
            await until(lambda: bool(bench.events.recipients.outboxes))
            (box,) = bench.events.recipients.outboxes
            assert box.recipient.place == "127.0.0.1:1"


async def test_nothing_of_a_class_is_written_without_a_grant_and_only_recipients_with_one(world: World) -> None:
    async with an_operator() as operator:
        async with serving(world.context) as bench:
            with pytest.raises(BACnetError, match="WRITE_ACCESS_DENIED"):
                await write(operator, bench, entry(at(operator)))
        async with serving(world.context, allow=GRANTED) as bench:
            with pytest.raises(BACnetError, match="WRITE_ACCESS_DENIED"):
                await operator.client.write_property(
                    bench.address, CLASS, PropertyIdentifier.PRIORITY, b"\x21\x01\x21\x02\x21\x03"
                )


@pytest.mark.parametrize(
    ("content", "code"),
    [
        pytest.param(entry(b"\x0c\x00\xc0\x00\x01"), "VALUE_OUT_OF_RANGE", id="no-device"),
        pytest.param(entry(b"\x1e\x22\xff\xff\x60\x1f"), "VALUE_OUT_OF_RANGE", id="global-broadcast"),
        pytest.param(entry(b"\x1e\x21\x00\x65\x07" + bytes(7) + b"\x1f"), "VALUE_OUT_OF_RANGE", id="no-ip-address"),
        pytest.param(entry(b"\x0c\x02\x00\x00\x4d") * 33, "NO_SPACE_TO_WRITE_PROPERTY", id="too-many"),
    ],
)
async def test_a_list_that_nobody_could_be_told_by_is_refused(world: World, content: bytes, code: str) -> None:
    async with an_operator() as operator, serving(world.context, allow=GRANTED) as bench:
        with pytest.raises(BACnetError, match=code):
            await write(operator, bench, content)
        assert not bench.application.get_object_id(ObjectIdentifier(CLASS)).recipientList


async def test_a_list_that_has_not_been_decoded_is_taken_too(world: World) -> None:
    """As the feed's own WriteProperty brings it."""
    async with serving(world.context, allow=GRANTED) as bench:
        made = bench.application.get_object_id(ObjectIdentifier(CLASS))
        tags = TagList.decode(PDUData(entry(b"\x0c\x02\x00\x00\x4d")))
        await made.write("recipientList", LibraryAny(tags))
        assert [one.recipient.device for one in made.entries] == [77]
        for name, content, index, code in (
            ("priority", LibraryAny(tags), None, "writeAccessDenied"),
            ("recipientList", LibraryAny(TagList.decode(PDUData(ALWAYS))), None, "invalidDataType"),
            ("recipientList", LibraryAny(tags), 1, "propertyIsNotAnArray"),
        ):
            with pytest.raises(PropertyError) as raised:
                await made.write(name, content, index)
            assert raised.value.errorCode == code


@pytest.mark.usefixtures("_impatient")
async def test_a_recipient_named_by_its_device_is_looked_for(world: World) -> None:
    async with an_operator() as operator, serving(world.context, allow=GRANTED) as bench:
        await write(operator, bench, entry(b"\x0c\x02\x00\x00\x4d", confirmed=True))  # device 77
        obj = bench.add(ALARM)
        bench.set(obj, active=True)
        await until(lambda: bool(bench.events.recipients.outboxes))
        (box,) = bench.events.recipients.outboxes
        assert box.recipient.place == "device 77"
        await until(lambda: box.problem is not None)  # broadcasts do not reach it on this interface
        iam = IAmRequest(TheirIdentifier(ObjectType.DEVICE, 77), 1476, Segmentation.BOTH, 0).encode()

        def heard() -> bool:
            operator.client.app.unconfirmed_request(parse_address(bench.address), UnconfirmedServiceChoice.I_AM, iam)
            return bool(operator.heard)

        await until(heard)
        await until(lambda: box.problem is None)
        bench.set(obj, active=False)
        await operator.hears(2)  # it is not looked for again


async def test_an_address_in_the_configuration_that_is_none_is_said_so(world: World) -> None:
    with pytest.raises(FeedError, match="'the control room' is no address"):
        async with serving(world.context, "the control room"):
            pass


@pytest.mark.usefixtures("_impatient")
async def test_a_recipient_that_is_unplugged_gets_everything_when_it_is_back(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    port = free_port(socket.SOCK_DGRAM)
    async with an_operator() as other, serving(world.context, f"127.0.0.1:{port}", other.address, timeout=100) as bench:
        bench.add(ALARM, 5)
        for obj in bench.objects:
            bench.set(obj, active=True)
        await other.hears(5)  # it does not wait for the one that is away
        away = bench.events.recipients.outboxes[0]
        await until(lambda: away.problem is not None)
        async with an_operator(port) as back:
            told = await back.hears(5)
        assert [one.event_object_identifier.instance_number for one in told] == [1, 2, 3, 4, 5]
        assert (away.problem, away.dropped) == (None, 0)
    lines = [record.message for record in caplog.records if "BACnet recipient" in record.message]
    assert len(lines) == 2
    assert "does not answer" in lines[0]
    assert "takes notifications again" in lines[1]


async def test_what_waits_for_an_unplugged_recipient_is_bounded(world: World) -> None:
    async with serving(world.context, "127.0.0.1:1") as bench:
        obj = bench.add(ALARM)
        for _ in range(MOST_WAITING):
            bench.set(obj, active=True)
            bench.set(obj, active=False)
        await until(lambda: bool(bench.events.recipients.outboxes))
        (box,) = bench.events.recipients.outboxes
        await until(lambda: box.dropped == MOST_WAITING)
        assert len(box.waiting) == MOST_WAITING


async def test_a_recipient_that_refuses_is_noted_once_and_asked_with_each_event(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async with an_operator() as operator, serving(world.context, operator.address) as bench:
        operator.refusing = True
        obj = bench.add(ALARM)
        for turn in range(3):
            bench.set(obj, active=turn % 2 == 0)
        await until(lambda: bool(bench.events.recipients.outboxes))
        (box,) = bench.events.recipients.outboxes
        await until(lambda: box.dropped == 3)
        operator.refusing = False
        bench.set(obj, active=False)
        await operator.hears(1)
        await until(lambda: box.sent == 1)
    assert sum("refuses" in record.message for record in caplog.records) == 1


@pytest.mark.slow
async def test_five_hundred_conditions_at_once_stall_nothing_and_all_are_told(world: World) -> None:
    """One recipient confirms at once, one slowly, one is unplugged; 3,000 objects exist."""
    async with an_operator() as quick, an_operator() as slow:
        slow.delay = 0.02
        recipients = (quick.address, slow.address, f"127.0.0.1:{free_port(socket.SOCK_DGRAM)}")
        async with serving(world.context, *recipients) as bench:
            bench.add(ALARM, 3000)
            async with watching_work() as spans:
                for obj in bench.objects[::6]:
                    bench.events.condition_changed(obj, HOLDS)
                await until(lambda: len(quick.heard) >= 250, within=10)
                assert str(bench.objects[2994].eventState) == "offnormal"
                # The numbers of requests rest now: the peer would take another one for a repeated one.
                await until(lambda: len(quick.heard) == 500, within=20)
            assert len({one.event_object_identifier.instance_number for one in quick.told}) == 500
            assert 100 < len(slow.heard) <= 500
            never_stalled(spans)


async def test_outboxes_of_lists_written_again_and_again_are_forgotten(world: World) -> None:
    async with serving(world.context, timeout=5000) as bench:
        recipients = bench.events.recipients
        told = [entry_of(configured([f"127.0.0.1:{port}"])[0]).recipient for port in range(1, MOST_OUTBOXES * 3)]
        for one in told:
            recipients.tell(one, BEGUN)
            await asyncio.sleep(0)
        assert [box.recipient for box in recipients.outboxes] == told[-MOST_OUTBOXES:]


async def test_what_was_to_be_told_before_it_runs_is_told_then(world: World) -> None:
    async with an_operator() as operator, serving(world.context) as bench:
        recipients = Recipients(bench.application, world.context.clock, Invocations(world.context.clock))
        recipients.tell(entry_of(configured([operator.address])[0]).recipient, BEGUN)
        running = asyncio.create_task(recipients.run())
        await operator.hears(1)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_an_answer_that_never_comes_does_not_hold_up_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither an answer nor the library's own timeout."""
    async with serving(world.context, "127.0.0.1:1", timeout=0) as bench:
        monkeypatch.setattr(bench.application, "request", lambda packet: asyncio.get_running_loop().create_future())
        bench.application.device_object.numberOfApduRetries = 0
        bench.set(bench.add(ALARM), active=True)
        await until(lambda: bool(bench.events.recipients.outboxes))
        (box,) = bench.events.recipients.outboxes
        await until(lambda: box.problem is not None)


async def test_an_object_that_is_gone_has_no_events(world: World) -> None:
    async with an_operator() as operator, serving(world.context) as bench:
        obj, other = bench.add(ALARM, 1), bench.add(ALARM)
        for one in (obj, other):
            bench.set(one, active=True)
        bench.events.detach(obj)
        bench.events.detach(obj)
        bench.events.condition_changed(obj, HOLDS)
        summary = (await operator.client.get_event_information(bench.address)).list_of_event_summaries
        assert [one.object_identifier.instance_number for one in summary] == [2]


@pytest.mark.parametrize(
    ("key", "events"),
    [("battery_low", 1), ("user_alarm.3", 1), ("no_such_condition", 0)],
    ids=["plain", "template", "unknown"],
)
async def test_an_object_that_says_its_condition_attaches_itself(world: World, key: str, events: int) -> None:
    ups = world.ups()
    world.rename(ups, "Rack UPS")
    async with an_operator() as operator, serving(world.context, operator.address) as bench:
        obj = Telling(
            objectIdentifier=("binaryInput", 1),
            objectName="ups-1.battery_low",
            presentValue="active",
            eventState="normal",
            statusFlags=[0, 0, 0, 0],
            outOfService=False,
            polarity="normal",
        )
        obj._place = ups.id, key
        bench.application.add_object(obj)
        bench.events.condition_changed(obj, HOLDS)
        told = await operator.hears(events)
        assert [one.message_text for one in told] == [SAID[key]] * events


class Telling(BinaryInputObject):  # type: ignore[misc]  # the library has no types
    """An object as the feed has them."""

    _place: Any = None

    @property
    def ridethrough_condition(self) -> Any:
        """Give the device and the condition."""
        return self._place


SAID = {
    "battery_low": "Rack UPS: Battery low: begun",
    "user_alarm.3": "Rack UPS: User alarm 3: begun",
    "no_such_condition": "",
}


async def test_nothing_but_the_memory_suffers_from_a_full_disk(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(condition_events, "SAVING", 0.01)
    monkeypatch.setattr(condition_events, "SAVING_AGAIN", 0.01)
    async with an_operator() as operator:
        facts = FullDisk(world.context.facts)
        async with serving(replace(world.context, facts=facts), operator.address, allow=GRANTED) as bench:
            bench.set(bench.add(ALARM), active=True)
            await until(lambda: facts.refused > 2)
            await operator.hears(1)
            facts.full = False
            await until(lambda: facts.kept == {EVENTS, RECIPIENTS})
    assert sum("cannot be remembered" in record.message for record in caplog.records) == 1


class FullDisk:
    """Facts that cannot be written at the moment."""

    def __init__(self, facts: Facts) -> None:
        """Begin with a full disk."""
        self._facts = facts
        self.full = True
        self.refused = 0
        self.kept: set[str] = set()

    async def get(self, key: str) -> str | None:
        """Read one."""
        return await self._facts.get(key)

    async def put(self, key: str, value: str) -> None:
        """Write one, if there is room."""
        if self.full:
            self.refused += 1
            raise StoreError("the disk is full")
        await self._facts.put(key, value)
        self.kept.add(key)


@pytest.mark.parametrize(
    ("change", "now", "wanted"),
    [
        pytest.param({}, MONDAY_NOON, True, id="always"),
        pytest.param({"validDays": DaysOfWeek([0, 1, 1, 1, 1, 1, 1])}, MONDAY_NOON, False, id="not-on-mondays"),
        pytest.param({"fromTime": Time((12, 0, 0, 1))}, MONDAY_NOON, False, id="later"),
        pytest.param({"fromTime": Time((12, 0, 0, 0))}, MONDAY_NOON, True, id="from-now"),
        pytest.param({"toTime": Time((11, 59, 59, 99))}, MONDAY_NOON, False, id="earlier"),
        pytest.param({"toTime": Time((255, 255, 255, 255))}, MONDAY_NOON, True, id="unspecified"),
        pytest.param({"transitions": EventTransitionBits([0, 1, 1])}, MONDAY_NOON, False, id="not-what-begins"),
    ],
)
def test_a_destination_says_when_it_wants_to_be_told(change: dict[str, Any], now: datetime, wanted: bool) -> None:
    (destination,) = configured(["192.0.2.7"])
    for name, value in change.items():
        setattr(destination, name, value)
    assert entry_of(destination).wants(Transition.TO_OFFNORMAL, now) is wanted


@pytest.mark.parametrize(
    ("text", "place", "confirmed"),
    [
        pytest.param("192.0.2.7", "192.0.2.7:47808", True, id="station"),
        pytest.param("192.0.2.7:47809", "192.0.2.7:47809", True, id="port"),
        pytest.param("*", "*", False, id="broadcast"),
        pytest.param("5:192.0.2.7", "192.0.2.7:47808", True, id="behind-a-router"),
        pytest.param("5:*", "5:*", False, id="broadcast-behind-a-router"),
    ],
)
def test_addresses_of_the_configuration(text: str, place: str, confirmed: bool) -> None:
    (destination,) = configured([text])
    recipient = entry_of(destination).recipient
    assert (recipient.place, recipient.confirmed) == (place, confirmed)


async def test_events_outlast_a_restart(world: World) -> None:
    """An acknowledged alarm is not raised again, one that ended meanwhile is over, one that is lost is begun anew."""
    async with an_operator() as operator:
        async with serving(world.context, operator.address) as bench:
            bench.add(ALARM, 3)
            for obj in bench.objects:
                bench.set(obj, active=True)
            told = await operator.hears(3)
            await operator.client.acknowledge_alarm(
                *(
                    bench.address,
                    5,
                    "bi,1",
                    EventState.OFFNORMAL,
                    told[0].time_stamp,
                    "Control room",
                    told[0].time_stamp,
                )
            )
            await operator.hears(4)
        async with serving(world.context, operator.address) as bench:
            bench.add(ALARM, 2)  # the third has not been seen yet
            summary = (await operator.client.get_event_information(bench.address)).list_of_event_summaries
            assert [one.acknowledged_transitions[0] for one in summary] == [True, False]
            bench.set(bench.objects[0], active=True)
            bench.set(bench.objects[1], active=False)
            *_, over = await operator.hears(5)
            assert (over.event_object_identifier.instance_number, over.to_state) == (2, EventState.NORMAL)
        async with serving(world.context, operator.address) as bench:
            bench.add(ALARM, 3)
            bench.set(bench.objects[2], active=False)
            *_, over = await operator.hears(6)
            assert over.event_object_identifier.instance_number == 3
            await operator.client.acknowledge_alarm(
                *(bench.address, 5, "bi,2", EventState.OFFNORMAL, told[1].time_stamp, "Night shift", told[1].time_stamp)
            )


async def test_events_of_what_never_comes_back_are_forgotten(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(condition_events, "SAVING", 0.0)

    async def remembered(count: int) -> None:
        async def looks_so() -> bool:
            return len(await load_statuses(world.context.facts)) == count

        await until(looks_so)

    async with serving(world.context) as bench:
        bench.add(ALARM, 2)
        for obj in bench.objects:
            bench.set(obj, active=True)
        await remembered(2)
    async with serving(world.context) as bench:
        bench.set(bench.add(WARNING), active=False)
        bench.add(WARNING)
        bench.set(bench.add(ALARM), active=True)
        await remembered(3)
    async with serving(world.context) as bench:
        bench.set(bench.add(ALARM), active=True)
        await asyncio.sleep(0.05)
        await remembered(3)  # what has not been seen yet may still come
    monkeypatch.setattr(condition_events, "FORGOTTEN", 0.1)
    async with serving(world.context) as bench:
        bench.set(bench.add(ALARM), active=True)
        await remembered(1)


@pytest.mark.parametrize(
    "word", ["{", "[]", '{"12582913":[9,[1,1,1],[null,null,null]]}', '{"written":7,"configured":[]}']
)
async def test_a_memory_that_cannot_be_read_is_no_reason_not_to_serve(world: World, word: str) -> None:
    await world.context.facts.put(EVENTS, word)
    await world.context.facts.put(RECIPIENTS, word)
    async with an_operator() as operator, serving(world.context, allow=GRANTED) as bench:
        bench.set(bench.add(ALARM), active=True)
        assert len((await operator.client.get_event_information(bench.address)).list_of_event_summaries) == 1
