"""The options of a Modbus link: `modbus://host:502/1?profile=default`, `modbus:/dev/ttyUSB0?unit=1&baud=9600`."""

from dataclasses import dataclass

from ridethrough.links.base import LinkUrl
from ridethrough.links.line import CHOICES, LINE_OPTIONS, line_settings
from ridethrough.links.option import Option, Options, choice, number
from ridethrough.maps.registers import Profile, load_profile, profile_names
from ridethrough.serial_line import LineSettings

PORT = 502
"""Where Modbus over TCP listens, by agreement with IANA."""
LINE = LineSettings(baud=9600)
"""How an RS-485 line is set unless the link says otherwise; most Modbus devices come with these settings."""

KINDS = ("ups", "transfer_switch")
"""The devices that the configuration knows; there are maps of others, which are for serving."""
_LINE_NAMES = frozenset(option.name for option in LINE_OPTIONS)

OPTIONS: tuple[Option, ...] = (
    choice("profile", "the register map that it speaks", profile_names(*KINDS), "default"),
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
    profile = url.options.get("profile", "")
    if profile in profile_names() and profile not in profile_names(*KINDS):
        raise ValueError(
            f"profile={profile} is the map of a {_words(load_profile(profile).kind)}, which cannot be read yet; "
            f"permitted: {', '.join(profile_names(*KINDS))}."
        )
    options = Options("modbus", OPTIONS, url.options)
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
    function, phases = options.text("function"), options.word("phases")
    return ModbusOptions(
        profile=load_profile(options.word("profile")),
        unit=unit,
        reading=Reading(
            None if function is None else int(function),
            int(options.amount("gap")),
            int(options.amount("longest")),
            int(options.word("shift")),
        ),
        phases=None if phases == "auto" else int(phases),
        poll=options.amount("poll"),
        patience=options.amount("timeout"),
        host=url.host,
        port=PORT if url.port is None else url.port,
        rtu=options.word("framing") == "rtu" or not url.host,
        path="" if url.host else url.path,
        line=line_settings(url.options, LINE),
    )


def _words(kind: str) -> str:
    return kind.replace("_", " ")


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


__all__ = ["LINE", "OPTIONS", "PORT", "ModbusOptions", "Reading", "understand"]
