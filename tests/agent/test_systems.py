"""What is said to systems that are not this one: how commands are built, since they cannot be run here."""

import atexit
from collections.abc import Iterator
import logging
import os
from pathlib import Path
import re
import socket
import threading

import pytest

from ridethrough_agent import logs, notices, systems
from ridethrough_agent.configuration import Configuration
from ridethrough_agent.logs import LOGGER, WAITING, Aside, OneLine
from ridethrough_agent.notices import Way, ways

EVIL = '" & <b>do shell script "reboot"</b> %PATH% $(reboot)'


def test_macos_is_given_the_text_as_an_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "MACOS", True)
    screen, terminals = ways(EVIL)
    assert screen.command[0] == "/bin/launchctl"
    assert screen.command[-1] == EVIL
    assert not any(EVIL in part for part in screen.command[:-1])
    # Where a program stops looking for options: the text may begin like one.
    assert not screen.command[-2].startswith("-")
    assert screen.command[-3:-1] == ("end run", "UPS")
    assert terminals == Way(("/usr/bin/wall",), f"UPS: {EVIL}")


def test_windows_is_given_one_argument_that_is_no_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "WINDOWS", True)
    monkeypatch.setattr(notices, "_find", lambda program: f"C:\\Windows\\System32\\{program}")
    (way,) = ways("/SERVER:elsewhere")
    assert way.command == ("C:\\Windows\\System32\\msg.exe", "*", "/TIME:3600", "UPS: /SERVER:elsewhere")
    # The Home editions have no msg.exe.
    monkeypatch.setattr(notices, "_find", lambda program: None)
    assert ways("hello") == []


def test_screens_get_no_markup_and_no_options(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "1000").mkdir()
    (tmp_path / "1000" / "bus").touch()
    monkeypatch.setattr(notices, "_find", lambda program: f"/usr/bin/{program}")
    monkeypatch.setattr(notices, "BUSES", tmp_path)
    terminals, screen = ways("--help <b>now</b>")
    assert terminals == Way(("/usr/bin/wall",), "UPS: --help <b>now</b>")
    assert screen.command[-3:] == ("--", "UPS", "--help &lt;b&gt;now&lt;/b&gt;")
    assert screen.user == ((tmp_path / "1000").stat().st_uid, (tmp_path / "1000").stat().st_gid)
    assert dict(screen.extra)["DBUS_SESSION_BUS_ADDRESS"] == f"unix:path={tmp_path}/1000/bus"


def test_configured_command_takes_the_place_of_all() -> None:
    assert ways("hello", ("/usr/local/bin/show", "--big")) == [Way(("/usr/local/bin/show", "--big"), "hello")]


@pytest.mark.parametrize("system", ["WINDOWS", "MACOS", None])
def test_each_system_has_its_places(monkeypatch: pytest.MonkeyPatch, system: str | None) -> None:
    if system is not None:
        monkeypatch.setattr(systems, system, True)
    found = {systems.configuration_path(), systems.state_folder(), systems.log_path()}
    assert len(found) == 3
    command = systems.shutdown_command()
    assert "shutdown" in command[0]
    assert len(command) > 1
    assert "PATH" in systems.environment()
    if system == "WINDOWS":
        assert systems.foreign_hand(Path("C:\\agent.ini")) is None


def test_folder_of_windows_is_for_administrators_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The commands are tried with a program that takes any of them."""
    commands = systems.guards(Path("C:\\ProgramData\\Ridethrough Agent"))
    assert commands[-1][2:] == ("/inheritance:r", "/grant:r", "*S-1-5-18:(OI)(CI)F", "*S-1-5-32-544:(OI)(CI)F", "/Q")
    monkeypatch.setattr(systems, "WINDOWS", True)
    monkeypatch.setenv("ProgramData", str(tmp_path))
    monkeypatch.setattr(systems, "guards", lambda folder: [("/bin/sh", "-c", f"touch '{folder}/guarded'")])
    systems.guard_own_folder()
    assert (tmp_path / "Ridethrough Agent" / "guarded").exists()


def test_own_faults_keep_their_trace_and_strangers_get_one_line() -> None:
    record = logging.LogRecord("x", logging.WARNING, "f", 1, "said %s", ("a\nb\x1b[0m",), None)
    assert OneLine("%(levelname)s %(message)s").format(record) == "WARNING said a b [0m"


def _written() -> None:
    """Wait until all that was logged is where it belongs."""
    for handler in LOGGER.handlers:
        handler.flush()


@pytest.fixture
def own_log() -> Iterator[None]:
    """Take away what a test has the agent's log written to."""
    before = list(LOGGER.handlers)
    yield
    for handler in set(LOGGER.handlers) - set(before):
        LOGGER.removeHandler(handler)
        handler.close()
        atexit.unregister(handler.flush)
    atexit.register(logging.shutdown)
    LOGGER.propagate, logging.raiseExceptions = True, True


@pytest.mark.usefixtures("own_log")
def test_syslog_hears_what_the_file_says_as_soon_as_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    monkeypatch.setattr(logs, "SYSLOGS", (path,))
    logs.set_up(Configuration(log=tmp_path / "agent.log", syslog=True))
    LOGGER.warning("nobody hears this")
    _written()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.bind(str(path))
        syslog.settimeout(5)
        LOGGER.warning("going on\nas before")
        assert syslog.recv(500).rstrip(b"\0") == b"<28>ridethrough-agent: WARNING going on as before"
    _written()
    assert (tmp_path / "agent.log").read_text().count("\n") == 2


@pytest.mark.usefixtures("own_log")
def test_log_that_cannot_be_written_stops_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "agent.log").mkdir()
    logs.set_up(Configuration(log=tmp_path / "agent.log"))
    LOGGER.warning("going on")
    _written()
    said = capfd.readouterr().err
    assert "cannot be written" in said
    assert "going on" in said


def test_place_that_hangs_holds_nobody_up_and_what_is_lost_is_told() -> None:
    reads, writes = os.pipe()
    found = b""

    def read() -> None:
        nonlocal found
        while part := os.read(reads, 65536):
            found += part

    reader = threading.Thread(target=read)
    with os.fdopen(writes, "w", buffering=1) as stream:
        aside = Aside(logging.StreamHandler(stream))
        for number in range(2 * WAITING):
            aside.handle(logging.LogRecord("x", logging.INFO, "f", 1, "%s %d", ("y" * 100, number), None))
        reader.start()
        aside.close()
    reader.join()
    os.close(reads)
    lines = found.decode().splitlines()
    assert lines[0] == f"{'y' * 100} 0"
    missing = re.findall(r"^(\d+) lines are missing here", found.decode(), re.MULTILINE)
    assert missing
    assert sum(map(int, missing)) + sum(line.startswith("y") for line in lines) == 2 * WAITING
