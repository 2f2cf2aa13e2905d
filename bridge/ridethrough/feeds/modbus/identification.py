"""Read Device Identification, function 43/14 (MODBUS Application Protocol Specification V1.1b3 §6.21)."""

from collections.abc import Mapping

from .exceptions import ILLEGAL_ADDRESS, ILLEGAL_FUNCTION, ILLEGAL_VALUE, refusal

FUNCTION = 43
MEI_TYPE = 14
VENDOR, PRODUCT_CODE, REVISION, URL, PRODUCT, MODEL, APPLICATION = range(7)
"""The objects of the basic (the first three) and the regular category."""
LONGEST = 244
"""Bytes of an object that fits into an answer of its own: 253 less the heads of answer and object."""

_BASIC, _REGULAR, _EXTENDED, _SINGLE = 1, 2, 3, 4
_CONFORMITY = 0x82
"""Regular identification, as a stream and object by object."""
_ROOM = 253 - 7


def identify(objects: Mapping[int, bytes], pdu: bytes) -> bytes:
    """Answer a request; `objects` are in the order of their numbers."""
    if len(pdu) < 2 or pdu[1] != MEI_TYPE:
        # Another encapsulated interface, such as CANopen's.
        return refusal(FUNCTION, ILLEGAL_FUNCTION if len(pdu) > 1 else ILLEGAL_VALUE)
    if len(pdu) != 4 or pdu[2] not in (_BASIC, _REGULAR, _EXTENDED, _SINGLE):
        return refusal(FUNCTION, ILLEGAL_VALUE)
    access, first = pdu[2], pdu[3]
    if access == _SINGLE:
        if first not in objects:
            return refusal(FUNCTION, ILLEGAL_ADDRESS)
        return _answer(access, [(first, objects[first])], 0)
    # Who asks for more than there is gets what there is; an object that is not there means: from the beginning.
    most = REVISION if access == _BASIC else APPLICATION
    category = [(number, content) for number, content in objects.items() if number <= most]
    if first not in dict(category):
        first = 0
    chosen: list[tuple[int, bytes]] = []
    room = _ROOM
    for number, content in category:
        if number < first:
            continue
        room -= 2 + len(content)
        if room < 0:
            return _answer(access, chosen, number)
        chosen.append((number, content))
    return _answer(access, chosen, 0)


def coded(text: str) -> bytes:
    """Return a text as an object, in ASCII as the specification has it."""
    return text.encode("ascii", "replace")[:LONGEST]


def _answer(access: int, objects: list[tuple[int, bytes]], following: int) -> bytes:
    """Answer with these; `following` is the object to go on with, 0 for none."""
    head = bytes(
        (FUNCTION, MEI_TYPE, access, _CONFORMITY, 0xFF if following else 0, following, len(objects)),
    )
    return head + b"".join(bytes((number, len(content))) + content for number, content in objects)


__all__ = ["APPLICATION", "FUNCTION", "LONGEST", "MODEL", "PRODUCT", "PRODUCT_CODE", "REVISION", "URL", "VENDOR"]
__all__ += ["coded", "identify"]
