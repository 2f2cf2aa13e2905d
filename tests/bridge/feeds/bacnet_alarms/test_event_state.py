"""The event states: what a change of a condition means, and what an acknowledgement does."""

from datetime import datetime, timedelta

from hypothesis import given, strategies as st
import pytest

from ridethrough.feeds.bacnet.event_state import (
    ALL,
    AcknowledgementError,
    EventState,
    Reporting,
    Status,
    Transition,
    acknowledge,
    follow,
    stamped,
)

NOW = datetime(2026, 3, 2, 12, 0, 0, 120_000)
LATER = NOW + timedelta(minutes=1)
NORMAL, FAULT, OFFNORMAL = EventState.NORMAL, EventState.FAULT, EventState.OFFNORMAL
ALARM = Reporting(enable=(True, False, True), ack_required=(True, False, False))
WITH_FAULTS = Reporting(ack_required=(True, True, False))
RAISED = Status(OFFNORMAL, (False, True, True), (NOW, None, None))


def test_a_condition_that_begins_is_an_event_to_acknowledge() -> None:
    status, (step,) = follow(Status(), ALARM, holds=True, known=True, now=NOW)
    assert status == RAISED
    assert (step.before, step.after, step.transition) == (NORMAL, OFFNORMAL, Transition.TO_OFFNORMAL)
    assert step.told
    assert step.ack_required
    assert status.listed


def test_one_that_is_over_is_told_and_stays_listed_until_acknowledged() -> None:
    status, (step,) = follow(RAISED, ALARM, holds=False, known=True, now=LATER)
    assert (step.after, step.told, step.ack_required) == (NORMAL, True, False)
    assert status == Status(NORMAL, (False, True, True), (NOW, None, LATER))
    assert status.listed
    assert not acknowledge(status, OFFNORMAL, NOW).listed


@pytest.mark.parametrize(("status", "holds"), [(Status(), False), (RAISED, True)], ids=["normal", "offnormal"])
def test_nothing_changes_without_a_change(status: Status, holds: bool) -> None:
    assert follow(status, ALARM, holds=holds, known=True, now=LATER) == (status, ())


def test_nothing_is_followed_where_detection_is_off() -> None:
    assert follow(Status(), Reporting(detection=False), holds=True, known=True, now=NOW) == (Status(), ())


@pytest.mark.parametrize("holds", [False, True])
def test_what_is_not_known_is_a_fault_that_nobody_is_told_of(holds: bool) -> None:
    status, (step,) = follow(Status(), ALARM, holds=holds, known=False, now=NOW)
    assert (status.state, status.acked, step.told) == (FAULT, ALL, False)
    assert follow(status, ALARM, holds=not holds, known=False, now=LATER) == (status, ())


def test_the_end_of_a_fault_is_told_if_its_beginning_was() -> None:
    status, _ = follow(Status(), ALARM, holds=False, known=False, now=NOW)
    _, (step,) = follow(status, ALARM, holds=False, known=True, now=LATER)
    assert (step.before, step.after, step.told) == (FAULT, NORMAL, False)
    status, (begun,) = follow(Status(), WITH_FAULTS, holds=False, known=False, now=NOW)
    assert (begun.told, begun.ack_required) == (True, True)
    _, (step,) = follow(status, WITH_FAULTS, holds=False, known=True, now=LATER)
    assert step.told


def test_what_holds_after_a_fault_is_a_new_event() -> None:
    acknowledged = acknowledge(RAISED, OFFNORMAL, NOW)
    status, _ = follow(acknowledged, ALARM, holds=True, known=False, now=NOW)
    status, (over, again) = follow(status, ALARM, holds=True, known=True, now=LATER)
    assert (over.after, over.told) == (NORMAL, False)
    assert (again.before, again.after, again.told, again.ack_required) == (NORMAL, OFFNORMAL, True, True)
    assert status == Status(OFFNORMAL, (False, True, True), (LATER, NOW, LATER))


def test_a_transition_that_is_not_reported_needs_no_acknowledgement() -> None:
    silent = Reporting(enable=(False, False, False), ack_required=ALL)
    status, (step,) = follow(Status(), silent, holds=True, known=True, now=NOW)
    assert (step.told, step.ack_required, status.acked) == (False, False, ALL)


def test_acknowledging_twice_changes_nothing_more() -> None:
    once = acknowledge(RAISED, OFFNORMAL, NOW)
    assert once.acked == ALL
    assert acknowledge(once, OFFNORMAL, NOW) == once


@pytest.mark.parametrize(
    ("status", "state", "stamp", "code"),
    [
        pytest.param(RAISED, OFFNORMAL, LATER, "invalidTimeStamp", id="another-time"),
        pytest.param(RAISED, OFFNORMAL, None, "invalidTimeStamp", id="no-time"),
        pytest.param(RAISED, NORMAL, NOW, "invalidEventState", id="never-in-that-state"),
        pytest.param(RAISED, FAULT, LATER, "invalidEventState", id="never-in-fault"),
        pytest.param(RAISED, 3, NOW, "invalidEventState", id="high-limit"),
        pytest.param(RAISED, 99, NOW, "invalidEventState", id="no-state-at-all"),
        pytest.param(
            Status(NORMAL, RAISED.acked, (NOW, None, LATER)),
            NORMAL,
            NOW,
            "invalidEventState",
            id="stamp-of-another-state",
        ),
    ],
)
def test_what_fits_no_transition_is_refused(status: Status, state: int, stamp: datetime | None, code: str) -> None:
    with pytest.raises(AcknowledgementError) as raised:
        acknowledge(status, state, stamp)
    assert raised.value.code == code


def test_stamps_are_as_precise_as_they_can_be_said() -> None:
    assert stamped(datetime(2026, 3, 2, 1, 2, 3, 129_999)) == datetime(2026, 3, 2, 1, 2, 3, 120_000)


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans())))
def test_steps_lead_from_one_state_to_the_next_and_to_where_the_condition_is(
    changes: list[tuple[bool, bool, bool]],
) -> None:
    status = Status()
    for place, (holds, known, acknowledging) in enumerate(changes):
        now = NOW + timedelta(seconds=place)
        before = status.state
        status, steps = follow(status, ALARM, holds=holds, known=known, now=now)
        for step in steps:
            assert step.before is before
            before = step.after
            assert status.stamps[step.transition] == now
        assert before is status.state is (FAULT if not known else OFFNORMAL if holds else NORMAL)
        if acknowledging and status.stamps[Transition.TO_OFFNORMAL] is not None:
            status = acknowledge(status, OFFNORMAL, status.stamps[Transition.TO_OFFNORMAL])
            assert status.acked == ALL
