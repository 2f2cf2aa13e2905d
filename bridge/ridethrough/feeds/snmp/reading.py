"""What a request that only reads is answered with (RFC 1157 §4.1, RFC 3416 §4.2). Pure but for the index."""

from .ber import Oid, Tag, integer, name
from .instances import Instances
from .pdu import Kind, Pdu, Status, in_v1, joined, response, room, variable

_END = bytes((Tag.END, 0))
_NO_OBJECT = bytes((Tag.NO_OBJECT, 0))
_NO_INSTANCE = bytes((Tag.NO_INSTANCE, 0))


class Reading:
    """Answers GET, GETNEXT and GETBULK from an index."""

    def __init__(self, instances: Instances, objects: frozenset[Oid]) -> None:
        """`objects` are the names of which there may be instances."""
        self._instances = instances
        self._objects = objects

    def answer(self, pdu: Pdu, most: int, *, v1: bool) -> bytes | None:
        """Give the answer in at most `most` bytes; None if there is none that fits."""
        space = room(pdu.request_id, most)
        match pdu.kind:
            case Kind.GET:
                found = self._get(pdu, v1=v1)
            case Kind.GET_NEXT:
                found = self._next(pdu, v1=v1)
            case _:
                found = self._bulk(pdu, space)
        if isinstance(found, int):
            return refusal(pdu, Status.NO_SUCH_NAME, found, most, v1=v1)
        if joined(found) > space or (not found and pdu.variables and pdu.kind == Kind.GET_BULK and _wants(pdu)):
            return refusal(pdu, Status.TOO_BIG, 0, most, v1=v1)
        return response(pdu.request_id, found)

    def _get(self, pdu: Pdu, *, v1: bool) -> list[bytes] | int:
        found = []
        for index, one in enumerate(pdu.variables, 1):
            row = self._instances.get(one.name)
            if row is None:
                if v1:
                    return index
                row = variable(name(one.name), _NO_INSTANCE if self._known(one.name) else _NO_OBJECT)
            found.append(row)
        return found

    def _next(self, pdu: Pdu, *, v1: bool) -> list[bytes] | int:
        instances = self._instances
        found = []
        for index, one in enumerate(pdu.variables, 1):
            place = instances.after(one.name)
            if place < len(instances):
                found.append(instances.row(place))
            elif v1:
                return index
            else:
                found.append(variable(name(one.name), _END))
        return found

    def _bulk(self, pdu: Pdu, space: int) -> list[bytes]:
        """Give as much as fits (RFC 3416 §4.2.3)."""
        instances = self._instances
        single = max(0, min(pdu.first, len(pdu.variables)))
        found: list[bytes] = []

        def take(row: bytes) -> bool:
            nonlocal space
            space -= len(row)
            if space < 0:
                return False
            found.append(row)
            return True

        for one in pdu.variables[:single]:
            place = instances.after(one.name)
            row = instances.row(place) if place < len(instances) else variable(name(one.name), _END)
            if not take(row):
                return found
        repeated = pdu.variables[single:]
        places = [instances.after(one.name) for one in repeated]
        there = len(instances)
        # Whoever walks beyond the end gets the name again that came before.
        last = [one.name for one in repeated]
        for _ in range(pdu.second if repeated else 0):
            ended = True
            for column, place in enumerate(places):
                if place < there:
                    ended = False
                    row = instances.row(place)
                    places[column] = place + 1
                    last[column] = instances.names[place]
                else:
                    row = variable(name(last[column]), _END)
                if not take(row):
                    return found
            if ended:
                break
        return found

    def _known(self, oid: Oid) -> bool:
        return any(oid[:length] in self._objects for length in range(len(oid), 1, -1))


def _wants(pdu: Pdu) -> bool:
    return pdu.first > 0 or pdu.second > 0


def refusal(pdu: Pdu, status: Status, index: int, most: int, *, v1: bool) -> bytes | None:
    """Give an answer that says no; None if even that does not fit."""
    status = in_v1(status) if v1 else status
    if status is Status.TOO_BIG and not v1:
        variables = b""
    else:
        variables = pdu.raw
    if len(variables) > room(pdu.request_id, most):
        return None
    return response(pdu.request_id, (variables,), status, index)


def counted(oid: Oid, number: int) -> bytes:
    """Give the variable of a counter, for reports."""
    return variable(name(oid), integer(number & 0xFFFFFFFF, Tag.COUNTER))


__all__ = ["Reading", "counted", "refusal"]
