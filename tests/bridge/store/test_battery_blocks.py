"""Samples as compact bytes: what comes back is what went in, to the step that each quantity is kept with."""

from datetime import UTC, datetime
import math

from hypothesis import given, settings, strategies as st
import pytest

from ridethrough.battery.board import Board
from ridethrough.battery.layout import Layout
from ridethrough.store.battery_blocks import (
    BlocksError,
    Packed,
    Sample,
    decoded,
    encoded,
    entries,
    joined,
    packed,
    samples_of,
    stamp,
)

START = stamp(datetime(2026, 3, 1, tzinfo=UTC))
value = st.none() | st.floats(-100.0, 1000.0, width=32)


@st.composite
def runs(draw: st.DrawFn) -> list[tuple[int, Sample]]:
    blocks = draw(st.integers(1, 4))
    column = st.lists(value, min_size=blocks, max_size=blocks)
    times = sorted(draw(st.lists(st.integers(0, 10**9), min_size=1, max_size=12)))
    return [
        (
            START + time,
            Sample(
                3,
                65,
                draw(column),
                draw(column),
                draw(column),
                draw(column),
                draw(column),
                draw(value),
                draw(value),
                draw(value),
            ),
        )  # fmt: skip
        for time in times
    ]


@given(runs())
@settings(max_examples=60, deadline=None)
def test_what_comes_back_is_what_went_in(run: list[tuple[int, Sample]]) -> None:
    back = decoded(encoded(packed(run)), run[0][0])
    found = entries(back, 3, None, 0, 2**62)
    blocks = len(run[0][1].voltage)
    assert [stamp(entry.at) for entry in found] == [at for at, _ in run for _ in range(blocks + 1)]
    for row, (_, sample) in enumerate(run):
        of_string, *of_blocks = found[row * (blocks + 1) : (row + 1) * (blocks + 1)]
        assert of_string.module is None
        assert of_string.values["current"] == near(sample.string_current, 100)
        for position, entry in enumerate(of_blocks):
            assert entry.module == 65 + position
            assert entry.values == {
                "voltage": near(sample.voltage[position], 1000),
                "temperature": near(sample.temperature[position], 10),
                "impedance": near(sample.impedance[position], 100),
                "duty": near(sample.duty[position], 1),
                "charge": near(sample.charge[position], 10),
            }


def near(value: float | None, steps: int) -> float | None:
    return None if value is None else round(value * steps) / steps


def sample(voltage: float | None) -> Sample:
    return Sample(1, 1, [voltage], [None], [None], [None], [None])


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, 1e12])
def test_what_is_no_measurement_is_unknown(wrong: float) -> None:
    back = decoded(encoded(packed([(START, sample(wrong)), (START + 1, sample(13.5))])), START)
    assert [entry.values["voltage"] for entry in entries(back, 1, 1, 0, 2**62)] == [None, 13.5]


def test_parts_are_joined_in_order() -> None:
    parts = [packed([(START + number, sample(13.0 + number))]) for number in range(3)]
    back = decoded(encoded(joined(parts)), START)
    assert [entry.values["voltage"] for entry in entries(back, 1, 1, START + 1, START + 2)] == [14.0, 15.0]
    assert entries(back, 1, 2, 0, 2**62) == []


def test_damaged_bytes_are_said_so() -> None:
    data = encoded(packed([(START, sample(13.5))]))
    for damaged in (b"", data[:20], data[:-3] + b"xxx", b"\x09" + data[1:], data[:1] + b"\x02" + data[2:]):
        with pytest.raises(BlocksError, match="battery log"):
            decoded(damaged, START)


def test_a_board_is_taken_string_by_string() -> None:
    board = Board(Layout.of([2, 1]))
    board.voltage[1:] = [13.5, 13.4, None]
    board.temperature[3] = 21.0
    board.current[2] = -4.5
    one, two = samples_of(board)
    assert (one.string, one.shape, list(one.voltage), one.string_voltage) == (1, (1, 2), [13.5, 13.4], 26.9)
    assert (two.shape, list(two.temperature), two.string_current) == ((3, 1), [21.0], -4.5)
    # A string of which a block is unknown has no voltage that could be added up.
    assert two.string_voltage is None
    board.voltage[1] = 12.0
    assert one.voltage[0] == 13.5


def test_a_packed_part_knows_its_blocks() -> None:
    part = packed([(START, sample(1.0))])
    assert isinstance(part, Packed)
    assert (part.first, part.blocks) == (1, 1)
