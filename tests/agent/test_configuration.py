"""The configuration file, its mistakes, and the commands that people type."""

from collections.abc import Callable
import ipaddress
from pathlib import Path
import re
import sys

import pytest

from ridethrough_agent.configuration import Configuration, ConfigurationError, Program, listed, read_configuration
from tests.agent.conftest import Paired, pair
from tests.agent.sender import Authority
from tests.peers.shutdown_agent import SOURCES, ShutdownAgent

Make = Callable[..., ShutdownAgent]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def write_(text: str) -> Path:
        path = tmp_path / "agent.ini"
        path.write_text(text)
        path.chmod(0o600)
        return path

    return write_


def test_everything(write: Callable[[str], Path]) -> None:
    found = read_configuration(
        write(
            """
# a comment
[agent]
name = nas
listen = 192.0.2.20, 2001:db8::20
port = 7004
state = /srv/state
log = /srv/log
syslog = yes
[senders]
addresses = 192.0.2.10 2001:db8::/64
needed = 2
lost = program
lost_program = tell
lost_delay = 10.5
[shutdown]
command =
    /usr/local/sbin/down
    --why
    100% of it; really # no comment
delay = 5
timeout = 900
dry_run = on
[messages]
show = no
command = /usr/local/bin/show
[program tell]
command = /usr/local/bin/tell
timeout = 7
[datagrams]
enabled = yes
listen = 192.0.2.20
port = 7003
senders = 192.0.2.11
shutdown_below = 7.5
"""
        )
    )
    assert found.listen == ("192.0.2.20", "2001:db8::20")
    assert (found.name, found.port, found.state, found.log) == ("nas", 7004, Path("/srv/state"), Path("/srv/log"))
    assert found.addresses == (ipaddress.ip_network("192.0.2.10/32"), ipaddress.ip_network("2001:db8::/64"))
    assert (found.needed, found.lost, found.lost_program, found.lost_delay) == (2, "program", "tell", 10.5)
    assert found.command == ("/usr/local/sbin/down", "--why", "100% of it; really # no comment")
    assert (found.delay, found.timeout, found.dry_run, found.syslog) == (5, 900, True, True)
    assert (found.show, found.message) == (False, ("/usr/local/bin/show",))
    assert found.programs == {"tell": Program(("/usr/local/bin/tell",), 7.0)}
    rows = found.datagrams
    assert (rows.enabled, rows.listen, rows.port, rows.shutdown_below) == (True, "192.0.2.20", 7003, 7.5)


def test_nothing(write: Callable[[str], Path], tmp_path: Path) -> None:
    empty = read_configuration(write(""))
    assert empty == Configuration() == read_configuration(tmp_path / "missing", must_exist=False)
    assert (empty.needed, empty.lost, empty.dry_run, empty.datagrams.enabled) == (1, "nothing", False, False)
    assert Path(empty.command[0]).is_absolute()


MISTAKES = {
    "unknown_section": ("[agent]\n[sender]\n", 2, "the sections are agent, senders"),
    "unknown_option": ("[agent]\nname = x\nnmae = y\n", 3, "the options here are"),
    "switch": ("[shutdown]\ndry_run = maybe\n", 2, "must be yes or no"),
    "number": ("[shutdown]\n\n# note\ndelay = 1e9\n", 4, "must be a number from 0 to 86400"),
    "negative": ("[shutdown]\ndelay = -1\n", 2, "must be a number"),
    "port": ("[agent]\nport = 70000\n", 2, "must be a whole number from 1 to 65535"),
    "needed": ("[senders]\nneeded = 0\n", 2, "must be a whole number from 1 to 16"),
    "lost": ("[senders]\nlost = reboot\n", 2, "must be one of: nothing, program, shutdown"),
    "lost_program": ("[senders]\nlost = program\nlost_program = x\n", 3, "must be one of the programs: none yet"),
    "lost_program_missing": ("[senders]\nlost = program\n", 1, "must be one of the programs"),
    "address": ("[senders]\naddresses = bridge.local\n", 2, "must be addresses such as"),
    "network": ("[senders]\naddresses = 192.0.2.1/24\n", 2, "has host bits set"),
    "listen": ("[agent]\nlisten = localhost\n", 2, "must be an address of this computer"),
    "relative": ("[agent]\nstate = state\n", 2, "must be an absolute path"),
    "relative_command": ("[shutdown]\ncommand = shutdown -h now\n", 2, "must be the absolute path of a program"),
    "program_name": ("[program ../x]\ncommand = /bin/true\n", 1, "its name must be a name"),
    "program_blank": ("[program ]\ncommand = /bin/true\n", 1, "its name must be a name"),
    "program_command": ("[agent]\n[program x]\ntimeout = 5\n", 2, "must be given"),
    "program_timeout": ("[program x]\ncommand = /bin/true\ntimeout = 0\n", 3, "must be a number from 1"),
    "datagrams_from_everywhere": ("[datagrams]\nenabled = yes\n", 1, "must name the addresses"),
    "too_many_addresses": ("[senders]\naddresses = " + "192.0.2.1 " * 257, 2, "must be 256 addresses at most"),
    "too_many_programs": ("".join(f"[program p{n}]\ncommand = /bin/true\n" for n in range(65)), 129, "64 programs"),
}


@pytest.mark.parametrize(("text", "line", "said"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistake_names_its_line_and_what_is_allowed(
    write: Callable[[str], Path], text: str, line: int, said: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"line {line}: .*(?:{said})"):
        read_configuration(write(text))


@pytest.mark.parametrize(
    "text",
    ["name = x\n", "[agent]\nname\n", "[agent]\n[agent]\n", "[agent]\nport = 1\nport = 2\n", "[agent\n"],
    ids=["no_section", "no_value", "section_twice", "option_twice", "torn"],
)
def test_text_that_is_no_ini(write: Callable[[str], Path], text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"line\s+\d|line: \d|\[line"):
        read_configuration(write(text))


def test_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "agent.ini"
    path.write_bytes(b"[agent]\nname = \xff\n")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_configuration(path)


def test_file_that_others_can_write_is_not_used(write: Callable[[str], Path]) -> None:
    path = write("[agent]\n")
    path.chmod(0o666)
    with pytest.raises(ConfigurationError, match="is writable by others: chmod go-w"):
        read_configuration(path)


@pytest.mark.parametrize(
    ("address", "within"),
    [
        ("192.0.2.77", True),
        ("::ffff:192.0.2.77", True),
        ("192.0.3.1", False),
        ("2001:db8::1", True),
        ("fe80::1%eth0", True),
        ("nonsense", False),
        ("", False),
    ],
)
def test_listed(address: str, within: bool) -> None:
    networks = tuple(ipaddress.ip_network(text) for text in ("192.0.2.0/24", "2001:db8::/64", "fe80::/10"))
    assert listed(address, networks) is within


def test_sample_of_the_readme_is_right_and_holds_every_option(write: Callable[[str], Path]) -> None:
    from ridethrough_agent.configuration import PROGRAM_OPTIONS, SECTIONS

    sample = (SOURCES / "README.md").read_text().split("```ini\n")[1].split("```")[0]
    assert read_configuration(write(sample)).port == 6004
    told = re.sub(r"(?m)^; ?", "", sample)
    for section, options in {**SECTIONS, "program stop-database": PROGRAM_OPTIONS}.items():
        part = told.split(f"[{section}]")[1].split("\n[")[0]
        for option in options:
            assert re.search(rf"(?m)^{option} =", part), f"{option} of [{section}] is not in the sample"


class TestCommands:
    """What people type."""

    def test_help_says_what_to_do_first(self, agents: Make) -> None:
        done = agents().call("--help")
        assert done.returncode == 0
        for word in ("pair", "unpair", "run", "status", "check", "install", "first steps"):
            assert word in done.stdout

    def test_version(self, agents: Make) -> None:
        assert agents().call("--version").stdout == "ridethrough-agent 1.0.0\n"
        assert 'version = "1.0.0"' in (SOURCES / "pyproject.toml").read_text()

    def test_mistake_in_the_configuration(self, agents: Make) -> None:
        agent = agents()
        agent.configuration.write_text("[agent]\nport = x\n")
        for command in ("run", "check", "status"):
            done = agent.call(command)
            assert done.returncode == 2
            assert f"{agent.configuration}, line 2: [agent] port: must be a whole number" in done.stderr
            assert "Traceback" not in done.stderr

    def test_configuration_that_is_missing(self, agents: Make) -> None:
        agent = agents()
        agent.configuration.unlink()
        assert "does not exist" in agent.call("run").stderr

    def test_check(self, agents: Make, authority: Authority, tmp_path: Path) -> None:
        agent = agents(sections={"senders": "needed = 2", "program gone": f"command = {tmp_path / 'gone'}"})
        done = agent.call("check")
        assert done.returncode == 1
        assert f"[program gone] command: {tmp_path / 'gone'} is no file" in done.stdout
        assert "not paired with any bridge" in done.stdout
        pair(agent, authority)
        assert "needed = 2, but there are 1: it will never shut down" in agent.call("check").stdout
        good = agents("good")
        pair(good, authority)
        done = good.call("check")
        assert (done.returncode, done.stdout) == (0, f"All is well. The shutdown command is: {good.folder}/shutdown\n")

    async def test_status(self, paired: Paired) -> None:
        async with paired.sender() as sender:
            sender.send({"type": "ping", "on_battery": True})
            await sender.command("shutdown", {"delay": 1000, "reason": "outage"})
            shown = paired.agent.call("status").stdout
            assert "The agent runs as nas." in shown
            assert "not connected" not in shown
            assert "connected, on battery when it was last heard, wants a shutdown (outage)" in shown
            assert "1 want a shutdown, 1 must." in shown
            await sender.command("wakeup")
        paired.agent.stop()
        shown = paired.agent.call("status").stdout
        assert "The agent does not run" in shown
        assert "not connected" in shown
        assert "0 want a shutdown" in shown


class TestInstallation:
    """What the systems are told; nothing is written."""

    def test_here(self, agents: Make) -> None:
        agent = agents()
        done = agent.call("install", "--print")
        assert done.returncode == 0
        command = f"ExecStart={sys.executable} -m ridethrough_agent --config {agent.configuration} run"
        assert command in done.stdout
        assert "systemctl enable --now ridethrough-agent.service" in done.stdout

    def test_words_that_systemd_would_take_apart(self) -> None:
        from ridethrough_agent.installation import on_linux

        text = on_linux(["/opt/my python", "--config", '/etc/100% "$HOME".ini', "run"]).text
        assert 'ExecStart="/opt/my python" --config "/etc/100%% \\"$$HOME\\".ini" run' in text

    def test_what_programs_do_reaches_the_computer(self) -> None:
        """A service with mounts of its own would unmount file systems to no effect."""
        from ridethrough_agent.installation import on_linux

        options = [line for line in on_linux(["/x"]).text.splitlines() if not line.startswith("#")]
        assert not [line for line in options if line.startswith(("Protect", "Private", "ReadOnly", "Inaccessible"))]

    def test_macos(self) -> None:
        import plistlib

        from ridethrough_agent.installation import on_macos

        installation = on_macos(["/usr/bin/python3", "/opt/a & b.pyz", "run"])
        found = plistlib.loads(installation.content)
        assert found["ProgramArguments"] == ["/usr/bin/python3", "/opt/a & b.pyz", "run"]
        assert found["RunAtLoad"] and found["KeepAlive"]
        assert installation.commands == (("launchctl", "bootstrap", "system", str(installation.path)),)

    def test_windows(self) -> None:
        import xml.etree.ElementTree as ET

        from ridethrough_agent.installation import on_windows

        installation = on_windows(["C:\\Program Files\\Python\\python.exe", "C:\\a & b\\agent.pyz", "run"])
        root = ET.fromstring(installation.text)  # noqa: S314  # our own
        space = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"
        assert root.findtext(f".//{space}Command") == "C:\\Program Files\\Python\\python.exe"
        assert root.findtext(f".//{space}Arguments") == '"C:\\a & b\\agent.pyz" run'
        # A task would otherwise end when the computer itself runs on battery, and after three days.
        assert root.findtext(f".//{space}StopIfGoingOnBatteries") == "false"
        assert root.findtext(f".//{space}ExecutionTimeLimit") == "PT0S"
        assert installation.commands[0][:2] == ("schtasks", "/Create")

    def test_writing_that_fails_says_so(self, agents: Make, tmp_path: Path) -> None:
        from ridethrough_agent.installation import Installation

        (tmp_path / "agent.service").mkdir()
        with pytest.raises(OSError, match="agent.service"):
            Installation(tmp_path / "agent.service", b"x", ()).install()
        Installation(tmp_path / "new" / "file", b"x", (("true",),)).install()
        assert (tmp_path / "new" / "file").read_bytes() == b"x"
