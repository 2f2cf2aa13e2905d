"""What modules, sensors and boxes answer, without a line in between: links/module_bus/PROTOCOL.md row by row."""

from collections.abc import Container
from statistics import mean, pstdev
import struct

import pytest

from ridethrough.sim.blocks import BlockDesign, Failure, Plant
from ridethrough.sim.blocks.answers import Bench
from ridethrough.sim.blocks.frames import Reader
from ridethrough.sim.blocks.installation import Breakers, Installation
from ridethrough.sim.blocks.module import Identity

from .raw import framed, group, sound

EVERYBODY = range(600)


class Room:
    """An installation that is asked frame by frame, at times given by hand."""

    def __init__(self, blocks: int = 4, strings: int = 1, breakers: Breakers = "none", boxes: int = 0) -> None:
        self.plant = Plant(BlockDesign(), strings, blocks)
        self.room = Installation(self.plant, boxes=boxes, breakers=breakers)
        self.bench = Bench(self.room)
        self.now = 1000.0

    def ask(self, request: bytes, reach: Container[int] = EVERYBODY) -> list[tuple[int, bytes]]:
        """Give slots and data of the answers that are sound, without address, function and checksum."""
        return [(slot, data[2:-2]) for slot, data in self.raw(request, reach) if sound(data)]

    def raw(self, request: bytes, reach: Container[int] = EVERYBODY) -> list[tuple[int, bytes]]:
        (heard,) = Reader().feed(request)
        return [(each.slot, each.data) for each in self.bench.answer(heard, reach, self.now).frames]

    def read(self, number: int) -> tuple[int, int, int, int, int, int]:
        ((_, data),) = self.ask(group(65, number, 1))
        return struct.unpack(">HHHhHB", data)


def test_a_group_answers_in_the_slots_of_its_numbers() -> None:
    room = Room(6)
    room.room.module(3).lost = True
    answers = room.ask(group(65, 2, 4))
    assert [(slot, data[:2]) for slot, data in answers] == [(0, b"\0\2"), (2, b"\0\4"), (3, b"\0\5")]
    assert all(len(data) == 11 for _, data in answers)
    assert [slot for slot, _ in room.ask(group(66, 5, 128))] == [0, 1]


def test_what_a_module_reads_is_what_its_block_has() -> None:
    room = Room()
    number, status, volts, warmth, impedance, duty = room.read(2)
    block = room.plant.block(2)
    assert number == 2
    assert status == 0x20  # just started
    assert volts == round(block.voltage * 1000)
    assert warmth == round(block.temperature * 10)
    assert (impedance, duty) == (0xFFFF, 0)
    assert room.read(2)[1] == 0
    ((_, data),) = room.ask(group(66, 2, 1))
    assert data == struct.pack(">HH", 2, volts)


@pytest.mark.parametrize(("first", "count"), [(0, 2), (5, 0), (1, 129), (513, 1), (5, 3)])
def test_numbers_that_are_none_are_not_answered(first: int, count: int) -> None:
    assert Room().raw(group(65, first, count)) == []


def test_the_last_number_of_all() -> None:
    room = Room(512, 16)
    assert [struct.unpack(">H", data[:2])[0] for _, data in room.ask(group(66, 510, 128))] == [510, 511, 512]


def test_identity_tells_type_revisions_serial_and_calibration() -> None:
    room = Room()
    room.room.module(1).identity = Identity(77, 12, (2, 1), (3, 4), calibrated=False)
    ((_, data),) = room.ask(group(67, 1, 1))
    assert struct.unpack(">HBBBBBIB", data) == (1, 12, 2, 1, 3, 4, 77, 0)
    assert room.read(1)[1] & 0x08


@pytest.mark.parametrize(
    ("voltage", "chemistry", "told"),
    [(1.2, "nicd", 2), (2.4, "nicd", 2), (2.0, "lead", 2), (12.8, "lfp", 12), (12.0, "lead", 12), (24.0, "lead", 24)],
)
def test_the_type_of_a_module_fits_its_block(voltage: float, chemistry: str, told: int) -> None:
    room = Installation(Plant(BlockDesign(voltage, 50.0, chemistry), 1, 2))
    assert room.module(1).identity.voltage == told


def test_duties_are_set_one_by_one_and_end_by_themselves() -> None:
    room = Room()
    assert room.raw(framed(68, b"\0\2\2\x0a\x64")) == []
    assert [room.read(number)[5] for number in (1, 2, 3, 4)] == [0, 10, 100, 0]
    assert room.plant.block(3).drawn == room.plant.design.equalising_power
    room.now += 59.0
    room.ask(framed(68, b"\0\3\1\x64"))
    room.now += 2.0
    room.room.look(room.now)
    assert (room.plant.block(2).drawn, room.read(3)[5]) == (0.0, 100)
    room.now += 59.0
    assert room.read(3)[5] == 0


def test_a_duty_above_the_scale_is_not_taken() -> None:
    room = Room()
    room.ask(framed(68, b"\0\1\1\x65"))
    assert room.read(1)[5] == 0


def test_a_hot_module_does_not_equalise() -> None:
    room = Room()
    room.plant.columns[0].temperature[0] = 65.0
    room.ask(framed(68, b"\0\1\1\x32"))
    assert room.read(1)[1] & 0x10 and room.read(1)[5] == 0


def test_an_impedance_takes_two_seconds_and_is_new_once() -> None:
    room = Room()
    room.read(1)
    room.ask(group(69, 1, 4))
    assert room.read(1)[1] == 0x01
    room.now += 1.9
    assert room.read(1)[1] == 0x01
    room.now += 0.2
    _, status, _, _, impedance, _ = room.read(1)
    assert status == 0x02
    assert impedance == pytest.approx(room.plant.block(1).impedance * 1e5, rel=0.02)
    assert room.read(1)[1] == 0


def test_an_open_block_is_too_high_to_measure_and_a_blown_fuse_measures_nothing() -> None:
    room = Room()
    room.plant.fail(1, Failure.OPEN)
    room.room.module(2).fuse_blown = True
    room.ask(group(69, 1, 2))
    room.now += 2.5
    assert room.read(1)[4] == 0xFFFE
    _, status, volts, _, impedance, _ = room.read(2)
    assert status & 0x04 and (volts, impedance) == (0xFFFF, 0xFFFF)
    room.ask(framed(68, b"\0\2\1\x32"))
    assert room.read(2)[5] == 0


def test_a_broken_sensor_and_a_faulty_module_are_told() -> None:
    room = Room()
    room.room.module(1).sensor_broken = room.room.module(1).faulty = True
    _, status, _, warmth, _, _ = room.read(1)
    assert warmth == 0x7FFF and status & 0x100


def test_a_reversed_block_reads_nothing_below_zero() -> None:
    room = Room()
    room.plant.columns[0].voltage[0] = -3.0
    assert room.read(1)[2] == 0


def test_blinking_ends_with_a_press_of_the_button_which_is_told_once() -> None:
    room = Room()
    assert room.ask(framed(70, b"\0\2\1")) == [(0, b"\0\2\1")]
    assert room.read(2)[1] & 0x40
    room.room.module(2).press()
    assert room.read(2)[1] & 0xC0 == 0x80
    assert room.read(2)[1] & 0xC0 == 0
    room.ask(framed(70, b"\0\2\1"))
    room.ask(framed(70, b"\0\2\0"))
    assert not room.room.module(2).blinking
    (refused,) = room.raw(framed(70, b"\0\2\7"))
    assert refused[1] == framed(70 + 128, b"\3")


def test_numbers_are_given_to_modules_in_the_order_of_presses() -> None:
    room = Room(3)
    assert room.raw(framed(101, b"\0\1\2\0")) == []
    assert room.raw(group(65, 1, 128)) == []
    for number, block in ((1, 3), (2, 1), (3, 2)):
        room.ask(framed(71, struct.pack(">HB", number, 1)))
        assert room.ask(framed(72)) == []
        module = room.room.module(block)
        module.press()
        assert room.ask(framed(72)) == [(0, struct.pack(">HI", number, module.identity.serial))]
        # The others have heard that; a second press takes nothing.
        for other in room.room.modules:
            other.press()
        assert len(room.ask(framed(72))) == 1
    assert [module.number for module in room.room.modules] == [2, 3, 1]
    room.ask(framed(71, b"\0\0\0"))
    assert room.ask(framed(72)) == []


def test_addressing_ends_with_number_zero() -> None:
    room = Room(2)
    room.ask(framed(101, b"\0\1\0\2"))
    room.ask(framed(71, b"\0\5\0"))
    room.ask(framed(71, b"\0\0\0"))
    room.room.module(1).press()
    assert room.room.module(1).number == 0


def test_two_presses_before_the_question_collide() -> None:
    room = Room(2)
    room.ask(framed(101, b"\0\1\0\2"))
    room.ask(framed(71, b"\0\5\0"))
    for module in room.room.modules:
        module.press()
    ((_, data),) = room.raw(framed(72))
    assert not sound(data)


def test_a_number_is_changed_and_refused_while_measuring_or_out_of_range() -> None:
    room = Room()
    serial = room.room.module(2).identity.serial
    assert room.ask(framed(100, b"\0\2\0\x63")) == [(0, struct.pack(">HI", 99, serial))]
    assert room.raw(framed(100, b"\0\x63\2\1")) == [(0, framed(228, b"\3"))]
    room.ask(group(69, 99, 1))
    assert room.raw(framed(100, b"\0\x63\0\2")) == [(0, framed(228, b"\6"))]
    room.now += 2.0
    assert room.ask(framed(100, b"\0\x63\0\2"))
    assert room.read(2)[0] == 2


def test_two_with_one_number_spoil_their_slot_and_can_be_counted() -> None:
    room = Room()
    room.room.module(3).number = 2
    answers = room.raw(group(65, 1, 4))
    assert [(slot, sound(data)) for slot, data in answers] == [(0, True), (1, False), (3, True)]
    assert all(len(data) == 15 for _, data in answers)
    counted = room.ask(framed(103, b"\0\2"))
    serials = [room.room.module(block).identity.serial for block in (2, 3)]
    assert sorted(struct.unpack(">HI", data)[1] for _, data in counted) == serials
    assert {slot for slot, _ in counted} == {serial % 8 for serial in serials}
    ((_, data),) = room.raw(framed(100, b"\0\2\0\x09"))
    assert not sound(data)


def test_a_line_check_is_echoed_whole_by_one_and_shown_by_all() -> None:
    room = Room()
    data = b"\0\3\x12\x34\4abcd"
    assert room.ask(framed(102, data)) == [(0, data)]
    assert room.raw(framed(102, b"\0\0\0\5\0")) == []
    assert all(module.light for module in room.room.modules)
    assert room.raw(framed(102, b"\0\3\0\1\x41" + bytes(65))) == []


def test_a_module_that_restarts_says_so_and_forgets_what_it_was_told() -> None:
    room = Room()
    room.ask(framed(68, b"\0\1\1\x32"))
    room.ask(framed(70, b"\0\1\1"))
    room.room.module(1).restart()
    assert room.read(1)[1] == 0x20 and room.plant.block(1).drawn == 0.0


def test_sensors_tell_the_current_of_their_string_in_both_directions() -> None:
    room = Room(8, 2)
    answers = room.ask(framed(104, b"\1\x10"))
    assert [slot for slot, _ in answers] == [0, 1]
    number, status, direct, ripple = struct.unpack(">BBiH", answers[1][1])
    assert (number, status, direct, ripple) == (2, 0, round(room.plant.string(2).current * 1000), 14)
    room.plant.mains = False
    room.plant.advance(5.0)
    room.room.broken_sensors.add(1)
    room.room.lost_sensors.add(2)
    ((_, data),) = room.ask(framed(104, b"\1\2"))
    assert struct.unpack(">BBiH", data) == (1, 1, 0, 0)
    room.room.lost_sensors.clear()
    ((_, data),) = room.ask(framed(104, b"\2\1"))
    assert struct.unpack(">BBiH", data)[2] < -1000


def test_boxes_are_read_and_switched_bit_by_bit() -> None:
    room = Room(boxes=2)
    room.room.boxes[1].inputs = 0b0101
    assert room.ask(framed(105, b"\2")) == [(0, b"\2\5\0")]
    assert room.ask(framed(106, b"\2\6\2")) == [(0, b"\2\5\2")]
    assert room.ask(framed(106, b"\2\1\1")) == [(0, b"\2\5\3")]
    assert room.raw(framed(106, b"\2\x10\0")) == [(0, framed(234, b"\3"))]
    assert room.raw(framed(105, b"\3")) == []
    room.room.boxes[1].lost = True
    assert room.raw(framed(105, b"\2")) == []


def test_a_box_takes_its_safe_state_when_the_master_is_silent() -> None:
    room = Room(boxes=1)
    assert room.ask(framed(107, b"\1\1\1\0\x1e")) == [(0, b"\1\1\1\0\x1e")]
    room.now += 29.0
    room.ask(framed(72))
    room.now += 29.0
    room.room.look(room.now)
    assert room.room.boxes[0].outputs == 0
    room.now += 2.0
    room.room.look(room.now)
    assert room.room.boxes[0].outputs == 1


@pytest.mark.parametrize(("breakers", "order", "opened"), [("one", b"\1\1\1", {1, 2}), ("each", b"\1\2\2", {2})])
def test_an_energised_output_trips_breakers_which_stay_open(breakers: Breakers, order: bytes, opened: set[int]) -> None:
    room = Room(8, 2, breakers, boxes=1)
    room.ask(framed(106, order))
    room.room.look(room.now)
    room.ask(framed(106, b"\1\x0f\0"))
    room.room.look(room.now)
    assert {string for string in (1, 2) if not room.plant.closed[string - 1]} == opened


def test_breakers_need_boxes() -> None:
    with pytest.raises(ValueError, match="8 breakers need 2 boxes, not 1"):
        Installation(Plant(BlockDesign(), 8, 8), boxes=1, breakers="each")


def test_only_those_in_reach_hear() -> None:
    room = Room(boxes=1)
    assert [slot for slot, _ in room.ask(group(66, 1, 4), reach={3, 4})] == [2, 3]
    assert room.raw(framed(105, b"\1"), reach={3, 4}) == []
    assert room.ask(framed(105, b"\1"), reach={0})


def test_a_reader_finds_requests_in_pieces_and_drops_noise_until_the_line_is_silent() -> None:
    reader = Reader()
    request = group(65, 1, 5)
    assert reader.feed(request[:3]) == []
    (found,) = reader.feed(request[3:])
    assert (found.function, found.data, found.length) == (65, b"\0\1\5", 7)
    assert len(reader.feed(request + framed(68, b"\0\1\2\1\1") + framed(72))) == 3
    assert reader.feed(b"\x01\x03\0\0\0\1\x84\x0a" + request) == []
    assert reader.feed(request) == []
    reader.silence()
    assert reader.broken == 0
    assert reader.feed(request[:-1] + b"\0") == []
    reader.silence()
    assert reader.feed(b"\xf7\x03" + bytes(4)) == []
    reader.silence()
    assert reader.broken == 2
    assert reader.feed(framed(68, b"\0\1\xff" + bytes(255))[:40]) == []
    reader.silence()
    assert reader.broken == 3
    assert len(reader.feed(request)) == 1


def test_voltages_are_measured_with_noise() -> None:
    plant = Plant(BlockDesign(), 1, 2)
    module = Installation(plant, noise=0.002).module(1)
    heard = [module.voltage() for _ in range(200)]
    assert 1.0 < pstdev(heard) < 3.0
    assert mean(heard) == pytest.approx(1000.0 * plant.block(1).voltage, abs=1.0)
