"""Modbus frames, with the examples of the specification and with noise."""

import contextlib

from hypothesis import given, strategies as st
import pytest

from ridethrough.links.modbus.protocol import (
    GarbageError,
    Question,
    RefusalError,
    find_rtu,
    find_tcp,
    named,
    rtu_frame,
    tcp_frame,
)

QUESTION = Question(unit=17, function=3, address=107, count=3)
# Modbus application protocol 1.1b3, section 6.3: registers 108-110 hold 555, 0 and 100.
ANSWER = bytes.fromhex("03 06 02 2B 00 00 00 64")
FRAME = bytes.fromhex("00 07 00 00 00 09 11") + ANSWER
# The same unit over a serial line; the checksum is that of Simply Modbus' example for 11 03 00 6B 00 03.
ASKED = bytes.fromhex("11 03 00 6B 00 03 76 87")
SERIAL = bytes.fromhex("11 03 06 AE 41 56 52 43 40 49 AD")


def test_a_question_is_framed_for_tcp_and_for_a_serial_line() -> None:
    assert tcp_frame(7, QUESTION) == bytes.fromhex("00 07 00 00 00 06 11 03 00 6B 00 03")
    assert rtu_frame(QUESTION) == ASKED


def test_an_answer_is_read() -> None:
    assert QUESTION.read(ANSWER) == (555, 0, 100)
    found = find_rtu(SERIAL, QUESTION)
    assert found.pdu is not None
    assert QUESTION.read(found.pdu) == (0xAE41, 0x5652, 0x4340)


def test_bits_are_read_lowest_first() -> None:
    # Section 6.2: discrete inputs 197-218 are AC DB 35.
    question = Question(1, 2, 196, 22)
    bits = question.read(bytes.fromhex("02 03 AC DB 35"))
    assert bits[:8] == (0, 0, 1, 1, 0, 1, 0, 1)
    assert len(bits) == 22


def test_an_exception_is_named() -> None:
    with pytest.raises(RefusalError, match="exception 2, illegal data address"):
        QUESTION.read(bytes([0x83, 2]))
    assert named(77) == "exception 77"


@pytest.mark.parametrize(
    "pdu",
    [
        "",
        "03",
        "03 06 02 2B 00 00 00",
        "03 06 02 2B 00 00 00 64 00",
        "03 04 02 2B 00 00",
        "04 06 02 2B 00 00 00 64",
        "83",
        "83 02 00",
        "84 02",
        "03 08 02 2B 00 00 00 64 00 00",
    ],
)
def test_what_is_too_short_too_long_or_of_another_function_is_garbage(pdu: str) -> None:
    with pytest.raises(GarbageError):
        QUESTION.read(bytes.fromhex(pdu))


def test_the_answer_is_waited_for_byte_by_byte() -> None:
    for cut in range(len(FRAME)):
        found = find_tcp(FRAME[:cut], 7, 17)
        assert (found.pdu, found.rest, found.strays) == (None, FRAME[:cut], 0)
    assert find_tcp(FRAME, 7, 17).pdu == ANSWER


@pytest.mark.parametrize(
    ("before", "strays"),
    [
        (b"\x00\x06" + FRAME[2:], 1),
        (FRAME[:6] + b"\x12" + ANSWER, 1),
        (b"HTTP/1.1 400 Bad Request\r\n", 1),
        (b"\x00\x07\x00\x00\x00\x00\x11\x03", 1),
        (b"\x00\x06" + FRAME[2:] + b"noise noise", 2),
    ],
    ids=["another transaction", "another unit", "noise", "no length", "both"],
)
def test_strays_before_the_answer_are_skipped(before: bytes, strays: int) -> None:
    found = find_tcp(before + FRAME + b"\x01", 7, 17)
    assert (found.pdu, found.rest, found.strays) == (ANSWER, b"\x01", strays)


@pytest.mark.parametrize(
    ("before", "strays"),
    [(b"", 0), (ASKED, 0), (b"\xff\x00", 1), (ASKED + b"\x00", 1), (b"\x12" + SERIAL[1:], 1), (SERIAL[:5], 1)],
    ids=["nothing", "echo", "noise", "echo and noise", "another unit", "half an answer"],
)
def test_a_serial_answer_is_found_among_noise(before: bytes, strays: int) -> None:
    found = find_rtu(before + SERIAL + b"\x55", QUESTION)
    assert (found.pdu, found.rest, found.strays) == (SERIAL[1:-2], b"\x55", strays)


def test_a_wrong_checksum_is_no_answer() -> None:
    for position in range(len(SERIAL)):
        wrong = bytearray(SERIAL)
        wrong[position] ^= 0x10
        assert find_rtu(bytes(wrong), QUESTION).pdu is None


@given(received=st.binary(max_size=400), transaction=st.integers(1, 0xFFFF))
def test_no_bytes_break_the_search(received: bytes, transaction: int) -> None:
    for found in (find_tcp(received, transaction, 17), find_rtu(received, QUESTION)):
        assert len(found.rest) <= len(received)
        if found.pdu is not None:
            with contextlib.suppress(GarbageError, RefusalError):
                QUESTION.read(found.pdu)


@given(noise=st.binary(max_size=60).filter(lambda noise: b"\x00\x07\x00\x00" not in noise + b"\x00\x07\x00"))
def test_the_answer_after_noise_without_a_header_is_found(noise: bytes) -> None:
    # Noise that looks like a header may swallow the answer; then it is asked again.
    if noise[2:4] != b"\x00\x00" and len(noise) >= 8:
        assert find_tcp(noise + FRAME, 7, 17).pdu == ANSWER


@given(words=st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=125), noise=st.binary(max_size=20))
def test_whatever_the_values_are_they_arrive(words: list[int], noise: bytes) -> None:
    question = Question(1, 4, 0, len(words))
    body = bytes([1, 4, 2 * len(words)]) + b"".join(word.to_bytes(2) for word in words)
    frame = body + _crc(body)
    found = find_rtu(noise + frame, question)
    assert found.pdu is not None
    assert question.read(found.pdu) == tuple(words)


def _crc(data: bytes) -> bytes:
    """Work the checksum out bit by bit, as the specification of the serial line does (section 6.2.2)."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc.to_bytes(2, "little")
