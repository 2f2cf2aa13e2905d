"""Modbus on the wire: questions, answers and the two ways to frame them; nothing here waits for anything.

pymodbus is the codec. Its clients are not used: they turn a cancellation into an error of their own, skip answers to
other questions without a word, and reconnect by themselves.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU, ExceptionResponse
from pymodbus.pdu.bit_message import ReadCoilsRequest, ReadDiscreteInputsRequest
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, ReadInputRegistersRequest

MBAP = 7
"""Bytes before the PDU on TCP: transaction, protocol, length, unit."""
LONGEST_PDU = 253

EXCEPTIONS: Mapping[int, str] = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    5: "acknowledge",
    6: "device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target failed to respond",
}
"""Names of the exception codes (Modbus application protocol 1.1b3 §7)."""

_DECODER = DecodePDU(is_server=False)
_RTU = FramerRTU(_DECODER)
_SOCKET = FramerSocket(_DECODER)
_QUESTIONS = {
    kind.function_code: kind
    for kind in (
        ReadCoilsRequest,
        ReadDiscreteInputsRequest,
        ReadHoldingRegistersRequest,
        ReadInputRegistersRequest,
    )
}


class RefusalError(Exception):
    """The device has answered with an exception."""

    def __init__(self, code: int) -> None:
        """`code` is the exception's number."""
        super().__init__(named(code))
        self.code = code


class GarbageError(ValueError):
    """What came is no answer to the question."""


def named(code: int) -> str:
    """Name an exception for people."""
    name = EXCEPTIONS.get(code)
    return f"exception {code}" if name is None else f"exception {code}, {name}"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a unit: so many registers, or bits, from an address on."""

    unit: int
    function: int
    """1 coils, 2 discrete inputs, 3 holding registers, 4 input registers."""
    address: int
    count: int

    @property
    def pdu(self) -> bytes:
        """The question without a frame."""
        coded: bytes = _QUESTIONS[self.function](address=self.address, count=self.count).encode()
        return bytes([self.function]) + coded

    @property
    def payload(self) -> int:
        """Bytes of data in its answer."""
        return (self.count + 7) // 8 if self.function in (1, 2) else 2 * self.count

    def read(self, pdu: bytes) -> tuple[int, ...]:
        """Read its answer: the words, or 0 and 1 for bits. Raises RefusalError or GarbageError."""
        if pdu[:1] == bytes([self.function | 0x80]) and len(pdu) == 2:
            refusal = _DECODER.decode(pdu)
            assert isinstance(refusal, ExceptionResponse)
            raise RefusalError(refusal.exception_code)
        if pdu[:2] != bytes([self.function, self.payload]) or len(pdu) != 2 + self.payload:
            raise GarbageError(f"{pdu[:16].hex(' ')} is no answer to {self}")
        answer = _DECODER.decode(pdu)
        assert answer is not None
        return tuple(map(int, answer.bits[: self.count] if self.function in (1, 2) else answer.registers))

    def __str__(self) -> str:
        """Word it for messages."""
        last = self.address + self.count - 1
        span = f"{self.address}" if self.count == 1 else f"{self.address}-{last}"
        return f"function {self.function}, addresses {span}"


# TCP


def tcp_frame(transaction: int, question: Question) -> bytes:
    """Frame a question for TCP."""
    frame: bytes = _SOCKET.encode(question.pdu, question.unit, transaction)
    return frame


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in the bytes that have come in."""

    pdu: bytes | None
    """The answer; None when it is not there yet."""
    rest: bytes
    """What may belong to later answers."""
    strays: int
    """Frames, or heaps of bytes, that are no answer to this question and were skipped."""


def find_tcp(received: bytes, transaction: int, unit: int) -> Found:
    """Look for the answer to a question on TCP.

    Frames of other transactions and units are skipped. Bytes that are no frame are skipped up to where the answer
    may begin.
    """
    strays = 0
    wanted = transaction.to_bytes(2) + b"\x00\x00"
    while len(received) >= MBAP + 1:
        length = int.from_bytes(received[4:6])
        if received[2:4] != b"\x00\x00" or not 2 <= length <= LONGEST_PDU + 1:
            strays += 1
            begin = received.find(wanted, 1)
            received = received[begin:] if begin >= 0 else received[-3:]
            continue
        if len(received) < 6 + length:
            break
        frame, received = received[: 6 + length], received[6 + length :]
        if frame[:4] == wanted and frame[6] == unit:
            return Found(frame[MBAP:], received, strays)
        strays += 1
    return Found(None, received, strays)


# RTU


def rtu_frame(question: Question) -> bytes:
    """Frame a question for a serial line."""
    frame: bytes = _RTU.encode(question.pdu, question.unit, 0)
    return frame


def find_rtu(received: bytes, question: Question) -> Found:
    """Look for the answer to a question among what a serial line has brought: noise and other units are skipped.

    The echo of the question, which many RS-485 adapters give, is not counted as a stray.
    """
    echo = rtu_frame(question)
    start = len(echo) if received.startswith(echo) else 0
    heads = (
        (bytes([question.unit, question.function, question.payload]), 5 + question.payload),
        (bytes([question.unit, question.function | 0x80]), 5),
    )
    sound = [
        (at, size)
        for head, size in heads
        for at in _places(received, head, start)
        if len(frame := received[at : at + size]) == size and _sound(frame)
    ]
    if not sound:
        return Found(None, received, 0)
    at, size = min(sound)
    return Found(received[at + 1 : at + size - 2], received[at + size :], int(at > start))


def _places(received: bytes, head: bytes, start: int) -> Iterator[int]:
    """Say where a frame may begin."""
    at = received.find(head, start)
    while at >= 0:
        yield at
        at = received.find(head, at + 1)


def _sound(frame: bytes) -> bool:
    """Whether the checksum at its end is right."""
    return bool(FramerRTU.check_CRC(frame[:-2], int.from_bytes(frame[-2:])))


__all__ = [
    "EXCEPTIONS",
    "Found",
    "GarbageError",
    "Question",
    "RefusalError",
    "find_rtu",
    "find_tcp",
    "named",
    "rtu_frame",
    "tcp_frame",
]
