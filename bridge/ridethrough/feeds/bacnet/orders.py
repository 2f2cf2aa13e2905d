"""Writing: WriteProperty and WritePropertyMultiple give commands, where that is granted (ASHRAE 135 §15.9, §19.2)."""

import asyncio
from collections.abc import Mapping
import logging
from typing import Any

from bacpypes3.apdu import Error, SimpleAckPDU, WritePropertyMultipleError
from bacpypes3.app import Application
from bacpypes3.basetypes import BinaryPV, ErrorType, ObjectPropertyReference
from bacpypes3.errors import ExecutionError, ObjectError, PropertyError
from bacpypes3.primitivedata import Null

from ridethrough.events.orders import Order
from ridethrough.feeds.base import Client, FeedContext
from ridethrough.site import CommandError, DeviceId, Value

from .objects import BinaryOutput, BinaryValue, Lean
from .tables import CommandRow

_LOGGER = logging.getLogger(__name__)

AT_ONCE = 16
"""Requests to write that are being carried out at once."""
PATIENCE = 2.5
"""Seconds after which a command counts as accepted: the client waits three, and would ask again. How it ends is in the
journal, and in the value."""
LOWEST_PRIORITY = 16
"""Of a write that says none (§19.2.1)."""
_ERRORS = {
    "not_granted": ("property", "writeAccessDenied"),
    "forbidden": ("property", "writeAccessDenied"),
    "bad_argument": ("property", "valueOutOfRange"),
    "unknown_device": ("object", "unknownObject"),
    "unknown_command": ("property", "writeAccessDenied"),
}
"""What the codes of CommandError are in BACnet; all others are an operational problem of the device."""


class Writable:
    """Which command an object gives."""

    def __init__(self, device: DeviceId, row: CommandRow, placeholders: Mapping[str, str]) -> None:
        """`placeholders` are what the key of the point has for those of the row."""
        self.device = device
        self.row = row
        self._placeholders = placeholders
        self.turn = asyncio.Lock()
        """Who commands it at the moment: what fails is taken back, and must not take back what another has commanded."""

    def order(self, *, active: bool) -> Order:
        """Say what is to be done. Raises PropertyError when there is no such command."""
        command = self.row.on if active else self.row.off
        if not command:
            raise PropertyError("valueOutOfRange")
        words = self.row.on_arguments if active else self.row.off_arguments
        arguments: dict[str, Value] = {name: int(word.format(**self._placeholders)) for name, word in words.items()}
        return Order(self.device, command, arguments)


class WriteServices(Application):
    """Takes what is written; part of the application."""

    context: FeedContext
    allow: frozenset[str]
    writables: dict[Any, Writable]
    """What may be written, by the identifier of the object."""
    writing: set[asyncio.Task[None]]

    async def do_WritePropertyRequest(self, apdu: Any) -> None:
        """Write one property."""
        self._begin(self._write_one(apdu))

    async def do_WritePropertyMultipleRequest(self, apdu: Any) -> None:
        """Write several properties, one after the other until one fails."""
        self._begin(self._write_several(apdu))

    def _begin(self, work: Any) -> None:
        if len(self.writing) >= AT_ONCE:
            work.close()
            raise ExecutionError("device", "deviceBusy")
        task = asyncio.create_task(work)
        self.writing.add(task)
        task.add_done_callback(self.writing.discard)

    async def _write_one(self, apdu: Any) -> None:
        answer: Any = SimpleAckPDU(context=apdu)
        try:
            await self._write(apdu, apdu.objectIdentifier, apdu, apdu.propertyValue)
        except ExecutionError as error:
            answer = Error(
                service_choice=apdu.apduService, errorClass=error.errorClass, errorCode=error.errorCode, context=apdu
            )
        await self.response(answer)

    async def _write_several(self, apdu: Any) -> None:
        answer: Any = SimpleAckPDU(context=apdu)
        for specification in apdu.listOfWriteAccessSpecs:
            identifier = specification.objectIdentifier
            for one in specification.listOfProperties:
                try:
                    await self._write(apdu, identifier, one, one.value)
                except ExecutionError as error:
                    failed = ObjectPropertyReference(
                        objectIdentifier=identifier, propertyIdentifier=one.propertyIdentifier
                    )
                    kind = ErrorType(errorClass=error.errorClass, errorCode=error.errorCode)
                    answer = WritePropertyMultipleError(errorType=kind, firstFailedWriteAttempt=failed, context=apdu)
                    await self.response(answer)
                    return
        await self.response(answer)

    async def _write(self, apdu: Any, identifier: Any, target: Any, content: Any) -> None:
        """Write a property. Raises ExecutionError, whatever goes wrong: the client must have its answer."""
        try:
            await self._write_property(apdu, identifier, target, content)
        except ExecutionError:
            raise
        except Exception as error:
            _LOGGER.debug("A write by BACnet failed", exc_info=True)
            raise ExecutionError("device", "operationalProblem") from error

    async def _write_property(self, apdu: Any, identifier: Any, target: Any, content: Any) -> None:
        written = self.get_object_id(identifier)
        if written is None:
            raise ObjectError("unknownObject")
        name = target.propertyIdentifier.attr
        if not isinstance(written, Lean):
            # What is no Lean object decides itself what may be written to it, such as a list of recipients.
            if not hasattr(written, "write"):
                raise PropertyError("writeAccessDenied")
            await written.write(name, content, target.propertyArrayIndex)
            return
        written.encoded(name)
        writable = self.writables.get(identifier)
        if writable is None or name != "presentValue":
            raise PropertyError("writeAccessDenied")
        if target.propertyArrayIndex is not None:
            raise PropertyError("propertyIsNotAnArray")
        priority = LOWEST_PRIORITY if target.priority is None else int(target.priority)
        if not 1 <= priority <= LOWEST_PRIORITY:
            raise ExecutionError("services", "parameterOutOfRange")
        command = _read(content, null=isinstance(written, BinaryOutput))
        source = f"BACnet {apdu.pduSource}"
        if isinstance(written, BinaryOutput):
            async with writable.turn:
                await self._command(written, writable, priority, command, source)
        elif isinstance(written, BinaryValue) and command is not None:
            await self._give(writable, source, active=command)

    async def _command(
        self, written: BinaryOutput, writable: Writable, priority: int, command: bool | None, source: str
    ) -> None:
        """Enter a command into the priority array, and give it when it is the one that counts."""
        self._permit(writable, active=command is not False)
        before, commanded = written.commands[priority - 1], written.commanded
        written.command(priority, command)
        try:
            now = written.commanded
            # A command that counts is given again: somebody else may have switched meanwhile.
            if now is not None and (now != commanded or (command is not None and _counts(written, priority))):
                await self._give(writable, source, active=now)
        except ExecutionError:
            written.command(priority, before)
            raise
        finally:
            self.object_changed(written)

    def _permit(self, writable: Writable, *, active: bool) -> None:
        site = self.context.site
        device = site.devices.get(writable.device)
        if device is None:
            raise ObjectError("unknownObject")
        command = site.catalogue.command(device.kind, writable.order(active=active).command)
        if command is None or command.group not in self.allow:
            raise PropertyError("writeAccessDenied")

    async def _give(self, writable: Writable, source: str, *, active: bool) -> None:
        self._permit(writable, active=active)
        giving = asyncio.ensure_future(self.context.orders.give(writable.order(active=active), Client(source)))
        done, _ = await asyncio.wait((giving,), timeout=PATIENCE)
        if not done:
            # What comes of it later is in the journal; nobody waits for it any more.
            giving.add_done_callback(lambda late: late.cancelled() or late.exception())
            return
        try:
            giving.result()
        except CommandError as error:
            raise ExecutionError(*_ERRORS.get(error.code, ("device", "operationalProblem"))) from error


def _counts(written: BinaryOutput, priority: int) -> bool:
    return all(command is None for command in written.commands[: priority - 1])


def _read(content: Any, *, null: bool) -> bool | None:
    """Return what is written to a binary object, None for giving a command up. Raises PropertyError."""
    try:
        value = content.cast_out(BinaryPV, null=null)
    except Exception as error:
        raise PropertyError("invalidDataType") from error
    if isinstance(value, Null):
        return None
    if value not in {0, 1}:
        raise PropertyError("valueOutOfRange")
    return bool(value)


__all__ = ["Writable", "WriteServices"]
