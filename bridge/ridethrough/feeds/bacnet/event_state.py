"""Event states: what a condition's change means to BACnet, and what acknowledging it does (ASHRAE 135 §13.2).

Nothing here knows the library or the network. Delays are the bridge's own: a threshold waits before its condition
holds, so the Time_Delay of our objects is always 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum


class EventState(IntEnum):
    """The states that a binary object can be in (§21, BACnetEventState)."""

    NORMAL = 0
    FAULT = 1
    """Whether the condition holds is not known: its quality is not good."""
    OFFNORMAL = 2
    """The condition holds."""


class Transition(IntEnum):
    """Kinds of transition, in the order of their flags, stamps and texts (§21, BACnetEventTransitionBits)."""

    TO_OFFNORMAL = 0
    TO_FAULT = 1
    TO_NORMAL = 2


TRANSITIONS: Mapping[EventState, Transition] = {
    EventState.OFFNORMAL: Transition.TO_OFFNORMAL,
    EventState.FAULT: Transition.TO_FAULT,
    EventState.NORMAL: Transition.TO_NORMAL,
}

type Flags = tuple[bool, bool, bool]
"""One for each kind of transition."""
type Stamps = tuple[datetime | None, datetime | None, datetime | None]
"""The last transition of each kind, in the device's local time without a zone; None: there was none."""

ALL: Flags = (True, True, True)
HUNDREDTH = 10_000
"""Microseconds of BACnet's finest time."""


class AcknowledgementError(Exception):
    """An acknowledgement fits no transition; `code` is what BACnet calls the reason."""

    def __init__(self, code: str) -> None:
        """Keep the reason."""
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Reporting:
    """Which transitions of an object are reported, and which must be acknowledged."""

    detection: bool = True
    """Whether the object has event states at all (Event_Detection_Enable)."""
    enable: Flags = ALL
    ack_required: Flags = (False, False, False)


@dataclass(frozen=True, slots=True)
class Status:
    """The event state of one object."""

    state: EventState = EventState.NORMAL
    acked: Flags = ALL
    stamps: Stamps = (None, None, None)

    @property
    def listed(self) -> bool:
        """Whether GetEventInformation names the object (§13.12)."""
        return self.state is not EventState.NORMAL or self.acked != ALL


@dataclass(frozen=True, slots=True)
class Step:
    """One transition."""

    before: EventState
    after: EventState
    stamp: datetime
    told: bool
    """Whether a notification is sent."""
    ack_required: bool

    @property
    def transition(self) -> Transition:
        """Its kind."""
        return TRANSITIONS[self.after]


def stamped(moment: datetime) -> datetime:
    """Give a moment as precisely as BACnet can say it, without its zone."""
    return moment.replace(microsecond=moment.microsecond // HUNDREDTH * HUNDREDTH, tzinfo=None)


def follow(
    status: Status, reporting: Reporting, *, holds: bool, known: bool, now: datetime
) -> tuple[Status, tuple[Step, ...]]:
    """Follow a condition: return the new status and the transitions that lead to it, none where nothing changes.

    From a fault the way leads over normal, as §13.2.2 has it: what holds after that is a new event. `now` is stamped.
    """
    if not reporting.detection:
        return status, ()
    steps: list[Step] = []
    if not known:
        wanted = [EventState.FAULT]
    elif status.state is EventState.FAULT:
        wanted = [EventState.NORMAL, EventState.OFFNORMAL] if holds else [EventState.NORMAL]
    else:
        wanted = [EventState.OFFNORMAL if holds else EventState.NORMAL]
    for state in wanted:
        if state is not status.state:
            status, step = _move(status, reporting, state, now)
            steps.append(step)
    return status, tuple(steps)


def _move(status: Status, reporting: Reporting, state: EventState, now: datetime) -> tuple[Status, Step]:
    transition = TRANSITIONS[state]
    told = reporting.enable[transition]
    if status.state is EventState.FAULT and not reporting.enable[Transition.TO_FAULT]:
        # Nobody was told of the fault. Its end is no news either, unless the condition holds then: that is a new event.
        told = told and state is not EventState.NORMAL
    ack_required = told and reporting.ack_required[transition]
    stamps = _with(status.stamps, transition, now)
    moved = Status(state, _with(status.acked, transition, not ack_required), stamps)
    return moved, Step(status.state, state, now, told, ack_required)


def acknowledge(status: Status, state: int, stamp: datetime | None) -> Status:
    """Acknowledge the last transition to a state, which its stamp names (§13.5.2).

    What is acknowledged already stays so. Raises AcknowledgementError: `invalidEventState` for a state which the object
    has not been in, or that is not the one of this stamp; `invalidTimeStamp` for what is not its last transition.
    """
    if state not in tuple(EventState):
        raise AcknowledgementError("invalidEventState")
    transition = TRANSITIONS[EventState(state)]
    if stamp is None or status.stamps[transition] != stamp:
        other = status.stamps[transition] is None or (stamp is not None and stamp in status.stamps)
        raise AcknowledgementError("invalidEventState" if other else "invalidTimeStamp")
    return replace(status, acked=_with(status.acked, transition, True))


def _with[T](three: tuple[T, T, T], place: int, value: T) -> tuple[T, T, T]:
    first, second, third = (value if index == place else old for index, old in enumerate(three))
    return first, second, third


__all__ = [
    "ALL",
    "HUNDREDTH",
    "TRANSITIONS",
    "AcknowledgementError",
    "EventState",
    "Flags",
    "Reporting",
    "Stamps",
    "Status",
    "Step",
    "Transition",
    "acknowledge",
    "follow",
    "stamped",
]
