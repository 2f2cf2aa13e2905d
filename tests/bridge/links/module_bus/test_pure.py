"""What needs no line: frames, who is asked where, duties, measurements, options."""

from itertools import pairwise

from hypothesis import given, settings, strategies as st
import pytest

from ridethrough.battery.layout import Layout
from ridethrough.links.base import LinkUrl
from ridethrough.links.module_bus import frames
from ridethrough.links.module_bus.census import MISSES, Census, Run, runs
from ridethrough.links.module_bus.duties import AGAIN, REFRESH, Duties
from ridethrough.links.module_bus.frames import Function, Status, crc, cut, group, sealed
from ridethrough.links.module_bus.impedance import PATIENCE, Measurements, rounds
from ridethrough.links.module_bus.options import End, understand
from ridethrough.links.module_bus.stations import Boxes, Safe
from ridethrough.links.schemes import check_link, check_links

from . import peer

EXAMPLE = "module_bus:/dev/ttyUSB1"


# Frames


def test_a_read_of_128_modules_is_the_frame_of_the_protocol() -> None:
    question = group(Function.READ, 129, 128)
    assert question.frame == bytes.fromhex("f7 41 00 81 80") + peer.crc(bytes.fromhex("f7 41 00 81 80"))
    assert (question.slots, question.length) == (128, 15)


@pytest.mark.parametrize(
    ("question", "data"),
    [
        (frames.duties(3, [0, 100]), "44 0003 02 00 64"),
        (frames.measure(511), "45 01ff 01"),
        (frames.blink(1, on=True), "46 0001 01"),
        (frames.announce(7, sound=True), "47 0007 01"),
        (frames.who_took_it(), "48"),
        (frames.change(0, 512), "64 0000 0200"),
        (frames.reset(1, 512), "65 0001 0200"),
        (frames.check(9, 258, b"ab"), "66 0009 0102 02 6162"),
        (frames.how_many(9), "67 0009"),
        (frames.currents(1, 16), "68 01 10"),
        (frames.read_box(4), "69 04"),
        (frames.switch(1, 0b1000, 0b1000), "6a 01 08 08"),
        (frames.safe_state(2, 15, 1, 300), "6b 02 0f 01 012c"),
    ],
    ids=lambda value: value[:2] if isinstance(value, str) else None,
)
def test_questions_are_as_the_protocol_has_them(question: frames.Question, data: str) -> None:
    body = b"\xf7" + bytes.fromhex(data)
    assert question.frame == body + peer.crc(body)


@settings(max_examples=40)
@given(st.lists(st.one_of(st.binary(max_size=12), st.integers(1, 512)), max_size=8))
def test_whole_frames_are_found_among_whatever_else_is_heard(parts: list[bytes | int]) -> None:
    good = [peer.frame(66, part, 13000) for part in parts if isinstance(part, int)]
    said = b"".join(peer.frame(66, part, 13000) if isinstance(part, int) else part for part in parts)
    heard = cut(said)
    # A lucky beginning in the noise may swallow nothing: its CRC would have to be right.
    assert [frame for frame in heard.frames if frame in good] == good
    assert sum(map(len, heard.frames)) + sum(size for _, size in heard.noise) == len(said)


@settings(max_examples=30)
@given(st.binary(max_size=600))
def test_no_noise_is_taken_for_a_frame_with_a_wrong_crc(data: bytes) -> None:
    for frame in cut(data).frames:
        assert crc(frame) == 0


def test_an_exception_is_told_by_its_code() -> None:
    heard = cut(sealed(Function.CHANGE | 0x80, b"\x06"))
    assert heard.refusal == 6
    assert heard.frames == []


# Who is asked where


def test_numbers_are_asked_in_as_few_requests_as_is_sensible() -> None:
    assert runs(range(1, 301), 128) == [Run(1, 128, 0), Run(129, 128, 0), Run(257, 44, 0)]
    assert runs([1, 2, 5, 9], 128) == [Run(1, 5, 0), Run(9, 1, 0)]
    assert runs([], 128) == []


def ask(census: Census, branch: int = 0, answering: set[int] = frozenset()) -> list[int]:  # type: ignore[assignment]
    """Have one scan: who of `answering` is asked answers."""
    lost: list[int] = []
    for run in list(census.plan(branch)):
        lost += census.asked(branch, run)
        for number in range(run.first, run.first + run.count):
            if number in answering:
                census.heard(branch, run.side, number)
    return lost


def test_a_silent_module_is_lost_once_and_found_at_once() -> None:
    census = Census(4, [False], 128, expected=True)
    ask(census, 0, {1, 2, 3, 4})
    ask(census, 0, {1, 2, 3, 4})
    told = [ask(census, 0, {1, 3, 4}) for _ in range(MISSES + 2)]
    assert told == [[], [], [], [2], []]
    assert census.lost == {2}
    assert census.present == {1, 3, 4}
    run = census.plan(0)[0]
    census.asked(0, run)
    assert census.heard(0, 0, 2)
    assert census.lost == set()


def test_an_answer_that_comes_late_is_an_answer() -> None:
    census = Census(1, [False], 128, expected=True)
    for _ in range(10):
        assert census.asked(0, Run(1, 1, 0)) == []
        census.heard(0, 0, 1)


def test_a_ring_that_is_open_is_asked_from_both_ends() -> None:
    census = Census(6, [True], 128, expected=True)
    near, far = {1, 2, 3}, {4, 5, 6}
    for _ in range(3):
        for run in list(census.plan(0)):
            census.asked(0, run)
            for number in range(run.first, run.first + run.count):
                if number in (far if run.side else near):
                    census.heard(0, run.side, number)
    assert census.plan(0) == [Run(1, 3, 0), Run(4, 3, 1)]
    assert census.front(0) == [4, 5, 6]
    assert census.plan(0) == [Run(1, 6, 0)]


def test_a_number_on_two_branches_is_noticed() -> None:
    census = Census(2, [False, False], 128, expected=True)
    assert census.heard(0, 0, 1)
    assert not census.heard(1, 0, 1)
    assert census.clashes == {1}


def test_nobody_is_expected_where_nobody_has_said_so() -> None:
    census = Census(512, [False], 128, expected=False)
    assert census.plan(0) == []
    assert len(census.plan(0, search=True)) == 4
    census.heard(0, 0, 77)
    assert census.plan(0) == [Run(77, 1, 0)]


# Duties


def test_duties_are_told_when_they_change_and_again_before_they_end() -> None:
    duties = Duties(10)
    assert duties.due(1, 10, 0.0) is None
    duties.want({3: 40, 5: 120, 99: 1})
    question = duties.due(1, 10, 0.0)
    assert question is not None
    assert question.frame == frames.duties(1, [0, 0, 40, 0, 100, 0, 0, 0, 0, 0]).frame
    assert duties.due(1, 10, 1.0) is None
    again = duties.due(1, 10, REFRESH)
    assert again is not None
    assert again.frame == frames.duties(3, [40, 0, 100]).frame
    assert REFRESH * 3 < 60


def test_a_module_that_does_not_draw_what_it_was_told_is_told_again() -> None:
    duties = Duties(3)
    duties.want({2: 40})
    duties.due(1, 3, 0.0)
    duties.draws(2, 0, AGAIN / 2, hot=False)
    assert duties.due(1, 3, AGAIN / 2) is None
    duties.draws(2, 0, AGAIN, hot=True)
    assert duties.due(1, 3, AGAIN) is None
    duties.draws(2, 0, AGAIN, hot=False)
    assert duties.due(1, 3, AGAIN) is not None
    duties.want({2: 0})
    duties.due(1, 3, 3.0)
    duties.draws(2, 40, 6.0, hot=True)
    assert duties.due(1, 3, 6.0) is not None, "one that draws what it must not is told even if it is hot"


def test_silencing_is_for_those_who_may_draw_something() -> None:
    duties = Duties(200)
    duties.want({130: 7})
    duties.due(129, 200, 0.0)
    assert duties.silence(1, 128) is None
    question = duties.silence(129, 256)
    assert question is not None
    assert question.frame == frames.duties(129, [0] * 72).frame
    assert duties.silence(129, 256) is None
    assert duties.due(129, 200, 1.0) is not None, "what is wanted still is, and told when it goes on"


# Impedances


@settings(max_examples=30)
@given(st.sets(st.integers(1, 80)), st.lists(st.integers(1, 30), max_size=4))
def test_no_two_neighbours_measure_at_a_time(blocks: set[int], counts: list[int]) -> None:
    layout = Layout.of(counts)
    shared = rounds(blocks, layout)
    assert sorted(block for part in shared for block in part) == sorted(blocks)
    for part in shared:
        assert 0 < len(part) <= 8
        assert all(later - earlier > 1 for earlier, later in pairwise(part))
        known = {layout.string_of(block) for block in part if block <= layout.blocks}
        assert len(known) <= 1


def test_a_measurement_ends_with_a_new_impedance_and_failed_ones_are_tried_once_more() -> None:
    measuring = Measurements(Layout.of([4]))
    measuring.want([1, 2])
    measuring.want([1])
    assert measuring.following(0.0, {1, 2}) == [1]
    measuring.seen(1, Status.MEASURING, 1.0)
    assert measuring.following(1.0, {1, 2}) == []
    measuring.seen(1, Status.IMPEDANCE_NEW, 2.0)
    assert measuring.following(2.0, {1, 2}) == [2]
    assert measuring.following(2.0 + PATIENCE + 1, {1, 2}) == [2]
    assert measuring.following(9.0 + PATIENCE + 1, {1, 2}) == []
    assert measuring.failed == 1
    assert not measuring.running


def test_a_module_that_has_gone_is_not_measured() -> None:
    measuring = Measurements(None)
    measuring.want([5, 9])
    assert measuring.following(0.0, {5, 9}) == [5]
    assert measuring.following(1.0, {9}) == [9]
    measuring.forget()
    assert not measuring.running


# Boxes


def test_outputs_are_told_when_they_do_not_stand_as_they_should() -> None:
    boxes = Boxes(2, {1: Safe(1, 1, 60)})
    with pytest.raises(ValueError, match="no output 5 of box 1"):
        boxes.switch(1, 5, energised=True)
    boxes.switch(1, 2, energised=True)
    assert boxes.due(1) is None, "how a box stands must be known first"


# Options


def test_a_url_is_understood() -> None:
    options = understand(LinkUrl.parse("module_bus:/dev/ttyUSB1?baud=9600&ring=/dev/b&segments=/dev/c,h:4001"), EXAMPLE)
    assert options.branches == ((End("/dev/ttyUSB1"), End("/dev/b")), (End("/dev/c"),), (End(host="h", port=4001),))
    assert options.line.baud == 9600
    safe = understand(LinkUrl.parse("module_bus://h:4001?safe=1.1:off,1.4:on,2.1:on&safe_after=30&guard=5"), EXAMPLE)
    assert safe.safe == {1: Safe(0b1001, 0b1000, 30), 2: Safe(1, 1, 30)}
    assert safe.guard == 0.005
    assert safe.where == "h:4001"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("module_bus:", "names no port"),
        ("module_bus://host", "must name a host and the raw port"),
        ("module_bus:/dev/a?ring=/dev/a", "named twice"),
        ("module_bus:/dev/a?ring=b", "ring=b is not possible"),
        ("module_bus:/dev/a?safe=5.1:on", "safe=5.1:on is not possible"),
        ("module_bus:/dev/a?baud=300", "baud=300 is not possible"),
        ("module_bus:/dev/a?unit=3", "knows no option unit"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(url: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        check_link(url)


def test_a_bus_is_a_battery_system_and_owns_its_line() -> None:
    assert check_link(EXAMPLE) == "battery_system"
    assert check_links([("a", EXAMPLE, None), ("b", EXAMPLE, None)])
    assert check_links([("a", "module_bus://h:1", None), ("b", "module_bus://h:1", None)])
