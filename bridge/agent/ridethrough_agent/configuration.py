"""The configuration: an INI file, each of whose mistakes is told with its line and what is allowed there."""

from __future__ import annotations

from collections.abc import Callable
import configparser
from dataclasses import dataclass, field
import ipaddress
from pathlib import Path
import re
import socket
from typing import TypeVar, Union

from .commands import MAX_DELAY, PROGRAM_NAME
from .systems import foreign_hand, log_path, program_fault, shutdown_command, state_folder
from .texts import clean

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
T = TypeVar("T")

PORT = 6004
DATAGRAM_PORT = 6003
MAX_PROGRAMS = 64
"""So many names fit into the hello."""
MAX_ADDRESSES = 256

SECTIONS: dict[str, frozenset[str]] = {
    "agent": frozenset({"name", "listen", "port", "state", "log", "syslog"}),
    "senders": frozenset({"addresses", "needed", "lost", "lost_program", "lost_delay"}),
    "shutdown": frozenset({"command", "delay", "timeout", "dry_run"}),
    "messages": frozenset({"show", "command"}),
    "datagrams": frozenset({"enabled", "listen", "port", "senders", "shutdown_below"}),
}
"""Besides these there is one section `program NAME` for each program."""
PROGRAM_OPTIONS = frozenset({"command", "timeout"})


class ConfigurationError(Exception):
    """The file cannot be used; the text names file, line and what is allowed."""


@dataclass(frozen=True)
class Program:
    """A program that bridges may have run, by its name."""

    command: tuple[str, ...]
    timeout: float = 600.0


@dataclass(frozen=True)
class Datagrams:
    """The public datagrams that older senders know (UDP)."""

    enabled: bool = False
    listen: str = "0.0.0.0"
    port: int = DATAGRAM_PORT
    senders: tuple[Network, ...] = ()
    shutdown_below: float | None = None
    """Minutes of runtime below which a sender's datagram counts as its wish to shut down; never when not given."""


@dataclass(frozen=True)
class Configuration:
    """Everything that the file says, and what counts where it says nothing."""

    name: str = field(default_factory=lambda: clean(socket.gethostname(), 64) or "agent")
    listen: tuple[str, ...] = ()
    """Addresses; all of this computer's when empty."""
    port: int = PORT
    state: Path = field(default_factory=state_folder)
    log: Path = field(default_factory=log_path)
    syslog: bool = False
    addresses: tuple[Network, ...] = ()
    """Where paired bridges may connect from; from everywhere when empty."""
    needed: int = 1
    lost: str = "nothing"
    """What to do when a sender is gone: `nothing`, `program` or `shutdown`."""
    lost_program: str = ""
    lost_delay: float = 300.0
    command: tuple[str, ...] = field(default_factory=shutdown_command)
    delay: float = 0.0
    """Seconds that pass at least between the order and the shutdown command."""
    timeout: float = 300.0
    """Seconds after which a shutdown command that did not bring the computer down is run again."""
    dry_run: bool = False
    show: bool = True
    message: tuple[str, ...] = ()
    programs: dict[str, Program] = field(default_factory=dict)
    datagrams: Datagrams = Datagrams()

    def warnings(self) -> list[str]:
        """Say what is not wrong enough to stay away, but will not work."""
        found = []
        commands = {f"program {name}": program.command for name, program in self.programs.items()}
        for section, command in {"shutdown": self.command, "messages": self.message, **commands}.items():
            fault = program_fault(command[0]) if command else None
            if fault is not None:
                found.append(f"[{section}] command: {fault}")
        return found


class _Reader:
    """Takes values out of the parsed file and knows where each stands."""

    def __init__(self, path: Path, text: str, parser: configparser.ConfigParser) -> None:
        self._path = path
        self._parser = parser
        self._lines: dict[tuple[str, str], int] = {}
        section = ""
        for number, line in enumerate(text.splitlines(), 1):
            head = re.match(r"\[([^\]]*)\]", line)
            option = re.match(r"([^\s#;=:][^=:]*?)\s*[=:]", line)
            if head:
                section = head[1]
                self._lines[section, ""] = number
            elif option:
                self._lines[section, option[1].lower()] = number

    def error(self, section: str, option: str, message: str) -> ConfigurationError:
        line = self._lines.get((section, option), self._lines.get((section, ""), 1))
        where = f"[{section}] {option}" if option else f"[{section}]"
        return ConfigurationError(f"{self._path}, line {line}: {where}: {message}")

    def take(self, section: str, option: str, default: T, read: Callable[[str], T]) -> T:
        """Read one value; an empty one counts as not given."""
        text = self._parser.get(section, option, fallback="").strip()
        if not text:
            return default
        try:
            return read(text)
        except ValueError as error:
            raise self.error(section, option, str(error)) from None


def _switch(text: str) -> bool:
    try:
        return {"yes": True, "no": False, "true": True, "false": False, "on": True, "off": False}[text.lower()]
    except KeyError:
        raise ValueError("must be yes or no") from None


def _number(least: float, most: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text) is None or not least <= float(text) <= most:
            raise ValueError(f"must be a number from {least:g} to {most:g}")
        return float(text)

    return read


def _count(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if re.fullmatch(r"[0-9]{1,9}", text) is None or not least <= int(text) <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(text)

    return read


def _one_of(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"must be one of: {', '.join(choices)}")
        return text

    return read


def _name(text: str) -> str:
    if PROGRAM_NAME.fullmatch(text) is None:
        raise ValueError("must be a name: letters, digits, _ - ., beginning with a letter or digit, 64 at most")
    return text


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _networks(text: str) -> tuple[Network, ...]:
    words = _words(text)
    if len(words) > MAX_ADDRESSES:
        raise ValueError(f"must be {MAX_ADDRESSES} addresses at most")
    try:
        return tuple(ipaddress.ip_network(word) for word in words)
    except ValueError as error:
        raise ValueError(f"must be addresses such as 192.0.2.10, or networks such as 192.0.2.0/24: {error}") from None


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError("must be an address of this computer, such as 192.0.2.20") from None


def _addresses(text: str) -> tuple[str, ...]:
    return tuple(_address(word) for word in _words(text))


def _path(text: str) -> Path:
    if not Path(text).is_absolute():
        raise ValueError("must be an absolute path")
    return Path(text)


def _command(text: str) -> tuple[str, ...]:
    """One argument on each line: nothing needs quoting, and nothing can be quoted wrongly."""
    lines = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not Path(lines[0]).is_absolute():
        raise ValueError(
            f"must be the absolute path of a program, each of its arguments on a line of its own: {lines[0]}"
        )
    return lines


def read_configuration(path: Path, must_exist: bool = True) -> Configuration:
    """Read the file; raises `ConfigurationError`. Without one everything is as it comes, if that is allowed."""
    try:
        text = path.read_text("utf-8")
        fault = foreign_hand(path)
    except FileNotFoundError:
        if must_exist:
            raise ConfigurationError(f"{path} does not exist") from None
        return Configuration()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from None
    if fault is not None:
        # Whoever can write it can have programs run as the agent's user.
        raise ConfigurationError(fault)
    parser = configparser.ConfigParser(interpolation=None, default_section="\0", empty_lines_in_values=False)
    try:
        parser.read_string(text, str(path))
    except configparser.Error as error:
        raise ConfigurationError(clean(str(error), 500)) from None
    return _understand(_Reader(path, text, parser), parser)


def _understand(reader: _Reader, parser: configparser.ConfigParser) -> Configuration:
    names = []
    for section in parser.sections():
        kind, _, name = section.partition(" ")
        if kind == "program":
            try:
                names.append(_name(name))
            except ValueError as error:
                raise reader.error(section, "", f"its name {error}") from None
        elif section not in SECTIONS:
            raise reader.error(section, "", f"the sections are {', '.join(SECTIONS)} and `program NAME`")
        allowed = PROGRAM_OPTIONS if kind == "program" else SECTIONS[section]
        for option in parser.options(section):
            if option not in allowed:
                raise reader.error(section, option, f"the options here are {', '.join(sorted(allowed))}")
    if len(names) > MAX_PROGRAMS:
        raise reader.error(f"program {names[MAX_PROGRAMS]}", "", f"{MAX_PROGRAMS} programs at most")
    take, default = reader.take, Configuration()
    configuration = Configuration(
        name=take("agent", "name", default.name, lambda text: clean(text, 64)),
        listen=take("agent", "listen", default.listen, _addresses),
        port=take("agent", "port", PORT, _count(1, 65535)),
        state=take("agent", "state", default.state, _path),
        log=take("agent", "log", default.log, _path),
        syslog=take("agent", "syslog", False, _switch),
        addresses=take("senders", "addresses", default.addresses, _networks),
        needed=take("senders", "needed", 1, _count(1, 16)),
        lost=take("senders", "lost", "nothing", _one_of("nothing", "program", "shutdown")),
        lost_program=take("senders", "lost_program", "", _name),
        lost_delay=take("senders", "lost_delay", default.lost_delay, _number(0, MAX_DELAY)),
        command=take("shutdown", "command", default.command, _command),
        delay=take("shutdown", "delay", 0.0, _number(0, MAX_DELAY)),
        timeout=take("shutdown", "timeout", default.timeout, _number(1, MAX_DELAY)),
        dry_run=take("shutdown", "dry_run", False, _switch),
        show=take("messages", "show", True, _switch),
        message=take("messages", "command", default.message, _command),
        programs={name: _program(reader, f"program {name}") for name in names},
        datagrams=Datagrams(
            enabled=take("datagrams", "enabled", False, _switch),
            listen=take("datagrams", "listen", "0.0.0.0", _address),
            port=take("datagrams", "port", DATAGRAM_PORT, _count(1, 65535)),
            senders=take("datagrams", "senders", default.addresses, _networks),
            shutdown_below=take("datagrams", "shutdown_below", default.datagrams.shutdown_below, _number(0.1, 10_000)),
        ),
    )
    if configuration.lost == "program" and configuration.lost_program not in configuration.programs:
        raise reader.error("senders", "lost_program", f"must be one of the programs: {', '.join(names) or 'none yet'}")
    if configuration.datagrams.enabled and not configuration.datagrams.senders:
        raise reader.error("datagrams", "senders", "must name the addresses that datagrams are taken from")
    return configuration


def _program(reader: _Reader, section: str) -> Program:
    command: tuple[str, ...] = reader.take(section, "command", (), _command)
    if not command:
        raise reader.error(section, "command", "must be given")
    return Program(command, reader.take(section, "timeout", Program.timeout, _number(1, MAX_DELAY)))


def listed(address: str, networks: tuple[Network, ...]) -> bool:
    """Tell whether `address` is among `networks`. One of IPv4 that comes over an IPv6 socket is what it is."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in network for network in networks)


__all__ = [
    "Configuration",
    "ConfigurationError",
    "Datagrams",
    "Network",
    "Program",
    "listed",
    "read_configuration",
]
