"""What survives a restart: plain JSON, read back without trust, since a file may be of another version or damaged."""

from collections.abc import Mapping
from math import isfinite

type JSON = None | bool | int | float | str | list[JSON] | dict[str, JSON]


def number(saved: Mapping[str, JSON], key: str) -> float | None:
    """Return a finite number that was saved; None for anything else."""
    value = saved.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return None
    return float(value)


def flag(saved: Mapping[str, JSON], key: str) -> bool:
    """Whether it was saved as true."""
    return saved.get(key) is True


def text(saved: Mapping[str, JSON], key: str) -> str | None:
    """Return a text that was saved."""
    value = saved.get(key)
    return value if isinstance(value, str) else None


def section(saved: Mapping[str, JSON], key: str) -> Mapping[str, JSON]:
    """Return what was saved below a key; nothing if there is no such thing."""
    value = saved.get(key)
    return value if isinstance(value, dict) else {}


def numbered(saved: Mapping[str, JSON], key: str, last: int) -> dict[int, Mapping[str, JSON]]:
    """Return what was saved below a key by number, for the numbers 0 to `last`."""
    return {
        int(name): value
        for name, value in section(saved, key).items()
        if name.isascii() and name.isdigit() and int(name) <= last and isinstance(value, dict)
    }


__all__ = ["JSON", "flag", "number", "numbered", "section", "text"]
