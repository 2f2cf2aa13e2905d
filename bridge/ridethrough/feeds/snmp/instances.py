"""Every instance that can be read, in the order of names: the index that all requests are answered from."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable

from .ber import Oid, name
from .pdu import variable

type Encoded = bytes | Callable[[], bytes]
"""A value as it goes onto the wire, or what gives it at the moment that it is asked for."""


class Instances:
    """Names in their order, each with its variable ready to be sent. A change costs a search, a walk only copying."""

    def __init__(self) -> None:
        """Nothing is there."""
        self.names: list[Oid] = []
        self._rows: list[Encoded] = []
        self._encoded: dict[Oid, bytes] = {}

    def __len__(self) -> int:
        """How many there are."""
        return len(self.names)

    def __contains__(self, oid: Oid) -> bool:
        """Whether this instance can be read."""
        return oid in self._encoded

    def put(self, oid: Oid, value: Encoded) -> None:
        """Have an instance with this value."""
        encoded = self._encoded.get(oid)
        place = bisect_left(self.names, oid)
        if encoded is None:
            encoded = self._encoded[oid] = name(oid)
            self.names.insert(place, oid)
            self._rows.insert(place, b"")
        self._rows[place] = _row(encoded, value)

    def drop(self, oid: Oid) -> None:
        """Have it no longer; what was not there is no matter."""
        if self._encoded.pop(oid, None) is not None:
            place = bisect_left(self.names, oid)
            del self.names[place], self._rows[place]

    def drop_below(self, oid: Oid) -> None:
        """Have nothing below this name any more."""
        begin, end = bisect_left(self.names, oid), bisect_left(self.names, (*oid[:-1], oid[-1] + 1))
        for gone in self.names[begin:end]:
            del self._encoded[gone]
        del self.names[begin:end], self._rows[begin:end]

    def get(self, oid: Oid) -> bytes | None:
        """Return the variable of this instance, None if there is none."""
        place = bisect_left(self.names, oid)
        if place == len(self.names) or self.names[place] != oid:
            return None
        return self.row(place)

    def after(self, oid: Oid) -> int:
        """Return the place of the instance that follows a name; it may be beyond the last one."""
        return bisect_right(self.names, oid)

    def row(self, place: int) -> bytes:
        """Return the variable at a place."""
        row = self._rows[place]
        return row if isinstance(row, bytes) else row()


def _row(encoded: bytes, value: Encoded) -> Encoded:
    if isinstance(value, bytes):
        return variable(encoded, value)
    return lambda: variable(encoded, value())


__all__ = ["Encoded", "Instances"]
