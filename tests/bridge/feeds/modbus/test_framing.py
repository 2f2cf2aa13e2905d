"""RTU frames among noise, bunched, in pieces, and between what others on the line say. No line is needed."""

from hypothesis import given, strategies as st
from pymodbus.framer import FramerRTU
import pytest

from ridethrough.feeds.modbus.framing import Found, checksum, find, framed

READ = framed(1, bytes.fromhex("03 006d 0001"))
OTHER = framed(9, bytes.fromhex("03 0000 0002"))
OTHERS_ANSWER = framed(9, bytes.fromhex("03 04 00010002"))
WRITE = framed(1, bytes.fromhex("0f c390 0008 01 05"))
UNKNOWN = framed(1, bytes.fromhex("41 01 02 03"))


def found(heard: bytes, *, silent: bool = False) -> tuple[list[bytes], int, bytes]:
    """Find all requests; returns them, the bytes of noise, and what is kept."""
    questions: list[bytes] = []
    noise = 0
    while heard:
        result = find(heard, silent=silent)
        heard = heard[result.taken :]
        noise += result.noise
        if result.question is None:
            break
        questions.append(result.question)
    return questions, noise, heard


@given(st.binary(max_size=256))
def test_the_checksum_is_that_of_pymodbus(content: bytes) -> None:
    assert int.from_bytes(checksum(content)) == FramerRTU.compute_CRC(content)


@pytest.mark.parametrize(
    "pdu",
    [
        "01 0000 0001", "02 0000 0001", "03 006d 0001", "04 006d 0001", "05 c390 ff00", "06 c390 0001", "07",
        "08 0000 a5a5", "0b", "0c", "0f c390 0008 01 05", "10 c390 0002 04 0001 0000", "11",
        "14 07 06 0004 0001 0002", "16 0004 00f2 0025", "17 0003 0006 000e 0002 04 00ff 00ff", "18 04de", "2b 0e 01 00",
    ],
)  # fmt: skip
def test_a_request_is_known_by_its_length_at_once(pdu: str) -> None:
    frame = framed(1, bytes.fromhex(pdu))
    assert find(frame, silent=False) == Found(frame, len(frame), 0)
    for end in range(1, len(frame)):
        assert find(frame[:end], silent=False) == Found(None, 0, 0)


def test_several_in_one_heap() -> None:
    assert found(READ + OTHER + OTHERS_ANSWER + WRITE + READ) == ([READ, OTHER, WRITE, READ], 0, b"")


def test_what_others_answer_is_no_noise() -> None:
    refusal = framed(9, b"\x83\x02")
    assert found(OTHER + OTHERS_ANSWER + OTHER + refusal + READ) == ([OTHER, OTHER, READ], 0, b"")


def test_a_function_of_unknown_length_is_known_by_silence() -> None:
    assert find(UNKNOWN, silent=False) == Found(None, 0, 0)
    assert find(UNKNOWN, silent=True) == Found(UNKNOWN, len(UNKNOWN), 0)


def test_a_frame_behind_noise_that_looks_like_a_beginning_is_found_when_it_is_silent() -> None:
    heap = b"\x01\x10\x00" + READ
    assert found(heap)[0] == []
    assert found(heap, silent=True) == ([READ], 3, b"")


def test_a_frame_that_is_cut_short_is_dropped_when_it_is_silent() -> None:
    assert found(READ[:-1]) == ([], 0, READ[:-1])
    assert found(READ[:-1], silent=True) == ([], 7, b"")
    assert found(b"\x01", silent=True) == ([], 1, b"")


def test_a_wrong_checksum_is_noise() -> None:
    assert found(READ[:-1] + b"\x00", silent=True) == ([], 8, b"")


@given(st.binary(max_size=40), st.lists(st.sampled_from([READ, WRITE, OTHER]), min_size=1, max_size=3))
def test_after_any_noise_and_silence_frames_are_found(noise: bytes, frames: list[bytes]) -> None:
    questions, _, kept = found(noise, silent=True)
    assert kept == b""
    assert found(b"".join(frames)) == (frames, 0, b"")
    assert len(questions) <= len(noise) // 4


@given(st.binary(max_size=1024), st.booleans())
def test_nothing_is_kept_for_ever(noise: bytes, silent: bool) -> None:
    _, _, kept = found(noise, silent=silent)
    assert len(kept) < 256 + 8
    assert found(kept, silent=True)[2] == b""
