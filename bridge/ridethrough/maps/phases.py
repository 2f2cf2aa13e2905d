"""What a value of one phase is called where there is only one: maps print L1 to L3 for every UPS."""

from collections.abc import Mapping
import re

from ridethrough.catalogue import Catalogue

PHASE = re.compile(r"(?<=\.)L([123])(?:-N|-L[123])?\.")
"""A phase within a point's key, also one that is measured against the neutral or another phase."""
_PLAIN: Mapping[str, str] = {
    "output.L1.power.percent": "ups.load",
    "output.L1.load": "ups.load",
    "ups.L1.load": "ups.load",
}
"""What a value of the only phase is called where leaving the phase out would not give the usual name."""


def plain_key(kind: str, key: str, catalogue: Catalogue) -> str | None:
    """Name a value of the only phase as one-phase devices do; None for those of phases that it does not have."""
    found = PHASE.search(key)
    if found is None:
        return key
    if not found[0].startswith(("L1.", "L1-N.")):
        return None
    plain = _PLAIN.get(key) or key[: found.start()] + key[found.end() :]
    return key if catalogue.point(kind, plain) is None else plain


def siblings(key: str) -> tuple[str, ...]:
    """Name what a device of several phases would have beside a value of one of them, also how many they are.

    Empty for a value that is not that of a phase.
    """
    found = PHASE.search(key)
    if found is None:
        return ()
    head, tail = key[: found.start()], key[found.end() :]
    return (*(f"{head}{line}.{tail}" for line in ("L2", "L2-N", "L3", "L3-N")), f"{head}phases")


def wordings(kind: str, key: str, catalogue: Catalogue) -> tuple[str, ...]:
    """Name the points that a map may mean by a key, the one to be preferred first.

    A value of a phase may have been measured against the neutral, or be that of the only phase.
    """
    found = PHASE.search(key)
    if found is None:
        return (key,)
    phase = f"L{found[1]}"
    neutral = f"{key[: found.start()]}{phase}-N.{key[found.end() :]}"
    names = (key, neutral if found[0] == f"{phase}." else key, plain_key(kind, key, catalogue))
    return tuple(dict.fromkeys(name for name in names if name is not None and catalogue.point(kind, name) is not None))


__all__ = ["PHASE", "plain_key", "siblings", "wordings"]
