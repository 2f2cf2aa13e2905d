"""Has the system start the agent: a unit for systemd, a daemon for launchd, a task for Windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
import plistlib
import subprocess
from xml.sax.saxutils import escape

from .systems import MACOS, WINDOWS, configuration_path

UNIT = """\
[Unit]
Description=Ridethrough shutdown agent
After=network-online.target
Wants=network-online.target

[Service]
ExecStart={command}
Restart=always
RestartSec=5
# A program that was started for a bridge outlives a restart of the agent.
KillMode=process
# Ended late when the computer goes down, and with little to spare in memory never first.
OOMScoreAdjust=-500
LockPersonality=yes
UMask=0077
# Nothing of Protect… or Private…: most of it gives the service mounts of its own, in which the programs that it starts
# would unmount file systems to no effect, and ProtectClock keeps them from setting the alarm that starts the computer.

[Install]
WantedBy=multi-user.target
"""

TASK = """\
<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo><Description>Ridethrough shutdown agent</Description></RegistrationInfo>
  <Triggers><BootTrigger><Enabled>true</Enabled></BootTrigger></Triggers>
  <Principals>
    <Principal id="Author"><UserId>S-1-5-18</UserId><RunLevel>HighestAvailable</RunLevel></Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <RestartOnFailure><Interval>PT1M</Interval><Count>999</Count></RestartOnFailure>
  </Settings>
  <Actions Context="Author">
    <Exec><Command>{program}</Command><Arguments>{arguments}</Arguments></Exec>
  </Actions>
</Task>
"""


@dataclass(frozen=True)
class Installation:
    """A file to write, and the commands that make the system take it up."""

    path: Path
    content: bytes
    commands: tuple[tuple[str, ...], ...]

    @property
    def text(self) -> str:
        """The content for people to read."""
        return self.content.decode("utf-16" if self.content[:2] == b"\xff\xfe" else "utf-8")

    def install(self) -> None:
        """Write the file and run the commands; raises OSError or `subprocess.CalledProcessError`."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(self.content)
        for command in self.commands:
            subprocess.run(command, check=True)


def _systemd_word(word: str) -> str:
    """Quote a word of ExecStart (systemd.service(5), "Command lines")."""
    inner = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{inner}"' if inner != word or " " in word or not word else word


def on_linux(command: Sequence[str]) -> Installation:
    """Write a unit for systemd."""
    content = UNIT.format(command=" ".join(_systemd_word(word) for word in command))
    start = (("systemctl", "daemon-reload"), ("systemctl", "enable", "--now", "ridethrough-agent.service"))
    return Installation(Path("/etc/systemd/system/ridethrough-agent.service"), content.encode(), start)


def on_macos(command: Sequence[str]) -> Installation:
    """Write a daemon for launchd."""
    path = Path("/Library/LaunchDaemons/org.ridethrough.agent.plist")
    content = plistlib.dumps(
        {
            "Label": "org.ridethrough.agent",
            "ProgramArguments": list(command),
            "RunAtLoad": True,
            "KeepAlive": True,
            "AbandonProcessGroup": True,
            "Umask": 0o077,
        }
    )
    return Installation(path, content, (("launchctl", "bootstrap", "system", str(path)),))


def on_windows(command: Sequence[str]) -> Installation:
    """Write a task that the scheduler starts with the computer, as SYSTEM, and again when it ends with a failure."""
    path = configuration_path().parent / "task.xml"
    content = TASK.format(program=escape(command[0]), arguments=escape(subprocess.list2cmdline(command[1:])))
    create = ("schtasks", "/Create", "/F", "/TN", "Ridethrough Agent", "/XML", str(path))
    return Installation(
        path, b"\xff\xfe" + content.encode("utf-16-le"), (create, ("schtasks", "/Run", "/TN", "Ridethrough Agent"))
    )


def for_this_system(command: Sequence[str]) -> Installation:
    """Choose by system; `command` starts the agent."""
    if WINDOWS:
        return on_windows(command)
    return on_macos(command) if MACOS else on_linux(command)


__all__ = ["Installation", "for_this_system", "on_linux", "on_macos", "on_windows"]
