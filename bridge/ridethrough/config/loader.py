"""From a file to a `BridgeConfig`, or to everything that is wrong with it."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from importlib import resources
from pathlib import Path
from types import MappingProxyType

import voluptuous as vol

from .advice import advice
from .document import Document, read_document
from .errors import ConfigError, Problem
from .model import BridgeConfig, UpsConfig
from .schema import Key, LinkCheck, schema

EXAMPLE = resources.files(__package__).joinpath("example.yaml").read_text(encoding="utf-8")
"""A configuration with everything that can be in it, explained; `ridethrough check --example` prints it."""


type LinksCheck = Callable[[Iterable[tuple[str, str | None, str | None]]], list[tuple[str, str]]]
"""Takes key, link and second serial port of each device, and of feeds their serial port; gives the keys of those that
cannot be, with why."""


_MODBUS = "the Modbus feed"
"""What stands for its serial port among the devices: no key of a device has a blank in it."""
_MODBUS_PORT = (Key.FEEDS, "modbus", "serial", "port")


def load(
    path: Path,
    check_link: LinkCheck | None = None,
    check_links: LinksCheck | None = None,
    *,
    instead: Mapping[Path, bytes] = MappingProxyType({}),
) -> BridgeConfig:
    """Read and check the configuration file.

    `check_link` raises ValueError for a link that no one could open, `check_links` finds those that exclude one
    another. `instead` says what would stand in this file or in the one with its secrets. Raises ConfigError, which
    holds every problem with file, line and permitted values; nothing else, whatever the file contains.
    """
    document = read_document(path, instead)
    config: BridgeConfig | None = None
    try:
        config = schema(path.absolute().parent, check_link)(document.tree)
    except vol.Invalid as error:
        for one in error.errors if isinstance(error, vol.MultipleInvalid) else [error]:
            _note(document, one)
    _note_duplicates(document)
    if config is not None and check_links is not None:
        _note_conflicts(document, config, check_links)
    if document.problems or config is None:
        raise ConfigError(document.problems)
    return config


def advise(path: Path, config: BridgeConfig, now: datetime | None = None) -> tuple[Problem, ...]:
    """Say what of a configuration, read from this file, is permitted but probably not meant; `now` in local time."""
    found = advice(config, now)
    document = read_document(path) if found else Document(path)
    return tuple(
        sorted(
            {
                Problem(path, document.line(place), f"warning: {_where(place)}{message}", place)
                for place, message in found
            }
        )
    )


def _note(document: Document, error: vol.Invalid) -> None:
    path = tuple(step if isinstance(step, int) else str(step) for step in error.path)
    if path in document.unresolved:
        return
    if isinstance(error, vol.RequiredFieldInvalid):
        message = f"{_where(path[:-1])}the key {path[-1]} is missing"
    else:
        message = f"{_where(path)}{error.error_message}"
    document.problem(document.line(path), message, path)


def _note_conflicts(document: Document, config: BridgeConfig, check_links: LinksCheck) -> None:
    """Say which devices and feeds would get into one another's way; those that are switched off do not."""
    wired: list[tuple[str, str | None, str | None]] = [
        (device.key, device.link, device.pipe.port if isinstance(device, UpsConfig) and device.pipe else None)
        for device in config.devices
        if device.enabled
    ]
    modbus = config.feeds.modbus
    if modbus is not None and modbus.enabled and modbus.serial is not None:
        wired.append((_MODBUS, None, modbus.serial.port))
    problems = dict(check_links(wired))
    if _MODBUS in problems:
        document.problem(document.line(_MODBUS_PORT), f"{_where(_MODBUS_PORT)}{problems[_MODBUS]}", _MODBUS_PORT)
    for section, devices in (
        (Key.UPS, config.ups),
        (Key.TRANSFER_SWITCHES, config.transfer_switches),
        (Key.BATTERIES, config.batteries),
    ):
        for index, device in enumerate(devices):
            if device.key in problems:
                place = (section, index, Key.LINK)
                document.problem(document.line(place), f"{section}.link: {problems[device.key]}", place)


def _where(path: tuple[str | int, ...]) -> str:
    words = [str(step) for step in path if isinstance(step, str)]
    return f"{'.'.join(words)}: " if words else ""


def _note_duplicates(document: Document) -> None:
    """Two devices with one identity would be one; say so even when something else is wrong with them."""
    first: dict[str, int] = {}
    for section in (Key.UPS, Key.TRANSFER_SWITCHES, Key.BATTERIES):
        entries = document.tree.get(section) if isinstance(document.tree, dict) else None
        for index, entry in enumerate(entries if isinstance(entries, list) else ()):
            key = entry.get(Key.ID) if isinstance(entry, dict) else None
            if not isinstance(key, str):
                continue
            line = document.line((section, index, Key.ID))
            if key in first:
                document.problem(
                    line, f"{section}.id: {key} is taken by the device of line {first[key]}", (section, index, Key.ID)
                )
            first.setdefault(key, line)
