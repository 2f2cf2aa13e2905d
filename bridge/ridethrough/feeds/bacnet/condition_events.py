"""Events of conditions: intrinsic reporting of the binary objects that show them (ASHRAE 135 §13.2).

Only conditions are reported. Limits of numeric points are conditions too: the bridge's own thresholds, with their
hysteresis and delays (`threshold.{name}.alarm`), so there is one place where limits are set and not two.

A change costs a few microseconds at once: the state is followed and the notification put into the recipients' queues.
What the objects show of it follows within moments, a few at a time.
"""

import asyncio
from bisect import bisect_right, insort
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
import logging
from typing import Any

from bacpypes3.basetypes import BinaryPV, DateTime, EventState as LibraryState, EventTransitionBits, TimeStamp
from bacpypes3.constructeddata import ArrayOf
from bacpypes3.primitivedata import Boolean, CharacterString, Date, Time, Unsigned

from ridethrough.catalogue import ConditionType, Severity
from ridethrough.config.feeds import BacnetConfig
from ridethrough.events.event import EdgeKind, Event, EventKind, JournalError
from ridethrough.feeds.base import FeedContext
from ridethrough.site import ConditionState, Quality

from .encoding import object_number
from .event_encoding import LONGEST_TEXT, Notification, NotifyType, alarm_summary, cut, event_summary
from .event_memory import EVENTS, RECIPIENTS, dump_recipients, dump_statuses, load_recipients, load_statuses
from .event_recipients import Recipients
from .event_state import HUNDREDTH, TRANSITIONS, EventState, Status, Step, Transition, acknowledge, follow, stamped
from .invocations import Invocations
from .notification_class import ClassRow, NotificationClass, load_classes, make_class
from .recipient_list import configured, decode_recipients, encode_recipients

_LOGGER = logging.getLogger(__name__)

GRANT = "settings"
"""The group that lets clients write who is told."""
SAVING = 1.0
"""Seconds in which changes are gathered before they are remembered."""
SAVING_AGAIN = 30.0
"""Seconds until that is tried again when it has failed."""
FORGOTTEN = 86_400.0
"""Seconds after the start in which a device must have come back, or its events are forgotten: what has left while the
bridge did not run would be kept for ever."""
SLICE = 0.001
"""Seconds that showing events may take at a time, before everybody else has a turn."""
MOST_UNTOLD = 20_000
"""Transitions that wait for their turn; it comes within moments."""
WORDS = {EventState.OFFNORMAL: "begun", EventState.NORMAL: "over", EventState.FAULT: "not known"}
"""As the event log says it."""
UNRELIABLE = {Quality.STALE: 12, Quality.LOST: 12, Quality.UNSUPPORTED: 1}
"""Communication-failure and no-sensor (§21, BACnetReliability)."""
RELIABLE = 0
ACKNOWLEDGED = "acknowledged"
"""What the journal calls an acknowledgement."""
LONGEST_SOURCE = 64
"""Characters of who acknowledges that we repeat."""

_STAMPS = ArrayOf(TimeStamp, _length=3)
_TEXTS = ArrayOf(CharacterString, _length=3)
_ACTIVE = BinaryPV("active")
_STATES = {state: LibraryState(int(state)) for state in EventState}
_FLAGS = {
    (one, two, three): EventTransitionBits([int(one), int(two), int(three)])
    for one in (False, True)
    for two in (False, True)
    for three in (False, True)
}
_NEVER = TimeStamp(dateTime=DateTime(date=Date((255,) * 4), time=Time((255,) * 4)))
_NO_STAMPS, _NO_TEXTS = _STAMPS([_NEVER] * 3), _TEXTS([""] * 3)
_NONE, _YES, _NO, _EMPTY = Unsigned(0), Boolean(True), Boolean(False), CharacterString("")


@dataclass(slots=True, eq=False)
class Reported:
    """An object whose events are reported."""

    obj: Any
    number: int
    """Its identifier as one number, by which events are ordered."""
    condition: ConditionType
    row: ClassRow
    status: Status
    active: bool = False
    reliability: int = RELIABLE
    texts: tuple[str, str, str] = ("", "", "")
    """Of the last transition of each kind."""

    @property
    def identifier(self) -> bytes:
        """Its identifier on the wire."""
        return self.number.to_bytes(4)

    def put_text(self, transition: Transition, text: str) -> None:
        """Remember the text of a transition."""
        texts = list(self.texts)
        texts[transition] = text
        self.texts = (texts[0], texts[1], texts[2])


type Untold = tuple[Reported, Step, bool, int]
"""A transition that recipients and the object's readers are to be told of, with the value and reliability it had."""


class UnknownEventObject(LookupError):
    """An object has no events."""


class ConditionEvents:
    """Makes events of conditions, tells recipients of them, and knows which are there."""

    def __init__(
        self, application: Any, config: BacnetConfig, context: FeedContext, invocations: Invocations | None = None
    ) -> None:
        """Give the application its notification classes, and use its numbers of requests if it has some.

        Raises FeedError for recipients that are no addresses.
        """
        self._application = application
        self._config = config
        self._context = context
        self._device = _number(application.device_object).to_bytes(4)
        self._recipients = Recipients(application, context.clock, invocations or Invocations(context.clock))
        self._classes: dict[int, NotificationClass] = {}
        self._reported: dict[int, Reported] = {}
        """By number."""
        self._objects: dict[int, Reported] = {}
        """By what the object is for Python: to ask the library for its identifier takes longer than all the rest."""
        self._listed: list[int] = []
        """The numbers of objects that GetEventInformation names, in order."""
        self._remembered: dict[int, Status] = {}
        """From before the last restart, of objects that have not been attached yet."""
        self._untold: deque[Untold] = deque(maxlen=MOST_UNTOLD)
        self._unshown: dict[int, Reported] = {}
        self._work = asyncio.Event()
        self._to_save = asyncio.Event()
        self._recording: set[asyncio.Task[None]] = set()
        self._save_events = self._save_recipients = self._forgetful = False
        for row in load_classes().values():
            made = make_class(row, configured(config.recipients))
            if GRANT in config.allow:
                made.let_write(self._recipients_written)
            self._classes[row.number] = made
            application.add_object(made)

    @property
    def recipients(self) -> Recipients:
        """Who is being told."""
        return self._recipients

    async def restore(self) -> None:
        """Remember what was before the restart; to be called before objects are attached."""
        facts = self._context.facts
        self._remembered = await load_statuses(facts)
        for number, word in (await load_recipients(facts, self._config.recipients)).items():
            made = self._classes.get(number)
            if made is not None and GRANT in self._config.allow:
                made.recipientList = decode_recipients(word)

    def attach(self, obj: Any, condition: ConditionType) -> None:
        """Report the events of this object, which shows a condition of this kind."""
        row = load_classes()[condition.severity]
        number = _number(obj)
        status = self._remembered.pop(number, Status()) if row.reporting.detection else Status()
        one = Reported(obj, number, condition, row, status, active=status.state is EventState.OFFNORMAL)
        self._reported[number] = self._objects[id(obj)] = one
        obj.eventDetectionEnable = _YES if row.reporting.detection else _NO
        obj.eventEnable = _FLAGS[row.reporting.enable]
        obj.notifyType = row.notify
        obj.notificationClass = Unsigned(row.number)
        obj.alarmValue = _ACTIVE
        obj.timeDelay = _NONE
        self._show(one)
        self._list(one)

    def _attached(self, obj: Any) -> Reported | None:
        """Attach an object that says itself which condition it shows, None for another."""
        place = getattr(obj, "ridethrough_condition", None)
        if place is None:
            return None
        device_id, key = place
        device = self._context.site.devices.get(device_id)
        kind = None if device is None else self._context.site.catalogue.condition(device.kind, key)
        if kind is None:
            return None
        self.attach(obj, kind)
        return self._objects[id(obj)]

    def detach(self, obj: Any) -> None:
        """Forget an object that is gone, with its events."""
        one = self._objects.pop(id(obj), None)
        if one is not None:
            del self._reported[one.number]
            self._unshown.pop(one.number, None)
            one.status = Status()
            self._list(one)
            self._save(events=True)

    def condition_changed(self, obj: Any, state: ConditionState) -> None:
        """Follow a condition that is or is not so, or is no longer known.

        An object that has not been attached is, when it says of which condition it is (`ridethrough_condition`).
        """
        one = self._objects.get(id(obj)) or self._attached(obj)
        if one is None:
            return
        known = state.quality is Quality.GOOD
        if known:
            one.active = state.active
        one.reliability = RELIABLE if known else UNRELIABLE[state.quality]
        now = stamped(self._now())
        one.status, steps = follow(one.status, one.row.reporting, holds=state.active, known=known, now=now)
        if steps:
            self._untold.extend((one, step, one.active, one.reliability) for step in steps)
            # At once, so that subscribers hear of the value and of its flags together.
            one.obj.eventState = _STATES[one.status.state]
            self._changed(one)

    def acknowledge(self, obj: Any, state: int, stamp: datetime | None, *, by: str, at: str) -> None:
        """Acknowledge an event; recipients hear of it, and the journal.

        `stamp` is a datetime without a zone, None for what is none; `by` is the name that a client gives of who does
        it, `at` its address. Raises UnknownEventObject for an object without events, AcknowledgementError for what fits
        no transition.
        """
        one = self._objects.get(id(obj))
        if one is None or not one.row.reporting.detection:
            raise UnknownEventObject
        before, one.status = one.status, acknowledge(one.status, state, stamp)
        if one.status == before:
            return  # asked again, or there was nothing to acknowledge: nobody needs to hear of it
        by = "".join(letter for letter in by if letter.isprintable())[:LONGEST_SOURCE] or "somebody without a name"
        text = f"{self._name(one)}: acknowledged by {by}"
        after = EventState(state)
        now = stamped(self._now())
        notification = self._notification(one, after, after, now, text, one.active, one.reliability, False)
        self._tell(one, TRANSITIONS[after], replace(notification, notify=NotifyType.ACKNOWLEDGEMENT))
        self._changed(one)
        self._record(one, after, by, at)

    def _record(self, one: Reported, state: EventState, by: str, at: str) -> None:
        """Have the journal say who has acknowledged what; a client does not wait for that."""
        details = {"condition": self._condition(one), "state": WORDS[state], "name": by, "actor": f"BACnet {at}"}
        place = getattr(one.obj, "ridethrough_condition", None)
        event = Event(
            at=self._context.clock.utc(),
            kind=EventKind.SYSTEM,
            device=None if place is None else place[0],
            key=ACKNOWLEDGED,
            edge=EdgeKind.OCCURRED,
            severity=Severity.INFO,
            details=details,
        )

        async def record() -> None:
            # A journal that cannot be written says so itself.
            with suppress(JournalError):
                await self._context.events.record(event)

        task = asyncio.create_task(record(), name="A BACnet acknowledgement into the journal")
        self._recording.add(task)
        task.add_done_callback(self._recording.discard)

    def event_summaries(self, after: bytes | None) -> Iterator[bytes]:
        """Give the entries of GetEventInformation in the order of their objects, those behind `after`."""
        begin = 0 if after is None else bisect_right(self._listed, int.from_bytes(after))
        for number in self._listed[begin:]:
            one = self._reported[number]
            status, row = one.status, one.row
            yield event_summary(
                *(one.identifier, status.state, status.acked, status.stamps),
                *(int(row.notify), row.reporting.enable, row.priority),
            )

    def alarm_summaries(self) -> Iterator[bytes]:
        """Give the entries of GetAlarmSummary: alarms whose state is not normal."""
        for number in self._listed:
            one = self._reported[number]
            if one.row.alarms and one.status.state is not EventState.NORMAL:
                yield alarm_summary(one.identifier, one.status.state, one.status.acked)

    async def run(self) -> None:
        """Tell, show and remember until cancelled; what was not remembered yet is then."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._recipients.run(), name="BACnet notifications")
                tasks.create_task(self._keep_going(), name="BACnet event states")
                tasks.create_task(self._keep_saving(), name="BACnet events remembered")
                tasks.create_task(self._forget(), name="BACnet events of what does not come back")
        finally:
            await asyncio.shield(self._store())

    # Telling

    def _tell_step(self, one: Reported, step: Step, active: bool, reliability: int) -> None:
        text = f"{self._name(one)}: {WORDS[step.after]}"
        one.put_text(step.transition, text)
        if step.told:
            # On the way from a fault to what holds, the condition does not hold yet.
            active = active if step.after is EventState.FAULT else step.after is EventState.OFFNORMAL
            self._tell(
                one,
                step.transition,
                self._notification(
                    one, step.before, step.after, step.stamp, text, active, reliability, step.ack_required
                ),
            )

    def _notification(
        self,
        one: Reported,
        before: EventState,
        after: EventState,
        stamp: datetime,
        text: str,
        active: bool,
        reliability: int,
        ack_required: bool,
    ) -> Notification:
        return Notification(
            device=self._device,
            object=one.identifier,
            stamp=stamp,
            notification_class=one.row.number,
            priority=one.row.priority[TRANSITIONS[after]],
            text=text,
            notify=NotifyType(int(one.row.notify)),
            before=before,
            after=after,
            ack_required=ack_required,
            active=active,
            reliability=reliability,
        )

    def _tell(self, one: Reported, transition: Transition, notification: Notification) -> None:
        encoded: bytes | None = None
        now = self._now()
        for entry in self._classes[one.row.number].entries:
            if entry.wants(transition, now):
                encoded = encoded or notification.encode()
                self._recipients.tell(entry.recipient, encoded)

    def _name(self, one: Reported) -> str:
        """Say which condition of which device it is: `Rack UPS: On battery`."""
        place = getattr(one.obj, "ridethrough_condition", None)
        if place is None:
            return f"{one.obj.objectName}: {one.condition.name}"
        device = self._context.site.devices.get(place[0])
        return f"{device.name if device is not None else place[0]}: {self._condition(one)}"

    def _condition(self, one: Reported) -> str:
        """Say which condition it is."""
        _, key = getattr(one.obj, "ridethrough_condition", None) or (None, "")
        name = one.condition.name
        for placeholder, value in (one.condition.template.match(key) or {}).items():
            name = name.replace(f"{{{placeholder}}}", value)
        return name

    def _now(self) -> datetime:
        """Return the device's local time, with its zone."""
        return self._context.clock.utc().astimezone()

    # Showing

    def _changed(self, one: Reported) -> None:
        self._list(one)
        self._unshown[one.number] = one
        self._work.set()
        self._save(events=True)

    def _list(self, one: Reported) -> None:
        """Keep the list of events in order; its cost is that of the change."""
        place = bisect_right(self._listed, one.number)
        there = place > 0 and self._listed[place - 1] == one.number
        if one.status.listed and not there:
            insort(self._listed, one.number)
        elif there and not one.status.listed:
            del self._listed[place - 1]

    async def _keep_going(self) -> None:
        """Tell and show what has changed, a few at a time."""
        loop = asyncio.get_running_loop()
        while True:
            await self._work.wait()
            self._work.clear()
            until = loop.time() + SLICE
            while self._untold or self._unshown:
                if self._untold:
                    self._tell_step(*self._untold.popleft())
                else:
                    self._show(self._unshown.pop(next(iter(self._unshown))))
                if loop.time() > until:
                    await asyncio.sleep(0)
                    until = loop.time() + SLICE

    def _show(self, one: Reported) -> None:
        status = one.status
        one.obj.ackedTransitions = _FLAGS[status.acked]
        one.obj.eventTimeStamps = (
            _NO_STAMPS if not any(status.stamps) else _STAMPS(list(map(_library_stamp, status.stamps)))
        )
        one.obj.eventMessageTexts = _NO_TEXTS if not any(one.texts) else _TEXTS(list(map(_library_text, one.texts)))
        one.obj.eventState = _STATES[status.state]

    # Remembering

    def _save(self, *, events: bool = False, recipients: bool = False) -> None:
        self._save_events |= events
        self._save_recipients |= recipients
        self._to_save.set()

    def _recipients_written(self) -> None:
        _LOGGER.info("BACnet: a client has written who is told of alarms")
        self._save(recipients=True)

    async def _keep_saving(self) -> None:
        while True:
            await self._to_save.wait()
            await self._context.clock.sleep(SAVING)
            self._to_save.clear()
            if not await self._store():
                await self._context.clock.sleep(SAVING_AGAIN)
                self._to_save.set()

    async def _forget(self) -> None:
        """Forget the events of what has not come back."""
        await self._context.clock.sleep(FORGOTTEN)
        if self._remembered:
            self._remembered.clear()
            self._save(events=True)

    async def _store(self) -> bool:
        """Remember what has changed; returns whether that went well."""
        try:
            if self._save_events:
                self._save_events = False
                statuses = self._remembered | {number: self._reported[number].status for number in self._listed}
                # Of thousands it would stop the loop.
                await self._context.facts.put(EVENTS, await asyncio.to_thread(dump_statuses, statuses))
            if self._save_recipients:
                self._save_recipients = False
                written = {number: encode_recipients(made.recipientList) for number, made in self._classes.items()}
                await self._context.facts.put(RECIPIENTS, dump_recipients(self._config.recipients, written))
        except Exception:
            # A full disk is no reason to tell nobody of alarms.
            if not self._forgetful:
                _LOGGER.exception("BACnet events cannot be remembered over a restart; it is tried again")
            self._forgetful = self._save_events = True
            self._save_recipients |= GRANT in self._config.allow
            return False
        except asyncio.CancelledError:
            # It ends in the middle: what `run` remembers at last must have all of it.
            self._save_events = True
            self._save_recipients |= GRANT in self._config.allow
            raise
        self._forgetful = False
        return True


def _number(obj: Any) -> int:
    kind, instance = obj.objectIdentifier
    return int.from_bytes(object_number(int(kind), int(instance)))


def _library_stamp(stamp: datetime | None) -> Any:
    if stamp is None:
        return _NEVER
    return TimeStamp(
        dateTime=DateTime(
            date=Date((stamp.year - 1900, stamp.month, stamp.day, stamp.isoweekday())),
            time=Time((stamp.hour, stamp.minute, stamp.second, stamp.microsecond // HUNDREDTH)),
        )
    )


def _library_text(text: str) -> Any:
    return CharacterString(cut(text, LONGEST_TEXT).decode()) if text else _EMPTY


__all__ = ["GRANT", "ConditionEvents", "UnknownEventObject"]
