"""The cables of contact UPSes: which line means what, and how a shutdown is ordered."""

from collections.abc import Iterator, Mapping
import csv
from dataclasses import dataclass, field, replace
from importlib import resources

INPUTS = ("cts", "dcd", "dsr", "ri")
"""Modem lines that the UPS drives."""
OUTPUTS = ("dtr", "rts")
"""Modem lines that we drive."""
BREAK = "break"
"""In the place of an output: the transmit line held low."""

MEANINGS: Mapping[str, str] = {
    "power_fail": "on_battery",
    "battery_low": "battery_low",
    "bypass": "on_bypass",
    "replace": "battery_bad",
    "fault": "general_fault",
}
"""What a contact can say: the option's name, and the condition of the catalogue."""

PULSE = 5.0
"""Seconds for which a shutdown is ordered where nothing else is known."""


@dataclass(frozen=True, slots=True)
class Contact:
    """One contact: a modem line, or a point or condition of another device; `!cts`, `io-1/input.3`."""

    name: str
    inverted: bool = False
    """It means it while it is low, or false."""

    @property
    def line(self) -> bool:
        """Whether it is a modem line."""
        return "/" not in self.name

    @property
    def place(self) -> tuple[str, str]:
        """Key of the device and of its point or condition."""
        device, _, key = self.name.rpartition("/")
        return device, key

    def holds(self, closed: bool) -> bool:
        """Whether it says what it means."""
        return closed is not self.inverted

    @classmethod
    def parse(cls, text: str) -> Contact:
        """Read one. Raises ValueError with a sentence."""
        name = text.removeprefix("!").strip()
        device, slash, key = name.rpartition("/")
        if name.lower() in INPUTS:
            return cls(name.lower(), text.startswith("!"))
        if not slash or not device or not key:
            raise ValueError(
                f"{text} is no contact; permitted: {', '.join(INPUTS)}, or a device and its point or condition such as "
                "io-1/input.3; with ! in front it means it while it is low."
            )
        return cls(name, text.startswith("!"))


@dataclass(frozen=True, slots=True)
class Cable:
    """What the lines of one cable mean. Outputs that are not named are low."""

    contacts: Mapping[str, Contact] = field(default_factory=dict)
    """By name in `MEANINGS`."""
    supply: frozenset[str] = frozenset()
    """Outputs that are high all the time, as the cable lives on them."""
    present: Contact | None = None
    """A line by which a cable that is plugged in can be told from one that is not."""
    shutdown: frozenset[str] | None = None
    """Outputs that are high while a shutdown is ordered; None: it cannot be ordered."""
    pulse: float = PULSE
    """Seconds for which it is ordered."""
    equipment: str = ""

    @property
    def needed(self) -> tuple[Contact, ...]:
        """Every contact that is looked at."""
        return (*self.contacts.values(), *(() if self.present is None else (self.present,)))

    def with_contact(self, meaning: str, contact: Contact) -> Cable:
        """Have a meaning told by another contact."""
        return replace(self, contacts={**self.contacts, meaning: contact})


def outputs(text: str) -> frozenset[str]:
    """Read a set of outputs: `dtr+rts`, `break`, or `off` for none. Raises ValueError with a sentence."""
    if text == "off":
        return frozenset()
    names = frozenset(text.split("+"))
    if not names <= {*OUTPUTS, BREAK}:
        raise ValueError(
            f"{text} are no outputs; permitted: {', '.join(OUTPUTS)}, {BREAK}, several joined by +, or off."
        )
    return names


def _rows() -> Iterator[tuple[str, Cable]]:
    text = resources.files(__package__).joinpath("cables.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(line for line in text.splitlines() if not line.startswith("#")):
        yield (
            row["cable"],
            Cable(
                contacts={name: Contact.parse(row[name]) for name in MEANINGS if row.get(name)},
                supply=outputs(row["supply"] or "off"),
                present=Contact.parse(row["present"]) if row["present"] else None,
                shutdown=outputs(row["shutdown"]) if row["shutdown"] else None,
                pulse=float(row["pulse"] or PULSE),
                equipment=row["equipment"],
            ),
        )


CABLES: Mapping[str, Cable] = dict(_rows())
"""By name."""

__all__ = ["BREAK", "CABLES", "INPUTS", "MEANINGS", "OUTPUTS", "PULSE", "Cable", "Contact", "outputs"]
