"""Up, going down, down or lost: what is concluded from what an agent says and from its silence."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings, strategies as st
import pytest

from ridethrough.agents.presence import Kept, Presence, State, read_kept

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
ALIVE = 10.0


def at(seconds: float) -> datetime:
    """Return the wall clock after so many seconds."""
    return BEGIN + timedelta(seconds=seconds)


def state(presence: Presence) -> State:
    """Look at it now."""
    return presence.state


def connected(told: State = State.UP) -> Presence:
    """Make one whose agent has greeted."""
    presence = Presence(ALIVE, 0.0)
    presence.said(told, at(0))
    return presence


def test_one_that_does_not_come_is_lost_after_three_signs_of_life() -> None:
    presence = Presence(ALIVE, 0.0)
    presence.failed(29.0, at(29), silent=True)
    assert state(presence) is State.CONNECTING
    assert presence.patience(29.0) == 1.0
    presence.elapsed(30.0)
    assert state(presence) is State.LOST
    assert presence.patience(30.0) is None


def test_one_that_shut_down_is_down_as_soon_as_nothing_answers() -> None:
    presence = connected(State.SHUTTING_DOWN)
    presence.ended(60.0, at(60))
    assert state(presence) is State.SHUTTING_DOWN
    presence.failed(61.0, at(61), silent=True)
    assert (presence.state, presence.duration) == (State.DOWN, 60.0)


def test_one_whose_network_answers_is_still_shutting_down_for_a_while() -> None:
    presence = connected(State.SHUTTING_DOWN)
    presence.ended(60.0, at(60))
    for second in (61.0, 75.0, 89.0):
        presence.failed(second, at(second), silent=False)
        assert state(presence) is State.SHUTTING_DOWN
    presence.failed(90.0, at(90), silent=False)
    assert (presence.state, presence.duration) == (State.DOWN, 90.0)


def test_the_silence_before_it_was_noticed_does_not_count_as_shutting_down() -> None:
    presence = connected(State.SHUTTING_DOWN)
    presence.ended(45.0, at(45), silent=True)
    presence.failed(50.0, at(50), silent=True)
    assert (presence.state, presence.duration) == (State.DOWN, 0.0)


def test_one_that_falls_silent_without_a_word_is_lost_at_once() -> None:
    presence = connected()
    presence.ended(45.0, at(45), silent=True)
    assert state(presence) is State.LOST


def test_one_that_is_up_again_forgets_that_it_was_down() -> None:
    presence = Presence(ALIVE, 0.0, Kept(State.DOWN, at(-500), 60.0))
    presence.failed(100.0, at(100), silent=True)
    assert state(presence) is State.DOWN
    presence.said(State.UP, at(110))
    assert (presence.state, presence.duration, presence.kept) == (State.UP, 60.0, None)
    presence.ended(120.0, at(120))
    assert state(presence) is State.CONNECTING


def test_what_is_kept_is_read_again() -> None:
    for kept in (Kept(State.DOWN, at(0), 61.5), Kept(State.SHUTTING_DOWN, at(5))):
        assert read_kept(kept.write()) == kept


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "5", '{"state":"up","begun":"2026-01-01T00:00:00+00:00","duration":null}', '{"state":"down"}'],
)
def test_what_is_damaged_counts_as_nothing(text: str) -> None:
    assert read_kept(text) is None


_HAPPENINGS = st.one_of(
    st.tuples(st.just("said"), st.sampled_from([State.UP, State.WAITING, State.SHUTTING_DOWN])),
    st.tuples(st.just("ended"), st.booleans()),
    st.tuples(st.just("failed"), st.booleans()),
    st.tuples(st.just("elapsed"), st.none()),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 100), _HAPPENINGS), max_size=30))
def test_whatever_happens_only_one_that_said_so_is_down_and_only_one_that_did_not_is_lost(
    story: list[tuple[float, tuple[str, object]]],
) -> None:
    presence, now, told = Presence(ALIVE, 0.0), 0.0, None
    connected = False
    for passed, (what, detail) in story:
        now += passed
        if what == "said":
            assert isinstance(detail, State)
            presence.said(detail, at(now))
            told, connected = detail, True
        elif what == "ended" and connected:
            presence.ended(now, at(now), silent=bool(detail))
            connected = False
        elif what == "failed" and not connected:
            presence.failed(now, at(now), silent=bool(detail))
        elif what == "elapsed":
            presence.elapsed(now)
        if presence.state is State.DOWN:
            assert told is State.SHUTTING_DOWN
            assert presence.duration is not None
            assert presence.duration >= 0
        if presence.state is State.LOST:
            assert told is not State.SHUTTING_DOWN
        if connected:
            assert state(presence) is told
        assert (presence.kept is not None) == (presence.state in {State.DOWN, State.SHUTTING_DOWN})
