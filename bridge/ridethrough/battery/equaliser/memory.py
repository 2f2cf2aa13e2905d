"""What equalising remembers over a restart: a pause, what it learnt of blocks, what it gave up.

What was remembered may be of other strings, of another version or broken: then it is as if nothing had been remembered.
"""

from collections.abc import Mapping, Sequence
import math

from .workings import Workings


def number_of(value: object, lowest: float = 0.0, highest: float = math.inf) -> float | None:
    """Return a remembered number within bounds, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not lowest <= value <= highest:
        return None
    return float(value)


def dump(strings: Sequence[Workings]) -> list[dict[str, object]]:
    """Return what is worth remembering of strings, as JSON has it."""
    return [
        {
            "blocks": len(workings.members),
            "integral": [round(share, 3) for share in workings.regulator.integral],
            "best": workings.effect.best,
            "futile": round(workings.effect.futile),
            "culprits": sorted(workings.effect.culprits),
        }
        for workings in strings
    ]


def load(strings: Sequence[Workings], saved: object) -> None:
    """Give strings what was remembered of them; those that have another number of blocks now begin anew."""
    if not isinstance(saved, list):
        return
    for workings, row in zip(strings, saved, strict=False):
        blocks = len(workings.members)
        if not isinstance(row, Mapping) or row.get("blocks") != blocks:
            continue
        integral = row.get("integral")
        if isinstance(integral, list) and len(integral) == blocks:
            workings.regulator.integral = [number_of(share, 0.0, 1.0) or 0.0 for share in integral]
        workings.effect.best = number_of(row.get("best"))
        workings.effect.futile = number_of(row.get("futile")) or 0.0
        culprits = row.get("culprits")
        if isinstance(culprits, list):
            workings.effect.culprits = frozenset(i for i in culprits if type(i) is int and 0 <= i < blocks)


__all__ = ["dump", "load", "number_of"]
