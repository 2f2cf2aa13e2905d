"""Real disks for tests: small ones, and full ones."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
import subprocess

import pytest


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a disk of one megabyte; skips the test where that is not permitted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("a small disk needs the program mount")
    if mounted.returncode:
        pytest.skip(f"a small disk needs the right to mount one: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Leave not one byte of the disk free; returns the file to remove for room."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(512)):
            pass
    return filler


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Fill a disk for a while."""
    filler = fill(folder)
    try:
        yield
    finally:
        filler.unlink(missing_ok=True)
