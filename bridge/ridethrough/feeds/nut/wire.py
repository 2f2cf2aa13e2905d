"""The line protocol of upsd as its server speaks it: words, quotes, refusals. Pure; NUT docs/net-protocol.txt, RFC 9271."""

from enum import StrEnum
import re

PROTOCOL = "1.3"
"""The version of the protocol, which NETVER asks for; 1.3 has tracking and PRIMARY (NUT 2.8)."""
LINE_LIMIT = 1024
"""Bytes in a request. NUT's own clients never send more than 512."""
VALUE_LIMIT = 300
"""Characters of a value: NUT's clients read lines of at most 512 bytes, with the name of the UPS and the variable."""


class Error(StrEnum):
    """What upsd says when it refuses (NUT docs/net-protocol.txt, error responses; RFC 9271 §4.3)."""

    ACCESS_DENIED = "ACCESS-DENIED"
    UNKNOWN_UPS = "UNKNOWN-UPS"
    VAR_NOT_SUPPORTED = "VAR-NOT-SUPPORTED"
    CMD_NOT_SUPPORTED = "CMD-NOT-SUPPORTED"
    INVALID_ARGUMENT = "INVALID-ARGUMENT"
    INSTCMD_FAILED = "INSTCMD-FAILED"
    READONLY = "READONLY"
    TOO_LONG = "TOO-LONG"
    FEATURE_NOT_CONFIGURED = "FEATURE-NOT-CONFIGURED"
    ALREADY_SSL_MODE = "ALREADY-SSL-MODE"
    DRIVER_NOT_CONNECTED = "DRIVER-NOT-CONNECTED"
    DATA_STALE = "DATA-STALE"
    ALREADY_LOGGED_IN = "ALREADY-LOGGED-IN"
    ALREADY_SET_PASSWORD = "ALREADY-SET-PASSWORD"
    ALREADY_SET_USERNAME = "ALREADY-SET-USERNAME"
    USERNAME_REQUIRED = "USERNAME-REQUIRED"
    PASSWORD_REQUIRED = "PASSWORD-REQUIRED"
    UNKNOWN_COMMAND = "UNKNOWN-COMMAND"
    FAILED = "FAILED"
    """Of a command that was tracked."""
    UNKNOWN = "UNKNOWN"
    """Of a number by which nothing is tracked."""


NEVER_SAID = frozenset(
    {
        # Defined, and said neither by upsd of NUT 2.8 nor by us: a wrong name or password is ACCESS-DENIED, whichever
        # of them it is.
        "INVALID-USERNAME",
        "INVALID-PASSWORD",
        # Of settings, and no variable can be set here.
        "SET-FAILED",
        "INVALID-VALUE",
        # Encryption needs a certificate, and nothing that may be left out when building.
        "FEATURE-NOT-SUPPORTED",
    }
)


class Refusal(Exception):
    """A request is not answered with what it asks for, but with ERR."""

    def __init__(self, error: Error) -> None:
        """`error` is what the client is told."""
        super().__init__(error.value)
        self.error = error


_WORD = re.compile(
    r"""
    \s*(?:
        "(?P<quoted>(?:[^"\\]|\\.)*)"  # "two words", with \" and \\ in it
      | (?P<plain>(?:[^\s"\\]|\\.)+)  # one
    )
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SPECIAL = re.compile(r'["\\]')
_PLAIN = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)


def decode(line: bytes) -> str:
    """Read a line, without its end. What is no UTF-8 is taken for Latin-1: any bytes are text of some kind."""
    body = line.rstrip(b"\r\n")
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body.decode("latin-1")


def split(line: str) -> list[str]:
    """Take a request apart into its words, quotes and escapes removed.

    Raises Refusal when a quote is not closed or a backslash escapes nothing; upsd says nothing at all then.
    """
    words: list[str] = []
    position, end = 0, len(line.rstrip())
    while position < end:
        found = _WORD.match(line, position)
        if found is None:
            raise Refusal(Error.INVALID_ARGUMENT)
        quoted = found["quoted"]
        words.append(_ESCAPED.sub(r"\1", found["plain"] if quoted is None else quoted))
        position = found.end()
    return words


def quote(text: str) -> str:
    """Put a value into quotes, cut to what clients can read. What would end the line or hide in it becomes a space."""
    text = _CONTROL.sub(" ", text)
    if len(text) > VALUE_LIMIT:
        text = f"{text[: VALUE_LIMIT - 1]}…"
    return '"' + _SPECIAL.sub(r"\\\g<0>", text) + '"'


def word(text: str) -> str:
    """Give back a word of a client's as it may stand in an answer: as it is, or in quotes."""
    return text if _PLAIN.fullmatch(text) else quote(text)


def is_name(text: str) -> bool:
    """Tell whether a variable may be called so."""
    return _PLAIN.fullmatch(text) is not None


__all__ = [
    "LINE_LIMIT",
    "NEVER_SAID",
    "PROTOCOL",
    "VALUE_LIMIT",
    "Error",
    "Refusal",
    "decode",
    "is_name",
    "quote",
    "split",
    "word",
]
