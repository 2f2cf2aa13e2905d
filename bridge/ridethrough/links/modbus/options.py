"""The options of a Modbus link: `modbus://host:502/1?profile=default`, `modbus:/dev/ttyUSB0?unit=1&baud=9600`."""

from dataclasses import dataclass
from pathlib import Path

from ridethrough.links.base import LinkUrl
from ridethrough.links.line import CHOICES, LINE_OPTIONS, line_settings
from ridethrough.links.option import Option, Options, choice, number
from ridethrough.maps.registers import Profile, load_profile, profile_names, read_own_profile
from ridethrough.serial_line import LineSettings

PORT = 502
"""Where Modbus over TCP listens, by agreement with IANA."""
LINE = LineSettings(baud=9600)
"""How an RS-485 line is set unless the link says otherwise; most Modbus devices come with these settings."""

KINDS = ("ups", "transfer_switch", "battery_system")
"""The devices that can be read."""
OWN_KIND = "battery_system"
"""The kind of device that a register map of a person's own is of: cell monitors have no map that all share."""
_LINE_NAMES = frozenset(option.name for option in LINE_OPTIONS)

OPTIONS: tuple[Option, ...] = (
    choice("profile", "the register map that it speaks", profile_names(*KINDS), "default"),
    Option("map", "a file with the register map of a cell monitor, in the place of profile"),
    number("unit", "the unit number, where it does not stand behind the host", 0, 255, default=1),
    choice("framing", "how a host frames its answers: tcp, or rtu behind a converter", ("tcp", "rtu"), "tcp"),
    choice("function", "read holding (3) or input (4) registers, found out if not given", ("3", "4")),
    number("gap", "registers of no interest that one request may span", 0, 124, default=8),
    number("longest", "registers that one request may read", 1, 125, default=100),
    choice("phases", "how many phases it has, found out by auto", ("auto", "1", "3"), "auto"),
    choice("shift", "what is added to every address, 1 for a device that counts from 1", ("0", "1"), "0"),
    number("poll", "how often it is asked", 0.1, 60, default=1, unit="s"),
    number("timeout", "how long it may take to answer", 0.05, 30, default=2, unit="s"),
    choice("baud", "characters' bits per second of a serial line", CHOICES["baud"], str(LINE.baud)),
    *(option for option in LINE_OPTIONS if option.name != "baud"),
)


@dataclass(frozen=True, slots=True)
class Reading:
    """How registers are read."""

    function: int | None
    """None: what the map says, or the other one if the device refuses that."""
    gap: int
    longest: int
    shift: int


@dataclass(frozen=True, slots=True)
class ModbusOptions:
    """A URL, understood."""

    profile: Profile
    unit: int
    reading: Reading
    phases: int | None
    """None: to be found out."""
    poll: float
    """Seconds from one poll to the next."""
    patience: float
    """Seconds for an answer."""
    host: str
    """Empty for a serial line."""
    port: int
    rtu: bool
    path: str
    """The serial port; empty for a host."""
    line: LineSettings

    @property
    def where(self) -> str:
        """Name the device for messages."""
        if not self.host:
            return f"unit {self.unit} on {self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"unit {self.unit} at {host}:{self.port}"


def understand(url: LinkUrl, example: str) -> ModbusOptions:
    """Read a URL. Raises ValueError with a sentence that says what is permitted."""
    options = Options("modbus", OPTIONS, url.options)
    phases = options.word("phases")
    return assemble(url, options, _profile(options), example, phases=None if phases == "auto" else int(phases))


def assemble(
    url: LinkUrl, options: Options, profile: Profile, example: str, *, phases: int | None = None
) -> ModbusOptions:
    """Put together what a URL says of a device with this map. Raises ValueError as `understand`."""
    if not url.host and not url.path:
        raise ValueError(f"{url} names neither a host nor a serial port; write it as in {example}")
    unit = _unit(url, options, example)
    if url.host:
        out_of_place = sorted(_LINE_NAMES & url.options.keys())
        if out_of_place:
            raise ValueError(f"{out_of_place[0]}= sets a serial line; {url} names a host.")
    elif "framing" in url.options:
        raise ValueError("framing= is for hosts; a serial line always has RTU frames.")
    elif not 1 <= unit <= 247:
        raise ValueError(f"unit={unit} is not possible on a serial line; permitted: 1 to 247.")
    function = options.text("function")
    return ModbusOptions(
        profile=profile,
        unit=unit,
        reading=Reading(
            None if function is None else int(function),
            int(options.amount("gap")),
            int(options.amount("longest")),
            int(options.word("shift")),
        ),
        phases=phases,
        poll=options.amount("poll"),
        patience=options.amount("timeout"),
        host=url.host,
        port=PORT if url.port is None else url.port,
        rtu=options.word("framing") == "rtu" or not url.host,
        path="" if url.host else url.path,
        line=line_settings(url.options, LINE),
    )


def _profile(options: Options) -> Profile:
    """Find the register map. Raises ValueError when both or none can be meant, or a file cannot be read."""
    own = options.text("map")
    if own is None:
        return load_profile(options.word("profile"))
    if "profile" in options.written:
        raise ValueError("profile= names a map that the bridge has and map= a file with one; write only one of them.")
    try:
        return read_own_profile(Path(own), OWN_KIND)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise ValueError(f"The register map {own} cannot be read: {reason}.") from error


def _unit(url: LinkUrl, options: Options, example: str) -> int:
    """Find the unit behind the host, or in unit=."""
    text = url.path.strip("/") if url.host else ""
    if not text:
        return int(options.amount("unit"))
    if "unit" in url.options:
        raise ValueError(f"{url} names its unit twice.")
    if not (text.isascii() and text.isdigit() and int(text) <= 255):
        raise ValueError(f"/{text} is no unit; permitted: 0 to 255, as in {example}")
    return int(text)


__all__ = ["LINE", "OPTIONS", "PORT", "ModbusOptions", "Reading", "assemble", "understand"]
