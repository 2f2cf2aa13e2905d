"""What the agent has counted, and where that can be read (RFC 3418 §2, RFC 3412 §5, RFC 3413, RFC 3414 §5)."""

from collections.abc import Callable, Mapping

from .ber import Oid, Tag, integer
from .instances import Encoded
from .orders import oid_of

IN_PACKETS, OUT_PACKETS = "snmpInPkts", "snmpOutPkts"
BAD_VERSIONS, BAD_NAMES, BAD_USES = "snmpInBadVersions", "snmpInBadCommunityNames", "snmpInBadCommunityUses"
ASN_ERRORS, SILENT_DROPS = "snmpInASNParseErrs", "snmpSilentDrops"
READ, WRITTEN = "snmpInTotalReqVars", "snmpInTotalSetVars"
GETS, NEXTS, SETS, RESPONSES = "snmpInGetRequests", "snmpInGetNexts", "snmpInSetRequests", "snmpInGetResponses"
TOO_BIGS, NO_SUCH_NAMES, BAD_VALUES, GEN_ERRORS = (
    "snmpOutTooBigs",
    "snmpOutNoSuchNames",
    "snmpOutBadValues",
    "snmpOutGenErrs",
)
ANSWERS = "snmpOutGetResponses"
BAD_MODELS, INVALID, NO_HANDLER = "snmpUnknownSecurityModels", "snmpInvalidMsgs", "snmpUnknownPDUHandlers"
NO_CONTEXT = "snmpUnknownContexts"
NO_LEVEL, NOT_IN_TIME, NO_USER, NO_ENGINE, WRONG_DIGESTS, UNDECIPHERED = (
    "usmStatsUnsupportedSecLevels",
    "usmStatsNotInTimeWindows",
    "usmStatsUnknownUserNames",
    "usmStatsUnknownEngineIDs",
    "usmStatsWrongDigests",
    "usmStatsDecryptionErrors",
)

NAMES: Mapping[str, Oid] = {
    counter: oid_of(f"{oid}.0")
    for counter, oid in {
        IN_PACKETS: "1.3.6.1.2.1.11.1",
        OUT_PACKETS: "1.3.6.1.2.1.11.2",
        BAD_VERSIONS: "1.3.6.1.2.1.11.3",
        BAD_NAMES: "1.3.6.1.2.1.11.4",
        BAD_USES: "1.3.6.1.2.1.11.5",
        ASN_ERRORS: "1.3.6.1.2.1.11.6",
        READ: "1.3.6.1.2.1.11.13",
        WRITTEN: "1.3.6.1.2.1.11.14",
        GETS: "1.3.6.1.2.1.11.15",
        NEXTS: "1.3.6.1.2.1.11.16",
        SETS: "1.3.6.1.2.1.11.17",
        RESPONSES: "1.3.6.1.2.1.11.18",
        TOO_BIGS: "1.3.6.1.2.1.11.20",
        NO_SUCH_NAMES: "1.3.6.1.2.1.11.21",
        BAD_VALUES: "1.3.6.1.2.1.11.22",
        GEN_ERRORS: "1.3.6.1.2.1.11.24",
        ANSWERS: "1.3.6.1.2.1.11.28",
        SILENT_DROPS: "1.3.6.1.2.1.11.31",
        "snmpProxyDrops": "1.3.6.1.2.1.11.32",
        BAD_MODELS: "1.3.6.1.6.3.11.2.1.1",
        INVALID: "1.3.6.1.6.3.11.2.1.2",
        NO_HANDLER: "1.3.6.1.6.3.11.2.1.3",
        "snmpUnavailableContexts": "1.3.6.1.6.3.12.1.4",
        NO_CONTEXT: "1.3.6.1.6.3.12.1.5",
        NO_LEVEL: "1.3.6.1.6.3.15.1.1.1",
        NOT_IN_TIME: "1.3.6.1.6.3.15.1.1.2",
        NO_USER: "1.3.6.1.6.3.15.1.1.3",
        NO_ENGINE: "1.3.6.1.6.3.15.1.1.4",
        WRONG_DIGESTS: "1.3.6.1.6.3.15.1.1.5",
        UNDECIPHERED: "1.3.6.1.6.3.15.1.1.6",
    }.items()
}


class Counters:
    """Counts by the names that the MIBs have for it, in 32 bits."""

    def __init__(self) -> None:
        """Nothing has happened."""
        self._counts = dict.fromkeys(NAMES, 0)

    def __getitem__(self, counter: str) -> int:
        """Return how often it was."""
        return self._counts[counter]

    def add(self, counter: str, by: int = 1) -> None:
        """Count."""
        self._counts[counter] = (self._counts[counter] + by) & 0xFFFFFFFF

    def instances(self) -> Mapping[Oid, Encoded]:
        """Give what can be read of it."""

        def value(counter: str) -> Callable[[], bytes]:
            return lambda: integer(self._counts[counter], Tag.COUNTER)

        return {oid: value(counter) for counter, oid in NAMES.items()}


__all__ = [
    "ANSWERS",
    "ASN_ERRORS",
    "BAD_MODELS",
    "BAD_NAMES",
    "BAD_USES",
    "BAD_VALUES",
    "BAD_VERSIONS",
    "GEN_ERRORS",
    "GETS",
    "INVALID",
    "IN_PACKETS",
    "NAMES",
    "NEXTS",
    "NOT_IN_TIME",
    "NO_CONTEXT",
    "NO_ENGINE",
    "NO_HANDLER",
    "NO_LEVEL",
    "NO_SUCH_NAMES",
    "NO_USER",
    "OUT_PACKETS",
    "READ",
    "RESPONSES",
    "SETS",
    "SILENT_DROPS",
    "TOO_BIGS",
    "UNDECIPHERED",
    "WRITTEN",
    "WRONG_DIGESTS",
    "Counters",
]
