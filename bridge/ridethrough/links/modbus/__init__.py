"""Modbus over TCP and RS-485: frames, grouped reads, what registers mean by their map, and the link."""

from .link import ModbusLink

__all__ = ["ModbusLink"]
