"""The Megatec tables: how answers are cut up, what bits mean, how commands are written."""

from collections.abc import Mapping
import re

from hypothesis import example, given, strategies as st
import pytest

from ridethrough.catalogue import load_catalogue
from ridethrough.links.megatec import table
from ridethrough.links.megatec.answer import parse
from ridethrough.links.megatec.commands import COMMANDS, order
from ridethrough.links.megatec.dialects import BY_NAME, DIALECTS
from ridethrough.links.megatec.status import Bits, Status, packs_of, understand
from ridethrough.links.megatec.table import FW, Q1, Q2, QPI, QS, WA, D, F, I, M, Query
from ridethrough.links.megatec.voltronic import QGS, QID, QMF, QMOD, QS_HEX

QUERIES = [Q1, QS, D, F, I, FW, QPI, Q2, WA]
SAMPLE = b"(226.0 195.0 226.0 014 49.0 27.5 30.0 00001000"


def understood(answer: bytes, packs: int = 1) -> Status:
    parsed = parse(Q1, answer)
    assert parsed is not None
    return understand(parsed, packs)


# Answers


@given(st.sampled_from(QUERIES), st.binary(max_size=200))
@example(Q1, b"(" * 200)
@example(I, b"#" * 200)
def test_no_bytes_upset_a_parser(query: Query, line: bytes) -> None:
    parsed = parse(query, line)
    assert parsed is None or set(parsed.numbers) <= {row.point for row in query.numbers}


@given(
    st.sampled_from(QUERIES),
    st.text("()#0123456789.-@ *ANCKPI\x00", max_size=140),
)
def test_nothing_that_looks_like_an_answer_upsets_a_parser(query: Query, text: str) -> None:
    parsed = parse(query, text.encode())
    if parsed is not None:
        for row in query.numbers:
            value = parsed.numbers.get(row.point)
            assert value is None or row.low * row.scale <= value <= row.high * row.scale


@given(
    st.tuples(
        *[st.floats(0, 999, allow_nan=False).map(lambda volts: round(volts, 1))] * 3,
        st.integers(0, 300),
        st.floats(0, 99).map(lambda hertz: round(hertz, 1)),
        st.floats(0, 99).map(lambda volts: round(volts, 1)),
        st.floats(-9, 99).map(lambda degrees: round(degrees, 1)),
    ),
    st.text("01", min_size=8, max_size=8),
)
def test_a_status_reads_as_it_was_written(values: tuple[float, ...], bits: str) -> None:
    words = ("{:05.1f}", "{:05.1f}", "{:05.1f}", "{:03d}", "{:04.1f}", "{:04.1f}", "{:04.1f}")
    line = "(" + " ".join(word.format(value) for word, value in zip(words, values, strict=True)) + f" {bits}"
    parsed = parse(Q1, line.encode())
    assert parsed is not None
    assert tuple(parsed.numbers.values()) == values
    assert parsed.bits == bits


@given(
    st.tuples(
        st.floats(0.1, 999.9), st.integers(1, 999), st.floats(0.1, 999.9), st.floats(1, 99).map(lambda hz: round(hz, 1))
    )
)
def test_ratings_read_as_they_were_written(values: tuple[float, int, float, float]) -> None:
    volts, amperes, battery, hertz = round(values[0], 1), values[1], round(values[2], 1), values[3]
    parsed = parse(F, f"#{volts:05.1f} {amperes:03d} {battery:05.1f} {hertz:04.1f}".encode())
    assert parsed is not None
    assert list(parsed.numbers.values()) == [volts, amperes, battery, hertz]


_NAME = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=10)


@given(_NAME, _NAME, _NAME)
@example("X", "Y", "")
def test_an_identity_reads_as_it_was_written(manufacturer: str, model: str, firmware: str) -> None:
    parsed = parse(I, f"#{manufacturer:15} {model:10} {firmware:10}".encode())
    absent = re.compile(r"[-@*?#xX. ]*")
    said = {"manufacturer": manufacturer, "model": model, "firmware": firmware}
    if parsed is not None:  # four lone numbers are ratings
        assert parsed.texts == {name: text for name, text in said.items() if not absent.fullmatch(text)}
    else:
        assert re.fullmatch(r"[\d.\s]*", f"{manufacturer}{model}{firmware}")


@pytest.mark.parametrize(("query", "other"), [(Q1, F), (Q1, I), (F, Q1), (F, I), (I, F), (I, Q1), (WA, Q1), (Q1, WA)])
def test_no_answer_is_taken_for_that_of_another_question(query: Query, other: Query) -> None:
    answers = {
        "Q1": SAMPLE,
        "F": b"#220.0 000 024.0 50.0",
        "I": b"#-------------   ------     VT12046Q  ",
        "WA": b"(001.4 000.0 000.0 001.4 000.0 000.0 001.4 001.4 006.5 000.0 000.0 007 00000000",
    }
    assert parse(query, answers[query.command]) is not None
    assert parse(query, answers[other.command]) is None


def test_what_the_device_does_not_measure_is_not_zero() -> None:
    parsed = parse(Q1, b"(226.0 ---.- 226.0 @@@ 49.0 27.5 --.- 00001000")
    assert parsed is not None
    assert parsed.numbers["input.voltage.fault"] is None
    assert parsed.numbers["ups.load"] is None
    assert parsed.numbers["ups.temperature"] is None
    assert parsed.numbers["input.voltage"] == 226.0


def test_a_battery_that_is_not_measured_has_no_voltage() -> None:
    assert understood(b"(226.0 195.0 226.0 014 49.0 --.- 30.0 00001000", packs=2).points["battery.voltage"] is None


def test_a_rating_of_zero_is_one_that_the_device_does_not_know() -> None:
    parsed = parse(F, b"#220.0 000 024.0 50.0")
    assert parsed is not None
    assert parsed.numbers["input.current.nominal"] is None


def test_an_implausible_number_is_dropped_and_the_others_stay() -> None:
    parsed = parse(Q1, b"(226.0 195.0 226.0 914 4.9.0 27.5 30.0 00001000")
    assert parsed is not None
    assert set(parsed.implausible) == {"ups.load", "input.frequency"}
    assert "ups.load" not in parsed.numbers
    assert parsed.numbers["battery.voltage"] == 27.5


def test_the_rest_of_a_broken_answer_before_it_does_not_spoil_one() -> None:
    parsed = parse(Q1, b"\x00(226.0 19" + SAMPLE)
    assert parsed is not None
    assert parsed.numbers["input.voltage"] == 226.0


def test_an_answer_may_have_more_digits_than_the_protocol_says() -> None:
    parsed = parse(Q1, b"(226.0 195.0 226.0 14 49.02 327.6 30 00001000 ")
    assert parsed is not None
    assert parsed.numbers["battery.voltage"] == 327.6


def test_dashes_for_a_name_are_no_name() -> None:
    parsed = parse(I, b"#-------------   ------     VT12046Q  ")
    assert parsed is not None
    assert parsed.texts == {"firmware": "VT12046Q"}


def test_three_phase_power_is_in_watts() -> None:
    parsed = parse(WA, b"(001.4 000.0 000.0 001.4 000.0 000.0 001.4 001.4 006.5 000.0 000.0 007 00000000")
    assert parsed is not None
    assert parsed.numbers["ups.realpower"] == 1400
    assert parsed.numbers["output.L1.current"] == 6.5


# Status bits


@pytest.mark.parametrize(
    ("bits", "condition"),
    [
        ("10001000", "on_battery"),
        ("01001000", "battery_low"),
        ("00011000", "general_fault"),
        ("00001100", "test_in_progress"),
        ("00001010", "shutdown_pending"),
        ("00001001", "beeper_enabled"),
        ("00100000", "on_bypass"),
    ],
)
def test_each_bit_is_its_condition(bits: str, condition: str) -> None:
    quiet = understood(SAMPLE[:-8] + bits[:4].replace("1", "0").encode() + bits[4:5].encode() + b"000")
    assert quiet.conditions[condition] is False
    assert understood(SAMPLE[:-8] + bits.encode()).conditions[condition] is True


def test_bit_3_is_the_type() -> None:
    assert understood(SAMPLE).points["ups.type"] == "line-interactive"
    assert understood(SAMPLE[:-8] + b"00000000").points["ups.type"] == "online"


@pytest.mark.parametrize(
    ("source", "output", "bits", "expected"),
    [
        ("195.0", "226.0", "00101000", {"on_bypass": False, "boost": True, "trim": False}),
        ("255.0", "226.0", "00101000", {"on_bypass": False, "boost": False, "trim": True}),
        ("226.0", "226.0", "00001000", {"on_bypass": False, "boost": False, "trim": False}),
        ("000.0", "226.0", "00101000", {"on_bypass": False}),
        ("---.-", "226.0", "00101000", {"on_bypass": False}),
        ("226.0", "225.0", "00100000", {"on_bypass": True}),
        ("226.0", "225.0", "00-01000", {}),
        ("226.0", "225.0", "0010-000", {}),
    ],
)
def test_bit_5_is_bypass_or_voltage_regulation(
    source: str, output: str, bits: str, expected: Mapping[str, bool]
) -> None:
    status = understood(f"({source} 195.0 {output} 014 49.0 27.5 30.0 {bits}".encode())
    assert {
        key: status.conditions[key] for key in ("on_bypass", "boost", "trim") if key in status.conditions
    } == expected


def test_what_the_bits_do_not_say_is_not_posted() -> None:
    status = understood(SAMPLE[:-8] + b"@@@@@@@@")
    assert set(status.conditions) == {"output_active"}
    assert "ups.type" not in status.points


def test_output_is_off_without_voltage_and_unknown_without_measurement() -> None:
    assert understood(b"(226.0 195.0 000.4 014 49.0 27.5 30.0 00001000").conditions["output_active"] is False
    assert "output_active" not in understood(b"(226.0 195.0 ---.- 014 49.0 27.5 30.0 00001000").conditions


@given(st.text("01-@", min_size=8, max_size=8))
def test_bits_are_so_or_not_so_or_unknown(text: str) -> None:
    bits = Bits.of(text)
    assert [bits.utility_fail, bits.beeper] == [{"1": True, "0": False}.get(text[index]) for index in (0, 7)]


# Battery voltage


@pytest.mark.parametrize(
    ("voltage", "nominal", "number"),
    [
        (27.5, 24.0, 1),
        (21.0, 24.0, 1),
        (2.27, 24.0, 12),
        (1.80, 36.0, 18),
        (13.6, 24.0, None),
        (13.6, 36.0, 3),
        (13.6, 192.0, 16),
        (6.8, 24.0, 4),
        (13.6, 12.0, 1),
        (0.5, 24.0, None),
        (2.27, 24.7, None),
    ],
)
def test_a_cell_or_a_block_is_told_from_the_whole_battery(voltage: float, nominal: float, number: int | None) -> None:
    assert packs_of(voltage, nominal) == number


@given(st.integers(1, 40), st.sampled_from([2, 6, 12]), st.floats(0.75, 1.25))
def test_a_battery_in_use_reads_within_its_own_range_whatever_is_measured(blocks: int, unit: int, state: float) -> None:
    nominal = 12.0 * blocks
    number = packs_of(unit * state, nominal)
    if number is None:
        assert nominal == 2 * unit, "one block of two, or a dead battery"
    else:
        assert unit * state * number == pytest.approx(nominal * state)


def test_the_battery_voltage_is_that_of_the_whole_battery() -> None:
    answer = b"(226.0 195.0 226.0 014 49.0 2.27 30.0 00000000"
    assert understood(answer, packs=6).points["battery.voltage"] == 13.62
    assert understood(answer).points["battery.voltage"] == 2.27


# Commands


@pytest.mark.parametrize(
    ("command", "arguments", "request_", "sentence"),
    [
        ("test.battery.start.quick", {}, b"T\r", "ten seconds"),
        ("test.battery.start", {"duration": 4}, b"T04\r", "4 min"),
        ("test.battery.start", {}, b"T10\r", "10 min"),
        ("test.battery.start", {"duration": 4.2}, b"T05\r", "5 min"),
        ("test.battery.start.deep", {}, b"TL\r", "until it is low"),
        ("test.battery.stop", {}, b"CT\r", "end the battery test"),
        ("beeper.toggle", {}, b"Q\r", "beeper"),
        ("shutdown.return", {"delay": 120, "restore": 300}, b"S02R0005\r", "off in 2 min and on again 5 min later"),
        ("shutdown.return", {"delay": 180, "restore": 0}, b"S03\r", "off in 3 min .* as soon as there is power"),
        ("shutdown.return", {}, b"S.5R0003\r", "off in 30 s and on again 3 min later"),
        ("shutdown.return", {"delay": 31, "restore": 61}, b"S.6R0002\r", "off in 36 s and on again 2 min later"),
        ("shutdown.stayoff", {"delay": 30}, b"S.5R0000\r", "off in 30 s and stay off"),
        ("shutdown.stayoff", {"delay": 12}, b"S.2R0000\r", "off in 12 s"),
        ("shutdown.stayoff", {"delay": 54}, b"S.9R0000\r", "off in 54 s"),
        ("shutdown.stayoff", {"delay": 55}, b"S01R0000\r", "off in 1 min"),
        ("shutdown.stayoff", {"delay": 61}, b"S02R0000\r", "off in 2 min"),
        ("shutdown.stayoff", {"delay": 5940}, b"S99R0000\r", "off in 99 min"),
        ("shutdown.stop", {}, b"C\r", "cancel"),
        ("shutdown.reboot", {}, b"S.2R0001\r", "off in 12 s"),
        ("load.off", {}, b"S00R0000\r", "output off"),
        ("load.on", {}, b"C\r", "output on"),
    ],
)
def test_a_command_is_written_as_the_protocol_has_it(
    command: str, arguments: Mapping[str, float], request_: bytes, sentence: str
) -> None:
    told = order(command, arguments)
    assert told is not None
    assert told.request == request_
    assert re.search(sentence, told.sentence)


@given(st.floats(12, 5940), st.floats(60, 599_940))
def test_a_delay_is_rounded_up_and_never_down(delay: float, restore: float) -> None:
    told = order("shutdown.return", {"delay": delay, "restore": restore})
    assert told is not None
    found = re.fullmatch(rb"S(\.\d|\d\d)R(\d{4})\r", told.request)
    assert found is not None
    sent = float(found[1]) * 60
    assert delay - 1e-4 <= sent <= delay + 60
    assert restore - 1e-4 <= int(found[2]) * 60 <= restore + 60
    assert found[2] != b"0000", "that would be for ever"


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("test.battery.start", {"duration": 100}),
        ("test.battery.start", {"duration": -1}),
        ("test.battery.start", {"duration": "4"}),
        ("test.battery.start", {"duration": True}),
        ("test.battery.start", {"duration": float("inf")}),
        ("shutdown.stayoff", {"delay": 6000}),
        ("shutdown.return", {"restore": 10_000 * 60}),
    ],
)
def test_what_the_line_cannot_say_is_not_sent(command: str, arguments: Mapping[str, float]) -> None:
    with pytest.raises(ValueError):
        order(command, arguments)


def test_a_command_of_another_protocol_is_none() -> None:
    assert order("test.panel.start", {}) is None


def test_every_command_is_one_of_the_catalogue() -> None:
    assert all(load_catalogue().command("ups", command) is not None for command in COMMANDS)


# The tables themselves


def test_every_dialect_has_a_status_with_bits_and_is_found_by_its_name() -> None:
    assert [BY_NAME[dialect.name] for dialect in DIALECTS] == list(DIALECTS)
    assert all(dialect.status.bits is not None and dialect.claims for dialect in DIALECTS)


def test_every_row_lies_within_its_answer() -> None:
    for query in QUERIES:
        words = [row.word for row in query.numbers] + ([] if query.bits is None else [query.bits])
        assert len(set(words)) == len(words)
    assert table.Q1.request == b"Q1\r"


# The first sample is that of NUT's nutdrv_qx for protocol T (its output is 220.25 V); 0x28 0x04 stands for the blank that 0x20 would be.
@pytest.mark.parametrize(
    ("line", "numbers", "bits"),
    [
        (
            b"#\x69\x01 \x6c \x68\x02 \x6c \x00 \x5f\xd7 \x12\xc0\x00 \xe4 \x1e \x09 \x02",
            [222.4, 220.2, 0, 50.1, 13.41, 50, 12, 220],
            "00001001",
        ),
        (
            b"noise#\x6c\x01 \x35 \x6c\x01 \x35 (\x04 \x51\x9a (\x02\x12\xd0 \xe6 \x1e \x89",
            [112.2, 112.2, 32, 59.8, 13.53, None, None, None],
            "10001001",
        ),
    ],
)
def test_voltronics_bytes_are_numbers(line: bytes, numbers: list[float | None], bits: str) -> None:
    parsed = parse(QS_HEX, line)
    assert parsed is not None
    assert list(parsed.numbers.values()) == numbers
    assert parsed.bits == bits


@pytest.mark.parametrize(
    "line",
    [
        b"#\x6c\x01 \x35 \x6c\x01",
        b"(226.0 195.0 226.0 014 49.0 27.5 30.0 00001001",
        b"#220.0 000 024.0 50.0",
        b"#\x6c\x01 \x35 \x6c\x01 \x35 \x03 \x00\x00 \x12\xc0\x00 \xe6 \x1e \x09",
        b"",
    ],
)
def test_other_answers_are_no_bytes(line: bytes) -> None:
    assert parse(QS_HEX, line) is None


@pytest.mark.parametrize("query", [QMF, QID, QMOD, QPI, M], ids=lambda query: query.command)
def test_a_no_is_no_text(query: Query) -> None:
    assert parse(query, b"(NAK") is None or query is QID


def test_offline_and_boost_of_voltronic() -> None:
    parsed = parse(QGS, b"(190.0 50.0 215.0 50.0 001.0 020 369.1 ---.- 026.5 ---.- 018.8 010010010100")
    assert parsed is not None
    known = understand(parsed, layout=QGS.layout)
    assert known.points["ups.type"] == "line-interactive"
    assert known.conditions["boost"] is True
    assert known.conditions["on_bypass"] is False
    assert known.conditions["test_in_progress"] is True
    assert known.conditions["beeper_enabled"] is False
