"""Ridethrough: the bridge between power equipment and the systems that must know about it."""

from importlib.metadata import version

__version__ = version("ridethrough")
