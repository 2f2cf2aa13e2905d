"""The pure parts: votes, rates, frames, texts, silences."""

import json

from hypothesis import given, settings, strategies as st
import pytest

from ridethrough_agent.boot import boot_identity, same_boot
from ridethrough_agent.frames import LIMIT, FrameError, encode, parse
from ridethrough_agent.limits import Rate
from ridethrough_agent.memory import Known
from ridethrough_agent.senders import Senders
from ridethrough_agent.texts import clean
from ridethrough_agent.votes import FORGET, MOST, Votes

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.sampled_from("ABCD"), st.integers(0, 50)),
        st.tuples(st.just("withdraw"), st.sampled_from("ABCD"), st.just(0)),
        st.tuples(st.just("pass"), st.just(""), st.integers(0, 40)),
        st.tuples(st.just("unpair"), st.sampled_from("ABCD"), st.just(0)),
    ),
    max_size=30,
)


@settings(max_examples=300, deadline=None)
@given(needed=st.integers(1, 4), steps=STEPS)
def test_votes_do_what_a_plain_list_says(needed: int, steps: list[tuple[str, str, int]]) -> None:
    """The shutdown is due when as many senders as needed want it, each since its own delay at its first asking."""
    votes, plain, now = Votes(needed), dict[str, float](), 1000.0
    for step, sender, number in steps:
        if step == "ask":
            votes.ask(sender, sender.lower(), now, number)
            plain[sender] = min(plain.get(sender, now + number), now + number)
        elif step == "withdraw":
            assert votes.withdraw(sender) is (plain.pop(sender, None) is not None)
        elif step == "unpair":
            votes.keep(sender.__ne__)
            plain.pop(sender, None)
        else:
            now += number
        due_now = sum(due <= now for due in plain.values()) >= needed
        assert (votes.due is not None and votes.due <= now) is due_now
        assert (votes.due is None) is (len(plain) < needed)
        assert sorted(votes.names) == sorted(name.lower() for name in plain)


def test_old_vote_is_dropped_unless_it_is_due_or_repeated() -> None:
    votes = Votes(2)
    votes.ask("A", "a", 0)
    votes.ask("A", "a", 1000)
    assert votes.forget(1000 + FORGET) == []
    assert votes.forget(1001 + FORGET) == ["a"]
    votes = Votes(1)
    votes.ask("A", "a", 0, delay=86_400)
    assert votes.forget(10 * FORGET) == []


def test_assumed_vote_becomes_real_when_it_is_asked_for() -> None:
    votes = Votes(2)
    votes.ask("A", "a", 0, lost=True)
    votes.ask("A", "a", 1)
    assert not votes.withdraw("A", only_lost=True)
    votes.ask("A", "a", 2, lost=True)
    assert not votes.withdraw("A", only_lost=True)
    assert votes.withdraw("A")


def test_votes_are_bounded() -> None:
    votes = Votes(16)
    for number in range(MOST):
        assert votes.takes(str(number))
        votes.ask(str(number), "x", 0)
    assert not votes.takes("one more")
    assert votes.takes("0")


def test_rate_counts_within_its_span() -> None:
    rate = Rate(2)
    assert [rate.allows(now) for now in (0.0, 0.5, 0.9, 1.0, 1.4, 1.5)] == [True, True, False, True, False, True]
    assert rate.told() == " (2 more were not logged)"
    assert rate.told() == ""


def test_silence_is_told_once_and_only_of_those_that_were_heard() -> None:
    senders = Senders({"never": Known(), "known": Known(alive=10.0, on_battery=True)}, started=100.0)
    senders.keep(["never", "known", "new"])
    assert senders.silent(159.0) == []
    assert senders.silent(161.0) == ["known"]
    assert senders.silent(500.0) == []
    assert senders.hear("known", 500.0)
    assert not senders.hear("known", 501.0)
    assert senders.silent(531.0) == []
    assert senders.silent(531.1) == ["known"]
    senders.keep(["new"])
    assert list(senders.known) == ["new"]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_line_is_a_frame_or_a_frame_error(line: bytes) -> None:
    try:
        frame = parse(line + b"\n")
    except FrameError:
        return
    assert isinstance(frame, dict)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text(max_size=10), st.one_of(st.text(max_size=20), st.integers(), st.booleans()), max_size=5))
def test_frames_come_back_as_they_were(frame: dict[str, object]) -> None:
    line = encode(frame)
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert parse(line) == frame == json.loads(line)


def test_frame_without_its_end_is_none() -> None:
    with pytest.raises(FrameError, match="cut off"):
        parse(b"{}")
    with pytest.raises(FrameError, match="longer"):
        parse(b" " * LIMIT + b"\n")


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=50), st.integers(0, 60))
def test_clean_text_is_one_short_line_for_any_screen(text: str, limit: int) -> None:
    cleaned = clean(text, limit)
    assert len(cleaned) <= limit
    assert len(cleaned.splitlines()) <= 1
    assert cleaned.isprintable() or all(character.isprintable() or character.isspace() for character in cleaned)
    assert clean(cleaned, limit) == cleaned
    cleaned.encode("utf-8")


def test_this_start_of_the_computer_is_recognised() -> None:
    assert boot_identity() == boot_identity()
    assert same_boot(boot_identity(), boot_identity())


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("a 1", "a 1", True),
        ("a 1", "a 2", False),
        ("a 1", "b 1", False),
        ("at 1000", "at 1060", True),
        ("at 1000", "at 1301", False),
        ("at x", "at x", False),
        ("at 1000", "a 1", False),
    ],
)
def test_starts_of_the_computer(one: str, other: str, same: bool) -> None:
    assert same_boot(one, other) is same
