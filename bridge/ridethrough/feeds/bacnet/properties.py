"""Reading properties: ReadProperty and ReadPropertyMultiple (ASHRAE 135 §15.5, §15.7)."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
import time
from typing import Any

from bacpypes3.apdu import ComplexAckPDU
from bacpypes3.app import Application
from bacpypes3.basetypes import ErrorClass, ErrorCode, PropertyIdentifier
from bacpypes3.errors import ExecutionError, ObjectError, PropertyError, SegmentationNotSupported

from .encoding import an_enumerated, closing, context, enclosed, object_number, opening, unsigned
from .objects import Lean, as_bytes

ANY_DEVICE = (8, 4194303)
"""What a client asks that does not know the device's number (§15.5.2)."""
TURN = 0.002
"""Seconds of the loop that one request may take before others have their turn."""
LONGEST_ANSWER = 64 * 1476
"""Octets of what the longest answer in segments holds; who asks for more has to ask in parts."""
_WHOLE_SETS = {PropertyIdentifier.all, PropertyIdentifier.required, PropertyIdentifier.optional}


class ReadServices(Application):
    """Answers what is read; part of the application."""

    async def do_ReadPropertyRequest(self, apdu: Any) -> None:
        """Return one property."""
        found = self._object(apdu.objectIdentifier)
        if found is None:
            raise ObjectError("unknownObject")
        index = apdu.propertyArrayIndex
        value = await _value(found, apdu.propertyIdentifier.attr, index)
        answer = ComplexAckPDU(context=apdu)
        answer.put_data(
            context(0, _identifier(found))
            + context(1, unsigned(apdu.propertyIdentifier))
            + (b"" if index is None else context(2, unsigned(index)))
            + enclosed(3, value)
        )
        await self.response(answer)

    async def do_ReadPropertyMultipleRequest(self, apdu: Any) -> None:
        """Return several properties of several objects, each with its value or its error."""
        until = time.perf_counter() + TURN
        content = bytearray()
        for wanted in apdu.listOfReadAccessSpecs:
            found = self._object(wanted.objectIdentifier)
            identifier = _asked(wanted.objectIdentifier) if found is None else _identifier(found)
            content += context(0, identifier) + opening(1)
            for name, number, index in _references(found, wanted.listOfPropertyReferences):
                content += context(2, unsigned(number))
                if index is not None:
                    content += context(3, unsigned(index))
                content += await _result(found, name, index)
                if len(content) > LONGEST_ANSWER:
                    raise SegmentationNotSupported
                if time.perf_counter() > until:
                    await asyncio.sleep(0)
                    until = time.perf_counter() + TURN
            content += closing(1)
        answer = ComplexAckPDU(context=apdu)
        answer.put_data(bytes(content))
        await self.response(answer)

    def _object(self, identifier: Any) -> Any:
        return self.device_object if tuple(identifier) == ANY_DEVICE else self.get_object_id(identifier)


def _references(found: Any, references: Iterable[Any]) -> Iterator[tuple[Any, int, int | None]]:
    """Give the name, the number and the index of each property; `all` and its like stand for several (§15.7.3.1)."""
    for reference in references:
        wanted = reference.propertyIdentifier
        if wanted in _WHOLE_SETS and found is not None:
            for name in _whole(found, wanted):
                yield name, _NUMBERS[name], None
        else:
            yield wanted.attr, int(wanted), reference.propertyArrayIndex


def _whole(found: Any, wanted: Any) -> Iterator[str]:
    needed = _required(type(found))
    for name in found.names() if isinstance(found, Lean) else _names(found):
        fits = wanted == PropertyIdentifier.all or (name in needed) == (wanted == PropertyIdentifier.required)
        if fits and name != "propertyList":
            yield name


def _names(found: Any) -> Iterator[str]:
    """Give the properties that an object of the library's own has."""
    return (name for name in found._elements if getattr(found, name, None) is not None)  # noqa: SLF001 (its only list)


_needed: dict[type, frozenset[str]] = {}


def _required(kind: type) -> frozenset[str]:
    if kind not in _needed:
        _needed[kind] = frozenset(name for one in kind.__mro__ for name in getattr(one, "_required", ()))
    return _needed[kind]


async def _value(found: Any, name: Any, index: int | None) -> bytes:
    """Return a property as bytes. Raises PropertyError."""
    if isinstance(found, Lean):
        return found.encoded(name, index)
    try:
        value = await found.read_property(name, index)
    except AttributeError:
        value = None
    if value is None:
        raise PropertyError("unknownProperty")
    return as_bytes(value)


async def _result(found: Any, name: Any, index: int | None) -> bytes:
    try:
        if found is None:
            raise ObjectError("unknownObject")
        return enclosed(4, await _value(found, name, index))
    except ExecutionError as error:
        return enclosed(5, an_enumerated(ErrorClass(error.errorClass)) + an_enumerated(ErrorCode(error.errorCode)))


def _identifier(found: Any) -> bytes:
    kind, instance = found.objectIdentifier
    return object_number(kind, instance)


def _asked(identifier: Any) -> bytes:
    kind, instance = identifier
    return object_number(kind, instance)


def _numbers() -> Mapping[str, int]:
    return {PropertyIdentifier(name).attr: int(PropertyIdentifier(name)) for name in PropertyIdentifier._enum_map}  # noqa: SLF001 (the library has no other list)


_NUMBERS = _numbers()

__all__ = ["ReadServices"]
