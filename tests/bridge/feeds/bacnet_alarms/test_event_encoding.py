"""Our bytes are those of the library, which takes a hundred times as long for them."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from bac_py.services.event_notification import EventNotificationRequest
from bac_py.types.enums import EventType
from bac_py.types.notification_params import ChangeOfReliability
from bacpypes3.apdu import GetAlarmSummaryACK, GetEventInformationACK, UnconfirmedEventNotificationRequest
from bacpypes3.basetypes import (
    BinaryPV,
    DateTime as LibraryTime,
    GetAlarmSummaryAlarmSummary,
    GetEventInformationEventSummary,
    NotificationParameters,
    NotificationParametersChangeOfReliabilityType,
    NotificationParametersChangeOfState,
    PropertyStates,
    PropertyValue,
    TimeStamp,
)
from bacpypes3.constructeddata import Any as LibraryAny, SequenceOf
from bacpypes3.primitivedata import Date, Time, Unsigned
import pytest

from ridethrough.feeds.bacnet.encoding import object_number
from ridethrough.feeds.bacnet.event_encoding import (
    LONGEST_TEXT,
    Notification,
    NotifyType,
    alarm_summary,
    cut,
    event_information,
    event_summary,
    for_process,
    moment_of,
)
from ridethrough.feeds.bacnet.event_state import EventState

MOMENT = datetime(2026, 11, 22, 18, 5, 6, 70_000)
"""A Sunday."""
BEGUN = Notification(
    device=object_number(8, 4_194_302),
    object=object_number(3, 70_000),
    stamp=MOMENT,
    notification_class=3,
    priority=64,
    text="Rack UPS: Batterie schwach, 雪: begun",
    notify=NotifyType.ALARM,
    before=EventState.NORMAL,
    after=EventState.OFFNORMAL,
    ack_required=True,
    active=True,
    reliability=0,
)


def library_stamp(moment: datetime) -> Any:
    """Let the library make a stamp."""
    return TimeStamp(dateTime=LibraryTime(moment))


def of_state(active: bool, flags: list[int]) -> Any:
    """Let the library say that a state has changed."""
    values = NotificationParametersChangeOfState(
        newState=PropertyStates(binaryValue=BinaryPV(int(active))), statusFlags=flags
    )
    return NotificationParameters(changeOfState=values)


def of_reliability(reliability: int, active: bool, flags: list[int]) -> Any:
    """Let the library say that the reliability has changed."""
    value = PropertyValue(propertyIdentifier="presentValue", value=LibraryAny(BinaryPV(int(active))))
    values = NotificationParametersChangeOfReliabilityType(
        reliability=reliability, statusFlags=flags, propertyValues=[value]
    )
    return NotificationParameters(changeOfReliability=values)


OVER = replace(BEGUN, before=EventState.OFFNORMAL, after=EventState.NORMAL, active=False, ack_required=False)
LOST = replace(BEGUN, after=EventState.FAULT, reliability=12, notify=NotifyType.EVENT)
BACK = replace(LOST, before=EventState.FAULT, after=EventState.NORMAL, reliability=0, active=False)
ACKNOWLEDGED = replace(BEGUN, notify=NotifyType.ACKNOWLEDGEMENT, before=EventState.OFFNORMAL)


@pytest.mark.parametrize("process", [0, 9, 300, 4_194_303])
@pytest.mark.parametrize(
    ("notification", "kind", "values"),
    [
        pytest.param(BEGUN, 1, of_state(True, [1, 0, 0, 0]), id="begun"),
        pytest.param(OVER, 1, of_state(False, [0, 0, 0, 0]), id="over"),
        pytest.param(LOST, 19, of_reliability(12, True, [1, 1, 0, 0]), id="lost"),
        pytest.param(BACK, 19, of_reliability(0, False, [0, 0, 0, 0]), id="back"),
        pytest.param(ACKNOWLEDGED, 1, None, id="acknowledged"),
    ],
)
def test_a_notification_is_that_of_the_library(
    notification: Notification, kind: int, values: Any, process: int
) -> None:
    said: dict[str, Any] = {
        "processIdentifier": process,
        "initiatingDeviceIdentifier": ("device", 4_194_302),
        "eventObjectIdentifier": ("binaryInput", 70_000),
        "timeStamp": library_stamp(MOMENT),
        "notificationClass": 3,
        "priority": 64,
        "eventType": kind,
        "messageText": notification.text,
        "notifyType": int(notification.notify),
        "toState": int(notification.after),
    }
    if values is not None:
        said |= {"ackRequired": notification.ack_required, "fromState": int(notification.before), "eventValues": values}
    library = UnconfirmedEventNotificationRequest(**said).encode().pduData
    assert for_process(process, notification.encode()) == bytes(library)


@pytest.mark.parametrize("notification", [LOST, BACK], ids=["lost", "back"])
def test_a_stranger_reads_what_a_fault_is_about(notification: Notification) -> None:
    read = EventNotificationRequest.decode(for_process(1, notification.encode()))
    assert isinstance(read.event_values, ChangeOfReliability)
    assert read.event_values.reliability == notification.reliability
    assert read.event_type == EventType.CHANGE_OF_RELIABILITY
    assert (read.from_state, read.to_state) == (int(notification.before), int(notification.after))


@pytest.mark.parametrize("acked", [(False, True, True), (True, True, True), (True, False, False)])
@pytest.mark.parametrize("more", [False, True])
def test_event_information_is_that_of_the_library(acked: tuple[bool, bool, bool], more: bool) -> None:
    number = object_number(3, 7)
    ours = event_summary(
        number, EventState.OFFNORMAL, acked, (MOMENT, None, MOMENT), 0, (True, False, True), (64, 96, 160)
    )
    never = TimeStamp(dateTime=LibraryTime(date=Date((255,) * 4), time=Time((255,) * 4)))
    library = GetEventInformationEventSummary(
        objectIdentifier=("binaryInput", 7),
        eventState=2,
        acknowledgedTransitions=[int(flag) for flag in acked],
        eventTimeStamps=SequenceOf(TimeStamp)([library_stamp(MOMENT), never, library_stamp(MOMENT)]),
        notifyType=0,
        eventEnable=[1, 0, 1],
        eventPriorities=SequenceOf(Unsigned)([64, 96, 160]),
    )
    whole = GetEventInformationACK(listOfEventSummaries=[library, library], moreEvents=more).encode().pduData
    assert event_information([ours, ours], more=more) == bytes(whole)


def test_an_alarm_summary_is_that_of_the_library() -> None:
    ours = alarm_summary(object_number(3, 7), EventState.FAULT, (False, True, True))
    library = GetAlarmSummaryAlarmSummary(
        objectIdentifier=("binaryInput", 7), alarmState=1, acknowledgedTransitions=[0, 1, 1]
    )
    assert ours == bytes(GetAlarmSummaryACK(listOfAlarmSummaries=[library]).encode().pduData)


def test_a_long_text_is_cut_between_characters() -> None:
    assert cut("ü" * 200, 5) == "üü".encode()
    long = replace(BEGUN, text="雪" * 500)
    assert len(long.encode()) < LONGEST_TEXT + 90


@pytest.mark.parametrize(
    ("date", "time", "moment"),
    [
        pytest.param((126, 11, 22, 7), (18, 5, 6, 7), MOMENT, id="a-moment"),
        pytest.param((126, 11, 22, 255), (18, 5, 6, 7), MOMENT, id="without-the-day-of-the-week"),
        pytest.param((255, 11, 22, 7), (18, 5, 6, 7), None, id="any-year"),
        pytest.param((126, 13, 1, 1), (18, 5, 6, 7), None, id="odd-months"),
        pytest.param((126, 11, 22, 7), (255, 255, 255, 255), None, id="any-time"),
        pytest.param((126, 2, 30, 7), (18, 5, 6, 7), None, id="no-such-day"),
    ],
)
def test_a_date_and_a_time_are_a_moment_or_none(
    date: tuple[int, ...], time: tuple[int, ...], moment: datetime | None
) -> None:
    assert moment_of(date, time) == moment
