"""One unit id: answers requests from the image of its device. Nothing here waits for anything.

The order of the checks is the specification's (MODBUS Application Protocol Specification V1.1b3 §6): the function,
then quantities and lengths, then addresses, then what writing needs.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
import struct

from ridethrough.feeds.base import FeedContext

from . import identification
from .exceptions import ILLEGAL_ADDRESS, ILLEGAL_FUNCTION, ILLEGAL_VALUE, refusal
from .image import Image
from .writes import Assignment, Write, permitted, writable

MOST_BITS, MOST_REGISTERS = 2000, 125
"""That one request may read (§6.1, §6.3)."""
MOST_BITS_WRITTEN, MOST_REGISTERS_WRITTEN = 1968, 123
"""That one request may write (§6.11, §6.12)."""
VENDOR = "Ridethrough"

_READ = struct.Struct(">BHH")
_WRITE_SEVERAL = struct.Struct(">BHHB")
_COIL = {0x0000: 0, 0xFF00: 1}
"""How a single coil's state is written (§6.5)."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What a unit id shows, and what may be written by way of it."""

    number: int
    image: Image
    granted: frozenset[str]
    """Command groups."""
    context: FeedContext

    @property
    def present(self) -> bool:
        """Whether its device is there."""
        return self.image.subject.device is not None

    def answer(self, pdu: bytes) -> bytes | Write:
        """Answer a request, of one byte at least; one that writes is to be carried out first."""
        answer = _ANSWERS.get(pdu[0])
        return refusal(pdu[0], ILLEGAL_FUNCTION) if answer is None else answer(self, pdu)

    def read_registers(self, pdu: bytes) -> bytes:
        """Answer functions 3 and 4."""
        if len(pdu) != 5:
            return refusal(pdu[0], ILLEGAL_VALUE)
        function, address, count = _READ.unpack(pdu)
        if not 1 <= count <= MOST_REGISTERS:
            return refusal(function, ILLEGAL_VALUE)
        found = self.image.registers(address, count)
        return refusal(function, ILLEGAL_ADDRESS) if found is None else bytes((function, 2 * count)) + found

    def read_bits(self, pdu: bytes) -> bytes:
        """Answer functions 1 and 2."""
        if len(pdu) != 5:
            return refusal(pdu[0], ILLEGAL_VALUE)
        function, address, count = _READ.unpack(pdu)
        if not 1 <= count <= MOST_BITS:
            return refusal(function, ILLEGAL_VALUE)
        found = self.image.bits(function, address, count)
        return refusal(function, ILLEGAL_ADDRESS) if found is None else bytes((function, len(found))) + found

    def write_coil(self, pdu: bytes) -> bytes | Write:
        """Answer function 5."""
        if len(pdu) != 5:
            return refusal(pdu[0], ILLEGAL_VALUE)
        function, address, value = _READ.unpack(pdu)
        state = _COIL.get(value)
        if state is None:
            return refusal(function, ILLEGAL_VALUE)
        return self._write(function, address, (state,), pdu)

    def write_register(self, pdu: bytes) -> bytes | Write:
        """Answer function 6."""
        if len(pdu) != 5:
            return refusal(pdu[0], ILLEGAL_VALUE)
        function, address, value = _READ.unpack(pdu)
        return self._write(function, address, (value,), pdu)

    def write_coils(self, pdu: bytes) -> bytes | Write:
        """Answer function 15."""
        if len(pdu) < _WRITE_SEVERAL.size:
            return refusal(pdu[0], ILLEGAL_VALUE)
        function, address, count, size = _WRITE_SEVERAL.unpack_from(pdu)
        content = pdu[_WRITE_SEVERAL.size :]
        if not 1 <= count <= MOST_BITS_WRITTEN or not size == len(content) == (count + 7) // 8:
            return refusal(function, ILLEGAL_VALUE)
        bits = int.from_bytes(content, "little")
        return self._write(function, address, [bits >> place & 1 for place in range(count)], pdu[:5])

    def write_registers(self, pdu: bytes) -> bytes | Write:
        """Answer function 16."""
        if len(pdu) < _WRITE_SEVERAL.size:
            return refusal(pdu[0], ILLEGAL_VALUE)
        function, address, count, size = _WRITE_SEVERAL.unpack_from(pdu)
        content = pdu[_WRITE_SEVERAL.size :]
        if not 1 <= count <= MOST_REGISTERS_WRITTEN or not size == len(content) == 2 * count:
            return refusal(function, ILLEGAL_VALUE)
        return self._write(function, address, struct.unpack(f">{count}H", content), pdu[:5])

    def identify(self, pdu: bytes) -> bytes:
        """Answer function 43: the basic objects are the bridge, the others what this unit shows."""
        device, bridge = self.image.subject.device, self.context.bridge
        texts: dict[int, str | None] = {
            identification.VENDOR: VENDOR,
            identification.PRODUCT_CODE: self.image.profile.name,
            identification.REVISION: self.context.version,
            identification.PRODUCT: bridge.name,
        }
        if device is not None:
            texts[identification.MODEL] = " ".join(word for word in (device.manufacturer, device.model) if word)
            texts[identification.APPLICATION] = device.name
        return identification.identify(
            {number: identification.coded(text) for number, text in texts.items() if text}, pdu
        )

    def _write(self, function: int, address: int, values: Iterable[int], done: bytes) -> bytes | Write:
        """Have something written where that is permitted.

        What may not be written is refused by its address, whether the map, the configuration or the device says so:
        the function as such is one that we know, and a master need not learn what it is not granted.
        """
        table = writable(self.image.profile.name)
        device = self.image.subject.device
        found: list[Assignment] = []
        for offset, value in enumerate(values):
            one = table.get((function, address + offset))
            if one is None or not permitted(self.context, device, one, self.granted):
                return refusal(function, ILLEGAL_ADDRESS)
            found.append(Assignment(one, value))
        if any(one.value not in one.writable.values for one in found):
            return refusal(function, ILLEGAL_VALUE)
        return Write(self.image.subject.key, tuple(found), done)


_ANSWERS: Mapping[int, Callable[[Unit, bytes], bytes | Write]] = {
    1: Unit.read_bits,
    2: Unit.read_bits,
    3: Unit.read_registers,
    4: Unit.read_registers,
    5: Unit.write_coil,
    6: Unit.write_register,
    15: Unit.write_coils,
    16: Unit.write_registers,
    identification.FUNCTION: Unit.identify,
}
"""By function."""
READING = frozenset({3, 4})
"""The functions that read registers."""
WRITING = frozenset({5, 6, 15, 16})
"""The functions that a broadcast may have (MODBUS over Serial Line V1.02 §2.1)."""


__all__ = ["MOST_BITS", "MOST_REGISTERS", "READING", "WRITING", "Unit"]
