"""What can be configured: the tables of the links, the catalogue's command groups and this computer's ports, as data."""

from collections.abc import Iterable, Mapping
import os
from pathlib import Path

from serial.tools import list_ports

from ridethrough.catalogue import load_catalogue
from ridethrough.config.values import OWN_KINDS
from ridethrough.links import LINKS, Link
from ridethrough.links.option import Option, Options

_BY_ID = Path("/dev/serial/by-id")


def schemes() -> list[dict[str, object]]:
    """Describe every link that a UPS or a transfer switch can have; `LinkScheme` of the contract."""
    return [_scheme(kind) for kind in LINKS.values() if kind.kind != "battery_system"]


def _scheme(kind: type[Link]) -> dict[str, object]:
    return {
        "scheme": kind.scheme,
        "title": kind.title,
        "example": kind.example,
        "reach": kind.reach,
        "port": kind.port,
        "options": [_option(option) for option in kind.options],
        "secrets": list(kind.secrets),
    }


def _option(option: Option) -> dict[str, object]:
    return {
        "name": option.name,
        "summary": option.summary,
        "kind": option.kind,
        "default": option.default,
        "choices": option.choices,
        "minimum": option.minimum,
        "maximum": option.maximum,
        "unit": option.unit,
    }


def groups() -> Mapping[str, list[str]]:
    """Return which command groups may be granted for each kind of device; what belongs to a UPS counts for it.

    What is granted of feeds, agents, plans and jobs stands in sections of their own.
    """
    switch: set[str] = set()
    ups: set[str] = set()
    for command in load_catalogue().commands:
        for kind in command.kinds - OWN_KINDS:
            (switch if kind == "transfer_switch" else ups).add(command.group)
    return {"ups": sorted(ups), "transfer_switch": sorted(switch)}


def serial_ports() -> list[str]:
    """Return the serial ports of this computer, under names that survive replugging where there are such."""
    named = sorted(str(path) for path in _BY_ID.iterdir()) if _BY_ID.is_dir() else []
    reached = {os.path.realpath(path) for path in named}
    return named + sorted(
        str(port.device) for port in list_ports.comports() if os.path.realpath(port.device) not in reached
    )


def wrong_option(scheme: str, written: Mapping[str, str]) -> str | None:
    """Find the option of a link's URL that cannot be so; None when each of them could."""
    table: Iterable[Option] = LINKS[scheme].options if scheme in LINKS else ()
    for name, text in written.items():
        try:
            Options(scheme, table, {name: text})
        except ValueError:
            return name
    return None


__all__ = ["groups", "schemes", "serial_ports", "wrong_option"]
