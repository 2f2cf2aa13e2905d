r"""The questions of the Megatec family and how their answers are cut up: rows, no code.

An answer is `(` or `#`, then words separated by blanks (or, for I and FW?, columns of fixed width), then a carriage
return. Numbers are words rather than columns here because devices differ in how many digits they send.
Sources: Megatec protocol 1995; NUT nutdrv_qx.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
import re


@dataclass(frozen=True, slots=True)
class Number:
    """A word of the answer that is a number."""

    point: str
    """Key of the catalogue's point."""
    word: int
    low: float
    high: float
    """The plausible range; a number beyond it is noise on the line and is dropped."""
    scale: float = 1.0
    """What the number is multiplied by to give the catalogue's unit."""
    zero: bool = True
    """Whether 0 is a value; a rating of 0 means that the device does not know it."""
    values: Mapping[str, float] | None = None
    """What its words stand for, where they are no numbers."""


@dataclass(frozen=True, slots=True)
class Text:
    """Columns of the answer that are text, counted from the start character (column 0), or a word of it."""

    name: str
    """manufacturer, model, serial, firmware or protocol: what the device is; or the key of a point."""
    start: int = 0
    end: int = 0
    word: int | None = None


@dataclass(frozen=True, slots=True)
class Yes:
    """A condition, or a point that is yes or no, that a word of letters or digits tells."""

    key: str
    word: int
    yes: str
    """Any of these characters means yes."""
    no: str = ""
    """Any of these means no; empty: all the others do."""
    at: int | None = None
    """The one character that counts; None: one of them is enough."""
    point: bool = False
    """Whether it is a point."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A point that is yes when its letter stands in the first word, no when in the second, not there otherwise."""

    point: str
    letter: str


@dataclass(frozen=True, slots=True)
class Name:
    """A word that stands for a text."""

    point: str
    word: int
    names: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the status bits stand in their word; None for one that the device does not tell."""

    utility_fail: int | None = 0
    battery_low: int | None = 1
    bypass_or_boost: int | None = 2
    failed: int | None = 3
    testing: int | None = 5
    shutting_down: int | None = 6
    beeper: int | None = 7
    beeper_off: bool = False
    """Whether the beeper's bit means that it is off."""
    kind: slice = slice(4, 5)
    """The bits that tell how the UPS is built."""
    kinds: Mapping[str, str] = field(default_factory=lambda: {"0": "online", "1": "line-interactive"})


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """One question and the shape of its answer."""

    command: str
    start: str
    """The first character of the answer."""
    shape: re.Pattern[str]
    """What the rest of the answer looks like; no answer of another question does."""
    numbers: tuple[Number, ...] = ()
    texts: tuple[Text, ...] = ()
    bits: int | None = None
    """The word with the status bits."""
    layout: Layout = Layout()
    yes: tuple[Yes, ...] = ()
    listed: tuple[Listed, ...] = ()
    names: tuple[Name, ...] = ()
    hexadecimal: bool = False
    """Whether the words are bytes, as Voltronic's QS-hex has them; see `binary`."""
    outlet: str | None = None
    """The number of the outlet that it is about."""
    after: str | None = None
    """It is asked only when the device has answered this one."""

    @property
    def request(self) -> bytes:
        """The bytes that ask it."""
        return f"{self.command}\r".encode("ascii")


# A number, or what devices send in its place when they do not measure it: `---.-`, `@@.@`, `***.*`.
_WORD = r"[-+\d.@*?#xX]{1,8}"
_BITS = r"[01@-]{8}"


def _words(*words: str) -> re.Pattern[str]:
    return re.compile(r"\s*" + r"\s+".join(words) + r"\s*")


_STATUS_SHAPE = _words(*[_WORD] * 7, _BITS)

# > Q1\r
# < (226.0 195.0 226.0 014 49.0 27.5 30.0 00001000\r
#    0     1     2     3   4    5    6    7
_STATUS = (
    Number("input.voltage", word=0, low=0, high=999.9),
    Number("input.voltage.fault", word=1, low=0, high=999.9),
    Number("output.voltage", word=2, low=0, high=999.9),
    Number("ups.load", word=3, low=0, high=300),
    Number("input.frequency", word=4, low=0, high=450),
    Number("battery.voltage", word=5, low=0, high=1000),
    Number("ups.temperature", word=6, low=-40, high=120),
)

Q1 = Query("Q1", "(", _STATUS_SHAPE, _STATUS, bits=7)
# The same answer to another question: Mustek.
QS = Query("QS", "(", _STATUS_SHAPE, _STATUS, bits=7)
# The same answer to another question: old Megatec.
D = Query("D", "(", _STATUS_SHAPE, _STATUS, bits=7)

# > F\r
# < #220.0 000 024.0 50.0\r
#    0     1   2     3
F = Query(
    "F",
    "#",
    _words(*[_WORD] * 4),
    (
        Number("input.voltage.nominal", word=0, low=0, high=999.9, zero=False),
        Number("input.current.nominal", word=1, low=0, high=9999, zero=False),
        Number("battery.voltage.nominal", word=2, low=0, high=1000, zero=False),
        Number("input.frequency.nominal", word=3, low=0, high=450, zero=False),
    ),
)

# > I\r
# < #-------------   ------     VT12046Q  \r
#   01234567890123456789012345678901234567
#   0         1         2         3
_IDENTITY_SHAPE = re.compile(r"(?!\s*[\d.]+\s+[\d.]+\s+[\d.]+\s+[\d.]+\s*$)[ -~]{27,47}")
_IDENTITY = (
    Text("manufacturer", start=1, end=16),
    Text("model", start=17, end=27),
    Text("firmware", start=28, end=38),
)
I = Query("I", "#", _IDENTITY_SHAPE, texts=_IDENTITY)  # noqa: E741  the protocol's own name
# The same answer to another question: Zinto.
FW = Query("FW?", "#", _IDENTITY_SHAPE, texts=_IDENTITY)

# > QPI\r
# < (PI98\r
QPI = Query("QPI", "(", re.compile(r"(PI\d\d)"), texts=(Text("protocol", word=0),))

# > M\r
# < V\r
M = Query("M", "", re.compile("([A-Z])"), texts=(Text("protocol", word=0),))

# > Q2\r
# < (226.6 224.3 228.0 226.6 229.9 000.0 000.0 000 000 000 49.9 327.6 18.0 00000000 999.24 100 02 00 … 00000000 11\r
#    0     1     2     3     4     5     6     7   8   9   10   11    12   13       14     15  16 17    21      22
Q2 = Query(
    "Q2",
    "(",
    _words(*[_WORD] * 13, _BITS, *[_WORD] * 9),
    (
        Number("input.L1.voltage", word=0, low=0, high=999.9),
        Number("input.L2.voltage", word=1, low=0, high=999.9),
        Number("input.L3.voltage", word=2, low=0, high=999.9),
        Number("output.L1.voltage", word=4, low=0, high=999.9),
        Number("output.L2.voltage", word=5, low=0, high=999.9),
        Number("output.L3.voltage", word=6, low=0, high=999.9),
        Number("output.L1.power.percent", word=7, low=0, high=300),
        Number("output.L2.power.percent", word=8, low=0, high=300),
        Number("output.L3.power.percent", word=9, low=0, high=300),
        Number("battery.charge", word=15, low=0, high=100),
    ),
)

# > WA\r
# < (001.4 000.0 000.0 001.4 000.0 000.0 001.4 001.4 006.5 000.0 000.0 007 00000000\r
#    0     1     2     3     4     5     6     7     8     9     10    11  12
WA = Query(
    "WA",
    "(",
    _words(*[_WORD] * 12, _BITS),
    (
        Number("output.L1.realpower", word=0, low=0, high=9999, scale=1000),
        Number("output.L2.realpower", word=1, low=0, high=9999, scale=1000),
        Number("output.L3.realpower", word=2, low=0, high=9999, scale=1000),
        Number("output.L1.power", word=3, low=0, high=9999, scale=1000),
        Number("output.L2.power", word=4, low=0, high=9999, scale=1000),
        Number("output.L3.power", word=5, low=0, high=9999, scale=1000),
        Number("ups.realpower", word=6, low=0, high=9999, scale=1000),
        Number("ups.power", word=7, low=0, high=9999, scale=1000),
        Number("output.L1.current", word=8, low=0, high=9999),
        Number("output.L2.current", word=9, low=0, high=9999),
        Number("output.L3.current", word=10, low=0, high=9999),
    ),
)

__all__ = [
    "FW",
    "Q1",
    "Q2",
    "QPI",
    "QS",
    "WA",
    "D",
    "F",
    "I",
    "Layout",
    "Listed",
    "M",
    "Name",
    "Number",
    "Query",
    "Text",
    "Yes",
]
