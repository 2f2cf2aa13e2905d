"""Frames: whatever an agent sends is read within bounds, or refused with a reason."""

import json
from typing import Any

from hypothesis import given, settings, strategies as st
import pytest

from ridethrough.agents import frames
from ridethrough.agents.frames import AgentState, FrameError, Hello, Pong, Result

HELLO: dict[str, Any] = {
    "type": "hello",
    "protocol": 1,
    "agent": "6a7f1a3c-51f2-5c4f-9d3e-1f2d3c4b5a69",
    "name": "nas.local",
    "version": "1.0.0",
    "system": "Linux 6.1",
    "session": "0" * 32,
    "clock": 1234.5,
    "seq": 17,
    "programs": ["stop-database"],
    "state": {"state": "up", "since": 3.0},
}
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def line(frame: object) -> bytes:
    """Write a frame as an agent does."""
    return json.dumps(frame).encode()


def test_a_hello_is_read() -> None:
    assert frames.read(line(HELLO)) == Hello(
        HELLO["agent"], "nas.local", "1.0.0", "Linux 6.1", "0" * 32, 1234.5, 17, ("stop-database",), AgentState("up")
    )


def test_a_state_is_read() -> None:
    state = {"state": "waiting", "delay": 3, "senders": ["a\nb"], "needed": 2, "drill": True}
    assert frames.read(line({"type": "state", "state": state})) == AgentState("waiting", 3.0, ("a b",), 2, True)


def test_answers_are_read() -> None:
    assert frames.read(b'{"type":"pong","clock":5}') == Pong(5.0)
    assert frames.read(b'{"type":"result","id":"x","ok":false,"code":"busy"}') == Result("x", False, "busy", "")


def test_what_a_later_version_may_say_is_passed_over() -> None:
    assert frames.read(b'{"type":"weather"}') is None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param({"protocol": 2}, "it talks version 2 of the protocol, this bridge 1", id="version"),
        pytest.param({"protocol": [1]}, "it talks version another", id="no-version"),
        pytest.param({"session": "0" * 31}, "its session is not 32 hex digits", id="session"),
        pytest.param({"seq": -1}, "its seq is no whole number", id="negative-seq"),
        pytest.param({"seq": True}, "its seq is no whole number", id="truth-for-seq"),
        pytest.param({"seq": 2**60}, "its seq is no whole number", id="huge-seq"),
        pytest.param({"clock": "now"}, "its clock is no number", id="clock"),
        pytest.param({"clock": 1e300}, "its clock is no number", id="huge-clock"),
        pytest.param({"programs": {"a": 1}}, "its programs are no list", id="programs"),
        pytest.param({"state": {"state": "on fire"}}, "its state is none of", id="state"),
        pytest.param({"state": None}, "its state is none of", id="no-state"),
    ],
)
def test_a_hello_that_cannot_be_is_refused(change: dict[str, Any], told: str) -> None:
    with pytest.raises(FrameError, match=told):
        frames.read(line(HELLO | change))


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="list"),
        pytest.param(b'{"type":1}', id="type-is-a-number"),
        pytest.param(b'{"type":"result","id":"x"}', id="result-without-ok"),
        pytest.param(b"\xff\xfe{}", id="no-utf-8"),
        pytest.param(b"[" * 8000, id="deep"),
        pytest.param(b'{"a":' * 1500 + b"1" + b"}" * 1500, id="deeper-than-long"),
        pytest.param(b'{"type":"pong","clock":NaN}', id="nan"),
        pytest.param(b'{"type":"pong","clock":' + b"9" * 5000 + b"}", id="digits"),
        pytest.param(b'{"type":"x","y":"' + b"x" * 9000 + b'"}', id="long"),
    ],
)
def test_what_is_no_frame_is_refused(wrong: bytes) -> None:
    with pytest.raises(FrameError):
        frames.read(wrong)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from([*HELLO, "id", "ok", "code", "message"]), _VALUES), st.booleans())
def test_nothing_that_is_json_does_harm(change: dict[str, Any], whole: bool) -> None:
    frame = {**HELLO, **change} if whole else change
    try:
        found = frames.read(line(frame))
    except FrameError:
        return
    if isinstance(found, Hello):
        for text in (found.name, found.version, found.system, *found.programs):
            assert text.isprintable()
            assert len(text) <= 100


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_nothing_that_is_not_json_does_harm(data: bytes) -> None:
    try:
        frames.read(data)
    except FrameError:
        return


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        pytest.param("nas\r\n2026-01-01 ERROR forged", "nas 2026-01-01 ERROR forged", id="lines"),
        pytest.param("\x1b[31mred\x07", "[31mred", id="terminal"),
        pytest.param("abc\u202edef", "abc def", id="right-to-left"),
        pytest.param("x" * 20, "xxxxxxxxx…", id="long"),
        pytest.param("\ud800", "", id="surrogate"),
        pytest.param(5, "", id="number"),
    ],
)
def test_texts_of_strangers_are_cleaned(raw: object, cleaned: str) -> None:
    assert frames.clean(raw, 10 if raw == "x" * 20 else 100) == cleaned


def test_a_frame_of_ours_is_never_too_long() -> None:
    assert frames.write({"type": "ping"}) == b'{"type":"ping"}\n'
    with pytest.raises(FrameError, match="8192 are possible"):
        frames.write({"type": "command", "text": "x" * 9000})
    with pytest.raises(FrameError, match="no text"):
        frames.write({"type": "command", "text": "\ud800"})


@pytest.mark.parametrize("name", ["../../bin/sh", "", "-rf", "a b", "a;b", "x" * 65, "a/b", "ä", "a\n"])
def test_no_path_is_the_name_of_a_program(name: str) -> None:
    assert not frames.program(name)


def test_a_name_is_the_name_of_a_program() -> None:
    assert frames.program("stop-database_2.sh")
