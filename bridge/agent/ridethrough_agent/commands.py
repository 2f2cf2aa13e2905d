"""What a bridge may ask: fixed verbs with checked arguments, once each, and only while they are fresh."""

from __future__ import annotations

from dataclasses import dataclass
import math
import re
from typing import Any

from .texts import clean

WINDOW = 30.0
"""Seconds that a command's clock may be away from ours."""
SEQ_LIMIT = 2**53
"""Above it not every JSON reader knows a number exactly."""
MAX_DELAY = 86_400.0
MAX_TEXT = 500
MAX_REASON = 200

PROGRAM_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)

ARGUMENTS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    # verb: those that must be given, those that may be
    "message": (frozenset({"text"}), frozenset()),
    "execute": (frozenset({"program"}), frozenset()),
    "shutdown": (frozenset(), frozenset({"delay", "reason"})),
    "wakeup": (frozenset(), frozenset()),
    "drill": (frozenset(), frozenset()),
}


class Refusal(Exception):
    """A command is not carried out; `code` is one of PROTOCOL.md."""

    def __init__(self, code: str, message: str) -> None:
        """Refuse with `code` and a sentence for people."""
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Command:
    """A command whose arguments are as they should be; those that its verb lacks keep their defaults."""

    verb: str
    text: str = ""
    program: str = ""
    delay: float = 0.0
    """Seconds."""
    reason: str = ""


def is_number(value: object) -> bool:
    """Tell whether `value` is a finite JSON number; true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < SEQ_LIMIT


def check_fresh(frame: dict[str, Any], session: str, last: int, now: float) -> int:
    """Return the command's sequence number, or refuse it as repeated or old.

    `session` is this connection's, `last` the highest number accepted from this bridge, `now` the agent's clock.
    """
    seq, clock = frame.get("seq"), frame.get("clock")
    if not isinstance(seq, int) or not _is_count(seq):
        raise Refusal("bad_argument", "seq must be a whole number from 0")
    if not is_number(clock):
        raise Refusal("bad_argument", "clock must be a number")
    if frame.get("session") != session:
        raise Refusal("repeated", "this command belongs to another session")
    if seq <= last:
        raise Refusal("repeated", f"seq must be higher than {last}")
    assert clock is not None
    if abs(clock - now) > WINDOW:
        raise Refusal("old", f"its clock is {abs(clock - now):.0f} s away from mine; {WINDOW:.0f} s are allowed")
    return seq


def read_command(frame: dict[str, Any]) -> Command:
    """Check verb and arguments; each argument that the verb does not have is refused."""
    verb, arguments = frame.get("verb"), frame.get("arguments", {})
    if not isinstance(verb, str) or verb not in ARGUMENTS:
        raise Refusal("unknown_verb", f"the verbs are {', '.join(ARGUMENTS)}")
    if not isinstance(arguments, dict):
        raise Refusal("bad_argument", "arguments must be an object")
    demanded, allowed = ARGUMENTS[verb]
    given = frozenset(arguments)
    if not demanded <= given <= demanded | allowed:
        names = ", ".join(sorted(demanded | allowed)) or "none"
        raise Refusal("bad_argument", f"the arguments of {verb} are: {names}")
    if verb == "message":
        return Command(verb, text=_text(arguments["text"], "text", 1, MAX_TEXT))
    if verb == "execute":
        program = arguments["program"]
        if not isinstance(program, str) or PROGRAM_NAME.fullmatch(program) is None:
            raise Refusal("bad_argument", "program must be a name: letters, digits, _ - ., 64 at most")
        return Command(verb, program=program)
    if verb == "shutdown":
        delay = arguments.get("delay", 0)
        if not is_number(delay) or not 0 <= delay <= MAX_DELAY:
            raise Refusal("bad_argument", f"delay must be a number of seconds from 0 to {MAX_DELAY:.0f}")
        return Command(verb, delay=float(delay), reason=_text(arguments.get("reason", ""), "reason", 0, MAX_REASON))
    return Command(verb)


def _text(value: object, name: str, least: int, most: int) -> str:
    if not isinstance(value, str) or len(value) > most or len(cleaned := clean(value, most)) < least:
        raise Refusal("bad_argument", f"{name} must be a text of {least} to {most} characters")
    return cleaned


__all__ = [
    "ARGUMENTS",
    "MAX_DELAY",
    "PROGRAM_NAME",
    "WINDOW",
    "Command",
    "Refusal",
    "check_fresh",
    "is_number",
    "read_command",
]
