"""By which numbers a request is refused (MODBUS Application Protocol Specification V1.1b3 §7)."""

ILLEGAL_FUNCTION = 1
"""What the request asks for is nothing that a unit of ours does."""
ILLEGAL_ADDRESS = 2
"""One of the addresses does not exist, or may not be written."""
ILLEGAL_VALUE = 3
"""A quantity, a length or a value that cannot be."""
DEVICE_FAILURE = 4
"""The device has refused, or has not answered."""
ACKNOWLEDGE = 5
"""It has been begun and takes longer than the master would wait."""
BUSY = 6
"""What was written to the device before is still under way; ask again later."""
GATEWAY_TARGET = 11
"""There is no such unit, or its device is not there."""


def refusal(function: int, code: int) -> bytes:
    """Return the answer that says so."""
    return bytes((function | 0x80, code))


__all__ = [
    "ACKNOWLEDGE",
    "BUSY",
    "DEVICE_FAILURE",
    "GATEWAY_TARGET",
    "ILLEGAL_ADDRESS",
    "ILLEGAL_FUNCTION",
    "ILLEGAL_VALUE",
    "refusal",
]
