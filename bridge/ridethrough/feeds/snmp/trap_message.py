"""Notifications as bytes: their PDUs in all three versions, and the messages of v1 and v2c (RFC 1157, RFC 3416). Pure.

    30 len | 02 version 0 | 04 community | a4 enterprise, agent, generic, specific, time, variables    v1 trap
    30 len | 02 version 1 | 04 community | a7 request id, 0, 0, variables                              v2c trap
    30 len | 02 version 1 | 04 community | a6 request id, 0, 0, variables                              inform
    30 len | 02 version 1 | 04 community | a2 request id, status, index, variables                     its answer

The variables of v2c and v3 begin with sysUpTime and snmpTrapOID (RFC 3416 §4.2.6); v1 has fields for them (RFC 3584 §3).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from .ber import BerError, Reader, Tag, element, integer, name, octets
from .pdu import Kind, Pdu, read_pdu, response, variable

UP_TIME = "1.3.6.1.2.1.1.3.0"
TRAP_OID = "1.3.6.1.6.3.1.1.4.1.0"
STANDARD = "1.3.6.1.6.3.1.1.5"
"""snmpTraps: what coldStart, warmStart and the four others lie below."""
_ENTERPRISE_SPECIFIC = 6
_V1, _V2C = 0, 1
_TICKS = 2**32


@dataclass(frozen=True, slots=True)
class Binding:
    """An object with its instance and its value: a number, a text, or an OID."""

    oid: str
    tag: Tag
    value: int | str


@dataclass(frozen=True, slots=True)
class Notification:
    """Something that managers are told."""

    name: str
    """As its MIB calls it."""
    oid: str
    uptime: int
    """Hundredths of a second for which the agent had run when it happened."""
    bindings: tuple[Binding, ...] = ()
    persistent: bool = False
    """Sent again and again as long as something is so: of those that wait, only the last one still matters."""


def v1_message(community: str, notification: Notification, agent: bytes) -> bytes:
    """Make a trap of version 1; `agent` is the IPv4 address of ours, four zeros where it has none."""
    above, _, last = notification.oid.rpartition(".")
    if above == STANDARD:
        generic, specific = int(last) - 1, 0
    else:
        # An enterprise's traps may lie below a zero, which v1 leaves out (RFC 3584 §3.2).
        above = above.removesuffix(".0")
        generic, specific = _ENTERPRISE_SPECIFIC, int(last)
    pdu = element(
        Kind.TRAP_V1,
        object_id(above)
        + element(Tag.ADDRESS, agent)
        + integer(generic)
        + integer(specific)
        + integer(notification.uptime % _TICKS, Tag.TICKS)
        + element(Tag.SEQUENCE, b"".join(_bound(notification.bindings))),
    )
    return element(Tag.SEQUENCE, integer(_V1) + octets(community.encode()) + pdu)


def v2c_message(community: str, pdu: bytes) -> bytes:
    """Make a message of version 2c."""
    return element(Tag.SEQUENCE, integer(_V2C) + octets(community.encode()) + pdu)


def notification_pdu(kind: Kind, request_id: int, notification: Notification) -> bytes:
    """Make the PDU of a trap or an inform of v2c and v3; it has the form of an answer without an error."""
    head = (
        Binding(UP_TIME, Tag.TICKS, notification.uptime % _TICKS),
        Binding(TRAP_OID, Tag.OID, notification.oid),
    )
    return response(integer(request_id), _bound((*head, *notification.bindings)), kind=kind)


def read_v2c_answer(data: bytes) -> Pdu:
    """Read what may be the answer to an inform of version 2c. Raises BerError."""
    message = Reader(data).enter()
    if message.integer() != _V2C:
        raise BerError("another version")
    message.take(Tag.OCTETS)
    return read_pdu(message)


@lru_cache(maxsize=1024)
def object_id(oid: str) -> bytes:
    """Encode an OID that is written with dots."""
    return name(tuple(int(part) for part in oid.split(".")))


def _bound(bindings: Iterable[Binding]) -> Iterable[bytes]:
    return (variable(object_id(one.oid), _value(one)) for one in bindings)


def _value(binding: Binding) -> bytes:
    if isinstance(binding.value, int):
        return integer(binding.value, binding.tag)
    if binding.tag is Tag.OID:
        return object_id(binding.value)
    return element(binding.tag, binding.value.encode())


__all__ = [
    "STANDARD",
    "Binding",
    "Notification",
    "notification_pdu",
    "read_v2c_answer",
    "v1_message",
    "v2c_message",
]
