"""What a client of another code base sees of alarms: it is told, it looks, it acknowledges."""

import asyncio
from datetime import UTC, datetime, timedelta
import logging
from pathlib import Path
import socket
from typing import Any

from bac_py.services.alarm_summary import EventSummary
from bac_py.services.errors import BACnetError
from bac_py.types.constructed import BACnetDateTime, BACnetTimeStamp
from bac_py.types.enums import ErrorClass, ErrorCode, EventState, EventType, NotifyType, PropertyIdentifier
from bac_py.types.notification_params import ChangeOfState
from bac_py.types.primitives import BACnetDate, BACnetTime
import pytest

from ridethrough.events import Event, EventKind
from ridethrough.events.sentence import sentence
from ridethrough.site import Quality
from tests.bridge.feeds.fuzz import mutations
from tests.bridge.feeds.rig import World, free_port
from tests.bridge.feeds.shark import capturing

from .bench import ALARM, DEVICE, INFO, WARNING, Bench, Operator, an_operator, serving, so, until

NOW = BACnetTimeStamp(1, 1)
"""When it was acknowledged: our device takes any."""


async def acknowledge(
    operator: Operator,
    bench: Bench,
    stamp: BACnetTimeStamp,
    state: EventState = EventState.OFFNORMAL,
    which: str = "bi,1",
) -> None:
    """Acknowledge an event."""
    await operator.client.acknowledge_alarm(bench.address, 5, which, state, stamp, "Control room", NOW)


async def events(operator: Operator, bench: Bench, last: Any = None) -> list[EventSummary]:
    """Ask for the events."""
    answer = await operator.client.get_event_information(bench.address, last)
    return answer.list_of_event_summaries


def flags(bits: Any) -> tuple[bool, ...]:
    """Read three bits."""
    return tuple(bits[place] for place in range(3))


def when(stamp: BACnetTimeStamp) -> datetime:
    """Read a stamp."""
    assert isinstance(stamp.value, BACnetDateTime)
    date, time = stamp.value.date, stamp.value.time
    return datetime(date.year, date.month, date.day, time.hour, time.minute, time.second, time.hundredth * 10_000)


async def test_a_confirmed_notification_is_told_when_a_condition_begins_and_when_it_is_over(world: World) -> None:
    async with an_operator() as operator, serving(world.context, operator.address) as bench:
        obj = bench.add(ALARM)
        bench.set(obj, active=True)
        (begun,) = await operator.hears(1)
        bench.set(obj, active=False)
        _, over = await operator.hears(2)
        assert [confirmed for confirmed, _ in operator.heard] == [True, True]
        assert (begun.from_state, begun.to_state) == (EventState.NORMAL, EventState.OFFNORMAL)
        assert (begun.notify_type, begun.event_type) == (NotifyType.ALARM, EventType.CHANGE_OF_STATE)
        assert (begun.notification_class, begun.priority, begun.ack_required) == (3, 64, True)
        assert begun.initiating_device_identifier.instance_number == DEVICE
        assert begun.event_object_identifier.instance_number == 1
        assert begun.message_text == "condition 1: Battery low: begun"
        assert abs(when(begun.time_stamp) - datetime.now()) < timedelta(seconds=10)
        assert isinstance(begun.event_values, ChangeOfState)
        assert begun.event_values.new_state == bytes((0x19, 1))  # a BinaryPV, active
        assert begun.event_values.status_flags.in_alarm
        assert (over.to_state, over.priority, over.ack_required) == (EventState.NORMAL, 160, False)
        assert over.message_text == "condition 1: Battery low: over"


async def test_what_an_object_shows_of_its_events_can_be_read(world: World) -> None:
    async with an_operator() as operator, serving(world.context) as bench:
        obj = bench.add(ALARM)
        bench.set(obj, active=True)
        await until(lambda: str(obj.eventState) == "offnormal")
        read = operator.client.read
        assert await read(bench.address, "bi,1", "event-state") == EventState.OFFNORMAL
        assert flags(await read(bench.address, "bi,1", "event-enable")) == (True, False, True)
        assert flags(await read(bench.address, "bi,1", "acked-transitions")) == (False, True, True)
        assert await read(bench.address, "bi,1", "notify-type") == NotifyType.ALARM
        assert await read(bench.address, "bi,1", "notification-class") == 3
        assert await read(bench.address, "bi,1", "alarm-value") == 1
        assert await read(bench.address, "bi,1", "time-delay") == 0
        texts = await read(bench.address, "bi,1", "event-message-texts")
        assert texts == ["condition 1: Battery low: begun", "", ""]
        assert await read(bench.address, "notification-class,3", PropertyIdentifier.PRIORITY) == [64, 96, 160]
        assert flags(await read(bench.address, "notification-class,3", "ack-required")) == (True, False, False)


async def test_acknowledging_is_told_to_all_and_seen_in_the_object(world: World) -> None:
    async with (
        an_operator() as operator,
        an_operator() as other,
        serving(world.context, operator.address, other.address) as bench,
    ):
        obj = bench.add(ALARM)
        bench.set(obj, active=True)
        (begun,) = await operator.hears(1)
        (summary,) = await events(operator, bench)
        assert flags(summary.acknowledged_transitions) == (False, True, True)
        assert summary.event_time_stamps[0] == begun.time_stamp

        await acknowledge(operator, bench, begun.time_stamp)

        for one in (operator, other):
            _, told = await one.hears(2)
            assert told.notify_type == NotifyType.ACK_NOTIFICATION
            assert (told.to_state, told.from_state, told.ack_required) == (EventState.OFFNORMAL, None, None)
            assert told.event_values is None
            assert told.message_text == "condition 1: Battery low: acknowledged by Control room"
            assert when(told.time_stamp) >= when(begun.time_stamp)
        (summary,) = await events(operator, bench)
        assert flags(summary.acknowledged_transitions) == (True, True, True)
        await until(lambda: list(obj.ackedTransitions) == [1, 1, 1])

        await acknowledge(operator, bench, begun.time_stamp)  # again, as after a lost answer: nobody hears of it
        bench.set(obj, active=False)
        *_, over = await operator.hears(3)
        assert over.to_state == EventState.NORMAL
        assert await events(operator, bench) == []


async def test_who_acknowledges_is_in_the_journal_once(world: World) -> None:
    recorded: list[Event] = []
    world.recorder.subscribe(recorded.append)
    async with an_operator() as operator, serving(world.context, operator.address) as bench:
        bench.set(bench.add(ALARM), active=True)
        (begun,) = await operator.hears(1)
        await acknowledge(operator, bench, begun.time_stamp)
        await acknowledge(operator, bench, begun.time_stamp)
        await operator.hears(2)
        await until(lambda: bool(recorded))
        (event,) = recorded
        assert (event.kind, event.key) == (EventKind.SYSTEM, "acknowledged")
        said = sentence(event, None, world.site.catalogue)
        assert said == f"Bridge: Battery low: begun, acknowledged by Control room (BACnet {operator.address})"


@pytest.mark.parametrize(
    ("state", "seconds", "which", "error"),
    [
        pytest.param(EventState.OFFNORMAL, 1, "bi,1", ErrorCode.INVALID_TIME_STAMP, id="another-time"),
        pytest.param(EventState.NORMAL, 0, "bi,1", ErrorCode.INVALID_EVENT_STATE, id="a-state-it-was-not-in"),
        pytest.param(EventState.FAULT, 0, "bi,1", ErrorCode.INVALID_EVENT_STATE, id="no-fault"),
        pytest.param(EventState.HIGH_LIMIT, 0, "bi,1", ErrorCode.INVALID_EVENT_STATE, id="a-state-of-numbers"),
        pytest.param(EventState.OFFNORMAL, 0, "bi,9", ErrorCode.UNKNOWN_OBJECT, id="no-such-object"),
        pytest.param(EventState.OFFNORMAL, 0, "device,1628", ErrorCode.NO_ALARM_CONFIGURED, id="the-device"),
        pytest.param(EventState.OFFNORMAL, 0, "bi,2", ErrorCode.NO_ALARM_CONFIGURED, id="part-of-normal-operation"),
    ],
)
async def test_a_wrong_acknowledgement_is_refused(
    world: World, state: EventState, seconds: int, which: str, error: ErrorCode
) -> None:
    async with an_operator() as operator, serving(world.context) as bench:
        obj = bench.add(ALARM)
        bench.add(INFO)
        bench.set(obj, active=True)
        (summary,) = await events(operator, bench)
        moment = when(summary.event_time_stamps[0]) + timedelta(seconds=seconds)
        with pytest.raises(BACnetError) as raised:
            await acknowledge(operator, bench, stamp_of(moment), state, which)
        assert raised.value.error_code == error
        services = error in (ErrorCode.INVALID_TIME_STAMP, ErrorCode.INVALID_EVENT_STATE)
        assert raised.value.error_class == (ErrorClass.SERVICES if services else ErrorClass.OBJECT)
        (summary,) = await events(operator, bench)
        assert flags(summary.acknowledged_transitions) == (False, True, True)


@pytest.mark.parametrize(
    "stamp",
    [
        pytest.param(BACnetTimeStamp(1, 7), id="sequence-number"),
        pytest.param(BACnetTimeStamp(0, BACnetTime(1, 2, 3, 4)), id="time"),
        pytest.param(
            BACnetTimeStamp(2, BACnetDateTime(BACnetDate(255, 255, 255, 255), BACnetTime(255, 255, 255, 255))),
            id="unspecified",
        ),
    ],
)
async def test_another_kind_of_stamp_is_a_wrong_one(world: World, stamp: BACnetTimeStamp) -> None:
    async with an_operator() as operator, serving(world.context) as bench:
        bench.set(bench.add(ALARM), active=True)
        with pytest.raises(BACnetError, match="INVALID_TIME_STAMP"):
            await acknowledge(operator, bench, stamp)


async def test_an_alarm_that_is_over_stays_listed_until_it_is_acknowledged(world: World) -> None:
    async with an_operator() as operator, serving(world.context, operator.address) as bench:
        obj = bench.add(ALARM)
        bench.set(obj, active=True)
        bench.set(obj, active=False)
        begun, _ = await operator.hears(2)
        (summary,) = await events(operator, bench)
        assert summary.event_state == EventState.NORMAL
        assert (await operator.client.get_alarm_summary(bench.address)).list_of_alarm_summaries == []
        await acknowledge(operator, bench, begun.time_stamp)
        assert await events(operator, bench) == []


async def test_the_alarm_summary_names_alarms_and_what_is_part_of_normal_operation_is_no_event(world: World) -> None:
    async with an_operator() as operator, serving(world.context, operator.address) as bench:
        for kind in (INFO, WARNING, ALARM):
            bench.set(bench.add(kind), active=True)
        await operator.hears(2)
        summary = (await operator.client.get_alarm_summary(bench.address)).list_of_alarm_summaries
        assert [(one.object_identifier.instance_number, one.alarm_state) for one in summary] == [
            (2, EventState.OFFNORMAL),
            (3, EventState.OFFNORMAL),
        ]
        assert [flags(one.acknowledged_transitions)[0] for one in summary] == [True, False]
        assert [one.object_identifier.instance_number for one in await events(operator, bench)] == [2, 3]


async def test_a_lost_condition_is_in_fault_and_told_again_when_it_holds_after_that(world: World) -> None:
    async with an_operator() as operator, serving(world.context, operator.address) as bench:
        held, idle = bench.add(ALARM), bench.add(ALARM)
        bench.set(held, active=True)
        await operator.hears(1)
        for obj in (held, idle):
            bench.events.condition_changed(obj, so(obj is held, Quality.LOST))
        assert {one.event_state for one in await events(operator, bench)} == {EventState.FAULT}
        bench.set(held, active=True)
        bench.set(idle, active=False)
        first, again = await operator.hears(2)
        assert (again.from_state, again.to_state) == (EventState.NORMAL, EventState.OFFNORMAL)
        assert again.event_type == EventType.CHANGE_OF_STATE
        assert again.time_stamp != first.time_stamp or again.event_object_identifier == first.event_object_identifier


async def test_many_events_come_in_pieces_in_a_stable_order(world: World) -> None:
    async with an_operator() as operator, serving(world.context) as bench:
        bench.add(ALARM, 300)
        for obj in reversed(bench.objects):
            bench.set(obj, active=True)
        seen: list[int] = []
        last: Any = None
        for _ in range(300):
            answer = await operator.client.get_event_information(bench.address, last)
            seen += [one.object_identifier.instance_number for one in answer.list_of_event_summaries]
            if not answer.more_events:
                break
            last = answer.list_of_event_summaries[-1].object_identifier
            if len(seen) < 200:  # what is over meanwhile must not make the client lose its place
                bench.set(bench.objects[seen[-1] - 1], active=False)
                bench.events.detach(bench.objects[seen[-1] - 1])
        assert seen == list(range(1, 301))
        summary = (await operator.client.get_alarm_summary(bench.address)).list_of_alarm_summaries
        assert len(summary) > 250  # in segments


async def test_the_building_s_time_is_noted_and_the_clock_is_left_alone(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with an_operator() as operator, serving(world.context) as bench:

        def say(moment: datetime) -> None:
            date, time = (moment.year, moment.month, moment.day), (moment.hour, moment.minute, moment.second, 0)
            send = operator.client.utc_time_synchronization if moment.tzinfo else operator.client.time_synchronization
            send(bench.address, BACnetDate(*date, moment.isoweekday()), BACnetTime(*time))

        async def told(ahead: float) -> None:
            await until(lambda: abs((bench.application.clock_offset or 1e9) - ahead) < 5)

        say(datetime.now() + timedelta(hours=2))
        await told(7200)
        say(datetime.now(UTC) - timedelta(hours=1))
        await told(-3600)
        say(datetime.now(UTC) + timedelta(seconds=20))
        await told(20)
        send = operator.client.time_synchronization
        send(bench.address, BACnetDate(0xFF, 0xFF, 0xFF, 0xFF), BACnetTime(0xFF, 0xFF, 0xFF, 0xFF))
        await events(operator, bench)  # it has been heard by then
        await told(20)
        assert sum("clock" in record.message for record in caplog.records) == 1
        bench.application.clock = None  # as before it serves
        say(datetime.now(UTC) - timedelta(hours=9))
        await events(operator, bench)
        await told(20)


async def test_before_there_are_events_there_are_none(world: World) -> None:
    async with an_operator() as operator, serving(world.context) as bench:
        bench.add(ALARM)
        bench.application.condition_events = None
        assert await events(operator, bench) == []
        assert (await operator.client.get_alarm_summary(bench.address)).list_of_alarm_summaries == []
        with pytest.raises(BACnetError, match="NO_ALARM_CONFIGURED"):
            await acknowledge(operator, bench, NOW)


async def test_mutated_requests_change_nothing_and_the_good_one_is_answered(world: World) -> None:
    async with an_operator() as operator, serving(world.context) as bench:
        bench.set(bench.add(ALARM), active=True)
        (before,) = await events(operator, bench)
        seeds = [bytes.fromhex(seed) for seed in SEEDS]
        logging.disable(logging.CRITICAL)  # the library says much of what it cannot read
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.0.1", 0))
            for number, packet in enumerate(mutations(seeds, 5000)):
                # The frame around it is right: what is tried is what our services are given.
                frame = b"\x81\x0a" + (len(packet) + 6).to_bytes(2) + b"\x01\x04" + packet
                stranger.sendto(frame, ("127.0.0.1", int(bench.address.rpartition(":")[2])))
                if number % 50 == 0:
                    await asyncio.sleep(0.01)
        logging.disable(logging.NOTSET)
        (after,) = await events(operator, bench)
        assert after == before


SEEDS = (
    "0005010009051c00c0000129023e2ea47e0b1506b4112b07002f3f4c004142435e2ea47e0b1506b4112b07002f5f",
    "0005021d",
    "0005031d0c00c00001",
    "00050403",
    "1006a47e0b1506b4112b070b",
    "1009a47e0b1506b4112b070b",
)
"""AcknowledgeAlarm, GetEventInformation from the beginning and from an object on, GetAlarmSummary, both times."""


@pytest.mark.peer
async def test_wireshark_understands_every_packet(world: World, tmp_path: Path) -> None:
    port = free_port(socket.SOCK_DGRAM)
    async with (
        capturing(tmp_path, f"udp port {port}", f"udp.port=={port},bvlc") as capture,
        an_operator() as operator,
        serving(world.context, operator.address, allow=frozenset({"settings"}), port=port) as bench,
    ):
        bench.add(ALARM, 40)
        for obj in bench.objects:
            bench.set(obj, active=True)
        begun, *_ = await operator.hears(40)
        await acknowledge(operator, bench, begun.time_stamp)
        with pytest.raises(BACnetError):
            await acknowledge(operator, bench, stamp_of(datetime(2001, 2, 3)))
        await operator.hears(41)
        await events(operator, bench)
        await operator.client.get_alarm_summary(bench.address)
        await operator.client.write(bench.address, "notification-class,3", "recipient-list", entry(operator))
        await operator.client.read_property(bench.address, "notification-class,3", "recipient-list")
        bench.set(bench.objects[0], active=False)  # unconfirmed now
        await operator.hears(42)
        bench.set(bench.objects[1], active=True, quality=Quality.LOST)
        operator.client.utc_time_synchronization(bench.address, BACnetDate(2026, 1, 2, 5), BACnetTime(3, 4, 5, 6))
        await events(operator, bench)
    assert await capture.malformed() == []
    assert await capture.packets("_ws.expert.severity == error && bvlc") == []
    services = {line[0] for line in await capture.packets("bacapp", "bacapp.confirmed_service")}
    assert {"0", "2", "3", "29"} <= services  # AcknowledgeAlarm, notification, summary, information
    assert {line[0] for line in await capture.packets("bacapp", "bacapp.unconfirmed_service")} >= {"3", "9"}
    assert len(await capture.packets('bacapp contains "condition 1: Battery low: begun"')) == 1
    assert len(await capture.packets('bacapp contains "Control room"')) == 3  # taken, refused, told


def stamp_of(moment: datetime) -> BACnetTimeStamp:
    """Make a stamp, without the day of the week as some clients do."""
    date = BACnetDate(moment.year, moment.month, moment.day, 0xFF)
    time = BACnetTime(moment.hour, moment.minute, moment.second, moment.microsecond // 10_000)
    return BACnetTimeStamp(2, BACnetDateTime(date, time))


def entry(operator: Operator) -> bytes:
    """Make an entry of a recipient list: this operator, unconfirmed, process 9."""
    octets = bytes((127, 0, 0, 1)) + int(operator.address.rpartition(":")[2]).to_bytes(2)
    return (
        b"\x82\x01\xfe\xb4\x00\x00\x00\x00\xb4\x17\x3b\x3b\x63"  # all days, all day
        b"\x1e\x21\x00\x65\x06" + octets + b"\x1f\x21\x09\x10\x82\x05\xe0"
    )
