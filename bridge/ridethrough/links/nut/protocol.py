"""The line protocol of upsd: words and quotes, lists, errors. Pure; see NUT docs/net-protocol.txt and RFC 9271."""

from collections.abc import Sequence
import re

LINE_LIMIT = 8192
"""Bytes in a line; upsd itself never sends more than 1,024."""
ROW_LIMIT = 4096
"""Rows in a list; the largest recorded device has some 250."""

ERRORS: dict[str, str] = {
    # What upsd may answer, and what to do about it.
    "ACCESS-DENIED": "upsd denies access: check the user name and the password, and what upsd.users grants that user",
    "UNKNOWN-UPS": "upsd knows no UPS of that name: see ups.conf",
    "VAR-NOT-SUPPORTED": "the UPS has no such variable",
    "CMD-NOT-SUPPORTED": "the UPS has no such command",
    "INVALID-ARGUMENT": "the request, or an argument in it, is not permitted",
    "INSTCMD-FAILED": "upsd could not hand the command to the driver",
    "SET-FAILED": "upsd could not hand the setting to the driver",
    "READONLY": "the variable cannot be set",
    "TOO-LONG": "the value is too long",
    "INVALID-VALUE": "the value is not permitted",
    "FEATURE-NOT-SUPPORTED": "this upsd was built without that feature",
    "FEATURE-NOT-CONFIGURED": "upsd is not configured for that: see upsd.conf",
    "ALREADY-SSL-MODE": "the connection is encrypted already",
    "DRIVER-NOT-CONNECTED": "upsd answers, but the driver of the UPS does not run: start it with upsdrvctl",
    "DATA-STALE": "upsd answers, but the driver has had no news from the UPS: check its cable and the driver's log",
    "ALREADY-LOGGED-IN": "the connection is logged in already",
    "INVALID-PASSWORD": "upsd does not accept this password",
    "ALREADY-SET-PASSWORD": "the connection has a password already",
    "INVALID-USERNAME": "upsd does not accept this user name",
    "ALREADY-SET-USERNAME": "the connection has a user name already",
    "USERNAME-REQUIRED": "upsd wants a user name: put username: and password: under the UPS",
    "PASSWORD-REQUIRED": "upsd wants a password: put username: and password: under the UPS",
    "UNKNOWN-COMMAND": "this upsd is too old for the request",
    # Of a command that was tracked.
    "FAILED": "the driver has failed to do it",
    "UNKNOWN": "the driver does not know it, or does not tell why it failed",
}


class MalformedError(Exception):
    """The other end does not keep to the protocol; it may not be an upsd at all."""


class UpsdError(Exception):
    """Upsd has answered ERR. `code` is its word for it, the message a sentence that says what to do."""

    def __init__(self, code: str) -> None:
        """Any word will do; one that is not in ERRORS is shown as it is."""
        super().__init__(f"{ERRORS.get(code, 'upsd refuses')} ({code})")
        self.code = code


_WORD = re.compile(
    r"""
    \s*(?:
        "(?P<quoted>(?:[^"\\]|\\.)*)"  # "two words", with \" and \\ in it
      | (?P<plain>(?:[^\s"\\]|\\.)+)  # one
    )(?:\s+|\Z)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def decode(line: bytes) -> str:
    """Read a line, without its end. Some devices put Latin-1 into their names, so bytes that are no UTF-8 are that."""
    body = line.rstrip(b"\r\n")
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body.decode("latin-1")


def split(line: str) -> list[str]:
    """Take a line apart into its words, quotes and escapes removed. Raises MalformedError."""
    words: list[str] = []
    position = 0
    while position < len(line):
        found = _WORD.match(line, position)
        if found is None:
            if not line[position:].strip():
                break
            raise MalformedError(f"a word is broken: {line[position : position + 40]!r}")
        quoted = found["quoted"]
        words.append(_ESCAPED.sub(r"\1", found["plain"] if quoted is None else quoted))
        position = found.end()
    return words


def quote(word: str) -> str:
    """Put a word into quotes. Raises ValueError when it holds a control character: a line end would be a new request."""
    if _CONTROL.search(word):
        raise ValueError("Nothing that is sent to upsd may contain control characters.")
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def request(*words: str) -> bytes:
    """Make a request: the protocol's own words as they are, everything else in quotes.

    Raises ValueError as `quote` does, or when the request is longer than upsd reads.
    """
    line = " ".join(word if _PLAIN.fullmatch(word) else quote(word) for word in words).encode() + b"\n"
    if len(line) > 512:
        raise ValueError("The request is longer than upsd accepts (512 bytes).")
    return line


_PLAIN = re.compile(r"[A-Za-z0-9._-]+")


def answer(line: str) -> list[str]:
    """Split an answer. Raises UpsdError for ERR, MalformedError for nothing at all."""
    words = split(line)
    if not words:
        raise MalformedError("an empty line")
    if words[0] == "ERR":
        raise UpsdError(words[1] if len(words) > 1 else "UNKNOWN")
    return words


class ListAnswer:
    """Collects the answer to LIST, line by line. `query` is what was asked, e.g. `("VAR", "ups1")`."""

    def __init__(self, query: Sequence[str]) -> None:
        """Expect BEGIN LIST with the same query next."""
        self._query = list(query)
        self._begun = False
        self.rows: list[list[str]] = []
        """The words of each row after those of the query."""
        self.malformed = 0
        """Rows left out because they could not be read, or belong to something else."""

    def feed(self, line: str) -> bool:
        """Take the next line; True when the list is complete.

        Raises UpsdError when there is no list, MalformedError when the lines are of another list or far too many.
        """
        if not self._begun:
            self._expect("BEGIN", answer(line))
            self._begun = True
            return False
        try:
            words = split(line)
        except MalformedError:
            words = []
        if words[:2] == ["END", "LIST"]:
            self._expect("END", words)
            return True
        if words[:1] == ["ERR"]:
            # The driver went away while upsd was listing.
            raise UpsdError(words[1] if len(words) > 1 else "UNKNOWN")
        if len(self.rows) + self.malformed >= ROW_LIMIT:
            raise MalformedError(f"a list of more than {ROW_LIMIT} rows")
        if words[: len(self._query)] == self._query and len(words) > len(self._query):
            self.rows.append(words[len(self._query) :])
        else:
            self.malformed += 1
        return False

    def _expect(self, mark: str, words: list[str]) -> None:
        if words != [mark, "LIST", *self._query]:
            raise MalformedError(f"{' '.join(words)[:60]!r} where {mark} LIST {' '.join(self._query)} is due")


def entries(answered: ListAnswer) -> tuple[dict[str, str], int]:
    """Make names and values of a list of variables, and say how many rows were none."""
    good = [(row[0], row[1]) for row in answered.rows if len(row) == 2]
    return dict(good), answered.malformed + len(answered.rows) - len(good)


__all__ = [
    "ERRORS",
    "LINE_LIMIT",
    "ROW_LIMIT",
    "ListAnswer",
    "MalformedError",
    "UpsdError",
    "answer",
    "decode",
    "entries",
    "quote",
    "request",
    "split",
]
