"""A device: something with an identity in the tree."""

from dataclasses import dataclass

from .reading import DeviceId


@dataclass(frozen=True, slots=True)
class Device:
    """What is known of a device apart from its points.

    `key` is the name the configuration gives it (`ups-1`, `ups-1/outlet-2`); `id` is the UUID minted for that key.
    """

    id: DeviceId
    key: str
    kind: str
    """One of the kinds in the catalogue: `bridge`, `ups`, `outlet`, …"""
    name: str
    parent: DeviceId | None = None
    manufacturer: str | None = None
    model: str | None = None
    serial: str | None = None
    firmware: str | None = None
    commands: frozenset[str] = frozenset()
    """Commands that the device offers and the configuration grants."""
