"""Which start of the computer this is: what was to happen before the last one must not happen after it."""

from __future__ import annotations

from pathlib import Path
import platform
import subprocess
import time

_SLACK = 300.0
"""Seconds by which a start that is only known by its time may seem to move when the wall clock is set."""


def boot_identity() -> str:
    """Return a text that stays the same until the computer, or the container, starts again."""
    try:
        if platform.system() == "Linux":
            kernel = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
            # A container has its host's boot_id, but a first process of its own: field 22 is when it began.
            first = Path("/proc/1/stat").read_text("utf-8").rpartition(")")[2].split()[19]
            return f"{kernel} {first}"
        if platform.system() == "Darwin":
            call = ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"]
            found = subprocess.run(call, capture_output=True, text=True, timeout=5, check=True)
            return found.stdout.strip()
    except (OSError, IndexError, ValueError, subprocess.SubprocessError):
        pass
    return f"at {time.time() - time.monotonic():.0f}"


def same_boot(one: str, other: str) -> bool:
    """Tell whether two identities mean the same start. In doubt they do not: whoever wants a shutdown says so again."""
    if one.startswith("at ") and other.startswith("at "):
        try:
            return abs(float(one[3:]) - float(other[3:])) < _SLACK
        except ValueError:
            return False
    return one == other


__all__ = ["boot_identity", "same_boot"]
