"""The dialects of the Megatec family: rows, in the order in which they are tried."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
import re

from . import voltronic as v
from .commands import COMMANDS, OUTLETS, VOLTRONIC, CommandRow
from .table import FW, Q1, Q2, QPI, QS, WA, D, F, I, M, Query


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
    commands: Mapping[str, CommandRow] = field(default_factory=lambda: COMMANDS)
    """Those of the catalogue that it understands."""
    outlet_commands: Mapping[str, CommandRow] = field(default_factory=dict)
    """The same for its outlets."""
    protocol: str | None = None
    """What a device says of its protocol that speaks it, as a regular expression."""


_SHORT = {key: row for key, row in COMMANDS.items() if not key.startswith("test.") or key.endswith("quick")}
_UNTESTED = {key: row for key, row in COMMANDS.items() if not key.startswith("test.")}

_VOLTRONIC_DETAILS = (
    # What Voltronic's own questions tell better comes after the old ones.
    *(F, I, v.QMD, v.QMF, v.QVFW, v.QID, v.QRI),
    *(v.QFLAG, v.QHE, v.QBYV, v.QFRE, v.RE0, v.QBT, v.QLDL, *v.OUTLET_DELAYS),
)
_VOLTRONIC_MEASUREMENTS = (
    *(v.QBV, v.QWS, v.QMOD, *v.OUTLETS),
    *(v.Q3PV, v.Q3PC, v.Q3OV, v.Q3OC, v.Q3LD, v.Q3YV),
)

# None of them has a clock that could be set.
# Q1 comes first: nearly all answer it. What only asks more of a device that answers Q1 follows, most telling first.
DIALECTS = (
    Dialect("mecer", claims=(Q1, QPI), status=Q1, details=(F, I), consent=Consent.ACKNOWLEDGED, protocol="PI98"),
    Dialect(
        "voltronic",
        claims=(QPI, v.QGS),
        status=v.QGS,
        details=_VOLTRONIC_DETAILS,
        measurements=_VOLTRONIC_MEASUREMENTS,
        consent=Consent.ACKNOWLEDGED,
        commands=VOLTRONIC,
        outlet_commands=OUTLETS,
        protocol="PI(0[012389]|1[034]|31|71|99)",
    ),
    Dialect("megatec", claims=(Q1, I), status=Q1, details=(F, I)),
    Dialect("zinto", claims=(Q1, FW), status=Q1, details=(F, FW)),
    Dialect("q2", claims=(Q1, Q2), status=Q1, measurements=(Q2, WA)),
    Dialect("q1", claims=(Q1,), status=Q1),
    Dialect("mustek", claims=(QS, I), status=QS, details=(F, I)),
    Dialect(
        "voltronic_qs",
        claims=(v.QS_VOLTRONIC, M),
        status=v.QS_VOLTRONIC,
        details=(v.F_VOLTRONIC,),
        measurements=(v.QI,),
        commands=_SHORT,
        protocol="[VH]",
    ),
    Dialect("qs", claims=(QS, F), status=QS, details=(F,), commands=_SHORT),
    Dialect("voltronic_qs_hex", claims=(v.QS_HEX, M), status=v.QS_HEX, commands=_UNTESTED, protocol="P"),
    Dialect("voltronic_qs_hex_t", claims=(v.QS_HEX, M), status=v.QS_HEX, commands=_SHORT, protocol="T"),
    Dialect("megatec_old", claims=(D, I), status=D, details=(F, I)),
)

BY_NAME: Mapping[str, Dialect] = {dialect.name: dialect for dialect in DIALECTS}

# How dialects that this link does not speak give themselves away: what was asked, what the answer looks like.
FOREIGN = (("a protocol of Voltronic that is not for UPSes", "QPI", re.compile(rb"\(PI(?!98)\d\d")),)

# What an unknown command may come back as, apart from itself.
REFUSALS = (b"(NAK", b"NAK")
CURT_REFUSAL = b"N"
"""A whole line; of Voltronic's QS."""
CONSENTS = (b"(ACK", b"ACK")

__all__ = ["BY_NAME", "CONSENTS", "CURT_REFUSAL", "DIALECTS", "FOREIGN", "REFUSALS", "Consent", "Dialect"]
