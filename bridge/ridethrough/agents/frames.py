"""The frames between a bridge and an agent (`bridge/agent/PROTOCOL.md`): read with bounds, and written.

What comes from an agent may be anything: it runs on another computer, which may have fallen into other hands. Nothing
of it is longer, deeper or more than what is said here, and its texts can be shown anywhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
import math
import re

import orjson

PROTOCOL = 1
LARGEST = 8192
"""Bytes of a frame, its end of line included."""
_SESSION = re.compile(r"[0-9a-f]{32}", re.ASCII)
_PROGRAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
_STATES = frozenset({"up", "waiting", "shutting_down"})
_LARGEST_SEQ = 2**53
"""More than a bridge gives commands in a million years, and exact in every JSON reader."""
_NAME, _MESSAGE = 100, 500
_MOST_NAMES = 64

type Json = Mapping[str, object]


class FrameError(Exception):
    """What came is no frame that the protocol has; the message is the end of a sentence."""


@dataclass(frozen=True, slots=True)
class AgentState:
    """How the computer is, as its agent says."""

    state: str = "up"
    """`up`, `waiting` (for other senders) or `shutting_down`."""
    delay: float | None = None
    """Seconds until it shuts down."""
    senders: tuple[str, ...] = ()
    """Bridges that want it to shut down."""
    needed: int | None = None
    """How many it takes."""
    drill: bool = False


@dataclass(frozen=True, slots=True)
class Hello:
    """The first thing that an agent says."""

    agent: str
    name: str
    version: str
    system: str
    session: str
    clock: float
    seq: int
    programs: tuple[str, ...]
    state: AgentState


@dataclass(frozen=True, slots=True)
class Pong:
    """Its answer to a sign of life."""

    clock: float


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended."""

    id: str
    ok: bool
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Pair:
    """What an agent says that has a code of an invitation."""

    secret: str
    name: str
    port: int
    version: str


type Frame = Hello | Pong | Result | AgentState


def read(line: bytes) -> Frame | None:
    """Read a frame of a connection; None for one of a type that a later version may have. Raises FrameError."""
    return _read(_object(line))


def read_pair(line: bytes) -> Pair:
    """Read the one frame of a pairing. Raises FrameError."""
    frame = _object(line)
    if frame.get("type") != "pair":
        raise FrameError("it sent something else than its request to be paired")
    if frame.get("protocol") != PROTOCOL:
        raise FrameError(_version(frame))
    return Pair(
        secret=clean(frame.get("secret"), 64),
        name=clean(frame.get("name"), _NAME) or "?",
        port=_whole(frame, "port", 1, 65535),
        version=clean(frame.get("version"), _NAME),
    )


def write(frame: Json) -> bytes:
    """Write a frame. Raises FrameError for one that would be too long."""
    try:
        line = orjson.dumps(frame, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError as error:
        raise FrameError("it holds what is no text") from error
    if len(line) > LARGEST:
        raise FrameError(f"it would have {len(line)} bytes; {LARGEST} are possible")
    return line


def program(name: str) -> bool:
    """Whether this can be the name of a program."""
    return _PROGRAM.fullmatch(name) is not None


def clean(value: object, longest: int) -> str:
    """Make a text of a stranger's fit for logs, journals and screens: one line, nothing invisible, not long."""
    if not isinstance(value, str):
        return ""
    text = value[: longest + 1]
    if not text.isprintable():
        text = "".join(sign if sign.isprintable() else " " for sign in text)
    text = " ".join(text.split())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _object(line: bytes) -> Json:
    if len(line) > LARGEST:
        raise FrameError("it sent a frame that is too long")
    try:
        frame = orjson.loads(line)
    except orjson.JSONDecodeError:
        frame = None
    if not isinstance(frame, dict):
        raise FrameError("it sent a line that is no JSON object")
    return frame


def _read(frame: Json) -> Frame | None:
    match frame.get("type"):
        case "hello":
            return _hello(frame)
        case "pong":
            return Pong(_clock(frame))
        case "result":
            ok = frame.get("ok")
            if not isinstance(ok, bool):
                raise FrameError("it sent a result that is neither good nor bad")
            return Result(
                clean(frame.get("id"), 64), ok, clean(frame.get("code"), 40), clean(frame.get("message"), _MESSAGE)
            )
        case "state":
            return _state(frame.get("state"))
        case str():
            return None
    raise FrameError("it sent a frame without a type")


def _hello(frame: Json) -> Hello:
    if frame.get("protocol") != PROTOCOL:
        raise FrameError(_version(frame))
    session = frame.get("session")
    if not isinstance(session, str) or _SESSION.fullmatch(session) is None:
        raise FrameError("its session is not 32 hex digits")
    found = frame.get("programs", [])
    if not isinstance(found, list):
        raise FrameError("its programs are no list")
    return Hello(
        agent=clean(frame.get("agent"), 64),
        name=clean(frame.get("name"), _NAME),
        version=clean(frame.get("version"), _NAME),
        system=clean(frame.get("system"), _NAME),
        session=session,
        clock=_clock(frame),
        seq=_whole(frame, "seq", 0, _LARGEST_SEQ),
        programs=tuple(name for name in found[:_MOST_NAMES] if isinstance(name, str) and program(name)),
        state=_state(frame.get("state")),
    )


def _state(value: object) -> AgentState:
    if not isinstance(value, dict) or value.get("state") not in _STATES:
        raise FrameError(f"its state is none of {', '.join(sorted(_STATES))}")
    delay, senders, needed = value.get("delay"), value.get("senders"), value.get("needed")
    return AgentState(
        value["state"],
        float(delay) if isinstance(delay, int | float) and not isinstance(delay, bool) and 0 <= delay < 1e9 else None,
        tuple(clean(one, _NAME) for one in senders[:_MOST_NAMES]) if isinstance(senders, list) else (),
        needed if isinstance(needed, int) and not isinstance(needed, bool) and 0 < needed < 1000 else None,
        value.get("drill") is True,
    )


def _version(frame: Json) -> str:
    told = frame.get("protocol")
    shown = told if isinstance(told, int) else "another"
    return f"it talks version {shown} of the protocol, this bridge {PROTOCOL}: install the agent of this version"


def _clock(frame: Json) -> float:
    value = frame.get("clock")
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value) or abs(value) > 1e12:
        raise FrameError("its clock is no number of seconds")
    return float(value)


def _whole(frame: Json, key: str, least: int, most: int) -> int:
    value = frame.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise FrameError(f"its {key} is no whole number from {least} to {most}")
    return value


__all__ = [
    "LARGEST",
    "PROTOCOL",
    "AgentState",
    "Frame",
    "FrameError",
    "Hello",
    "Pair",
    "Pong",
    "Result",
    "clean",
    "program",
    "read",
    "read_pair",
    "write",
]
