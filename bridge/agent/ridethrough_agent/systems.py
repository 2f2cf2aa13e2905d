"""What differs between Linux, macOS and Windows: folders, commands, and who may write a file."""

from __future__ import annotations

import os
from pathlib import Path
import platform
import stat
import subprocess
import sys

WINDOWS = os.name == "nt"
MACOS = sys.platform == "darwin"


def _windows(name: str, *below: str) -> Path:
    return Path(os.environ.get(name, "C:\\" + name), *below)


def configuration_path() -> Path:
    """Where the configuration is looked for when nobody says where."""
    if WINDOWS:
        return _windows("ProgramData", "Ridethrough Agent", "agent.ini")
    return Path("/etc/ridethrough-agent.ini")


def state_folder() -> Path:
    """Where pairings and votes are kept."""
    if WINDOWS:
        return _windows("ProgramData", "Ridethrough Agent", "state")
    if MACOS:
        return Path("/Library/Application Support/Ridethrough Agent")
    return Path("/var/lib/ridethrough-agent")


def log_path() -> Path:
    """Where the agent's own log is."""
    if WINDOWS:
        return _windows("ProgramData", "Ridethrough Agent", "agent.log")
    if MACOS:
        return Path("/Library/Logs/ridethrough-agent.log")
    return Path("/var/log/ridethrough-agent.log")


def shutdown_command() -> tuple[str, ...]:
    """Choose what brings this system down when the configuration says nothing else."""
    if WINDOWS:
        return (str(_windows("SystemRoot", "System32", "shutdown.exe")), "/s", "/f", "/t", "0")
    for path in ("/usr/sbin/shutdown", "/sbin/shutdown"):
        if Path(path).exists():
            return (path, "-h", "now")
    return ("/sbin/shutdown", "-h", "now")


def environment() -> dict[str, str]:
    """All that a program started by the agent finds in its environment."""
    if WINDOWS:
        kept = ("SystemRoot", "SystemDrive", "windir", "ProgramData", "ComSpec", "TEMP", "TMP")
        return {name: os.environ[name] for name in kept if name in os.environ} | {
            "PATH": str(_windows("SystemRoot", "System32"))
        }
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


def guards(folder: Path) -> list[tuple[str, ...]]:
    """List the commands that let only SYSTEM (S-1-5-18) and administrators (S-1-5-32-544) into a folder of Windows.

    What lies below ProgramData can otherwise be read by every user, keys included, and filled with files of theirs.
    """
    icacls = str(_windows("SystemRoot", "System32", "icacls.exe"))
    allowed = ("*S-1-5-18:(OI)(CI)F", "*S-1-5-32-544:(OI)(CI)F")
    return [
        (icacls, str(folder), "/setowner", "*S-1-5-32-544", "/T", "/Q"),
        (icacls, str(folder), "/reset", "/T", "/Q"),
        (icacls, str(folder), "/inheritance:r", "/grant:r", *allowed, "/Q"),
    ]


def guard_own_folder() -> None:
    """Let nobody but administrators into the agent's folder on Windows; raises OSError or CalledProcessError."""
    if WINDOWS:
        folder = configuration_path().parent
        folder.mkdir(parents=True, exist_ok=True)
        for command in guards(folder):
            subprocess.run(command, check=True)


def description() -> str:
    """Name system and release, as the bridge shows it."""
    return f"{platform.system()} {platform.release()}"[:64]


def foreign_hand(path: Path) -> str | None:
    """Say why people other than its owner could change this file, or nothing if they cannot (POSIX only)."""
    if WINDOWS:
        return None
    real = path.resolve()
    info = real.stat()
    if info.st_uid not in (0, os.geteuid()):
        return f"{real} belongs to another user (uid {info.st_uid})"
    if info.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"{real} is writable by others: chmod go-w {real}"
    for folder in real.parents:
        info = folder.stat()
        # In a folder with the sticky bit, such as /tmp, nobody can replace the files of others.
        if info.st_mode & stat.S_IWOTH and not info.st_mode & stat.S_ISVTX:
            return f"the folder {folder} is writable by everyone: chmod o-w {folder}"
    return None


def program_fault(path: str) -> str | None:
    """Say why the agent does not run this file, or nothing if it does."""
    try:
        if not Path(path).is_absolute():
            return f"{path} is no absolute path"
        if not Path(path).is_file():
            return f"{path} is no file"
        if not os.access(path, os.X_OK):
            return f"{path} is not executable"
        return foreign_hand(Path(path))
    except (OSError, ValueError) as error:
        return f"{path}: {error}"


__all__ = [
    "MACOS",
    "WINDOWS",
    "configuration_path",
    "description",
    "environment",
    "foreign_hand",
    "guard_own_folder",
    "guards",
    "log_path",
    "program_fault",
    "shutdown_command",
    "state_folder",
]
