"""The dialects of the Megatec family: rows, in the order in which they are tried."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
import re

from .commands import COMMANDS
from .table import FW, Q1, Q2, QPI_MECER, QS, WA, D, F, I, Query


class Consent(Enum):
    """What a dialect says to a command that it carries out. Refusals are the same everywhere: (NAK, or an echo."""

    SILENCE = "silence"
    ACKNOWLEDGED = "(ACK"


@dataclass(frozen=True, slots=True)
class Dialect:
    """One way of speaking Megatec."""

    name: str
    claims: tuple[Query, ...]
    """A device that answers all of these speaks the dialect."""
    status: Query
    """Asked all the time."""
    details: tuple[Query, ...] = ()
    """Asked at the start and now and then."""
    measurements: tuple[Query, ...] = ()
    """Asked in turn, one after each status poll."""
    consent: Consent = Consent.SILENCE
    commands: frozenset[str] = frozenset(COMMANDS)
    """Those of the catalogue that it understands."""


_VOLTRONIC_QS = frozenset(COMMANDS) - {"test.battery.start", "test.battery.start.deep", "test.battery.stop"}

# Q1 comes first: nearly all answer it. What only asks more of a device that answers Q1 follows, most telling first.
DIALECTS = (
    Dialect("mecer", claims=(Q1, QPI_MECER), status=Q1, details=(F, I), consent=Consent.ACKNOWLEDGED),
    Dialect("megatec", claims=(Q1, I), status=Q1, details=(F, I)),
    Dialect("zinto", claims=(Q1, FW), status=Q1, details=(F, FW)),
    Dialect("q2", claims=(Q1, Q2), status=Q1, measurements=(Q2, WA)),
    Dialect("q1", claims=(Q1,), status=Q1),
    Dialect("mustek", claims=(QS, I), status=QS, details=(F, I)),
    Dialect("voltronic_qs", claims=(QS, F), status=QS, details=(F,), commands=_VOLTRONIC_QS),
    Dialect("megatec_old", claims=(D, I), status=D, details=(F, I)),
)

BY_NAME: Mapping[str, Dialect] = {dialect.name: dialect for dialect in DIALECTS}

# How dialects that this link does not speak give themselves away: what was asked, what the answer looks like.
FOREIGN = (
    ("Voltronic", "QPI", re.compile(rb"\(PI(?!98)\d\d")),
    ("Voltronic QS-hex", "QS", re.compile(rb"#.*[^ -~].*", re.DOTALL)),
)

# What an unknown command may come back as, apart from itself.
REFUSALS = (b"(NAK", b"NAK")
CONSENTS = (b"(ACK", b"ACK")

__all__ = ["BY_NAME", "CONSENTS", "DIALECTS", "FOREIGN", "REFUSALS", "Consent", "Dialect"]
