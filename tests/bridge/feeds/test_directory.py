"""What rows of maps find of the site, and which of them a change touches."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from ridethrough.catalogue import Value
from ridethrough.feeds.directory import Dependents, Directory, Need, Part, Subject
from ridethrough.site import Change, Device, DeviceId, Quality

from .rig import World

SENSOR = Part("sensor", "1")
CHARGE = Need(None, "battery.charge")
ON_BATTERY = Need(None, "on_battery", condition=True)
TEMPERATURE = Need(SENSOR, "sensor.temperature")


@pytest.fixture
def subject(world: World) -> Subject:
    """Look at a UPS that need not be there yet."""
    return Subject(world.context.directory, "ups-1")


@contextmanager
def changes(world: World) -> Iterator[list[Change]]:
    """Collect what changes meanwhile."""
    seen: list[Change] = []
    end = world.site.observe(seen.append)
    yield seen
    end()


def dependents(world: World, subject: Subject, *needs: Need) -> Dependents[str]:
    """Make a map with one row for each of these needs, called as the need's key and its part's number."""
    rows = {need.key if need.part is None else f"{need.key}@{need.part.number}": (need,) for need in needs}
    return Dependents(world.context.directory, subject, rows)


def touched(rows: Dependents[str], seen: Iterable[Change]) -> list[list[str]]:
    """Say which rows each change touches."""
    return [rows.touched(change) for change in seen]


# Finding devices


def test_devices_that_exist_already_are_found(world: World) -> None:
    ups = world.ups()
    assert Directory(world.site).find("ups-1") == ups


def test_devices_come_and_go(world: World) -> None:
    directory = world.context.directory
    assert directory.find("ups-1") is None
    ups = world.ups()
    sensor = world.part(ups, "sensor", "1")
    assert directory.find("ups-1") == ups
    assert directory.part(ups, SENSOR) == sensor
    assert directory.part(ups, Part("sensor", "2")) is None
    assert directory.part(ups, None) is ups
    world.site.remove(ups.id)
    assert directory.find("ups-1") is None
    assert directory.find("ups-1/sensor-1") is None


def test_a_device_with_another_key_is_found_by_that(world: World) -> None:
    ups = world.ups()
    renamed = replace(ups, key="rack")
    world.site.put(renamed)
    assert world.context.directory.find("ups-1") is None
    assert world.context.directory.find("rack") == renamed


def test_two_devices_may_change_their_keys_in_one_revision(world: World) -> None:
    first, second = world.ups("ups-1"), world.ups("ups-2")
    with world.site.transaction():
        world.site.put(replace(first, key="ups-2"))
        world.site.put(replace(second, key="ups-1"))
    directory = world.context.directory
    assert [(found := directory.find(key)) and found.id for key in ("ups-1", "ups-2")] == [second.id, first.id]


def test_a_directory_that_is_closed_hears_no_more(world: World) -> None:
    directory = Directory(world.site)
    directory.close()
    world.ups()
    assert directory.find("ups-1") is None


# What is known of a subject


def test_a_subject_that_does_not_exist_knows_nothing(world: World, subject: Subject) -> None:
    assert subject.device is None
    assert subject.part(SENSOR) is None
    assert (subject.reading(CHARGE), subject.value(CHARGE)) == (None, None)
    assert (subject.state(ON_BATTERY), subject.holds(ON_BATTERY)) == (None, None)


def test_a_subject_knows_what_the_site_knows_now(world: World, subject: Subject) -> None:
    ups = world.ups()
    sensor = world.part(ups, "sensor", "1")
    assert (subject.device, subject.part(SENSOR)) == (ups, sensor)
    assert subject.value(CHARGE) == 100
    assert subject.holds(ON_BATTERY) is False
    assert subject.value(TEMPERATURE) is None
    world.post(ups, {"battery.charge": 42.0}, {"on_battery": True})
    world.post(sensor, {"sensor.temperature": 21.5})
    assert subject.value(CHARGE) == 42
    assert subject.holds(ON_BATTERY) is True
    assert subject.value(TEMPERATURE) == 21.5


def test_what_was_never_said_is_not_known(world: World, subject: Subject) -> None:
    world.ups()
    assert subject.holds(Need(None, "generator_on", condition=True)) is None
    assert subject.value(Need(None, "ups.efficiency")) is None


def test_lost_and_stale_values_are_not_given(world: World, subject: Subject) -> None:
    ups = world.ups()
    world.lanes[ups.id].drop(["battery.charge"])
    reading = subject.reading(CHARGE)
    assert reading is not None
    assert (reading.quality, reading.value) == (Quality.STALE, 100)
    assert subject.value(CHARGE) is None
    world.lose(ups)
    assert subject.value(Need(None, "battery.voltage")) is None
    assert subject.holds(ON_BATTERY) is None
    state = subject.state(ON_BATTERY)
    assert state is not None
    assert state.quality is Quality.LOST


# Phases

L1, L2, L3 = (Need(None, f"input.L{number}.voltage") for number in (1, 2, 3))


@pytest.mark.parametrize(
    ("points", "values"),
    [
        pytest.param({"input.voltage": 230.0}, (230, None, None), id="one phase"),
        pytest.param({"input.voltage": 230.0, "input.phases": 1}, (230, None, None), id="one phase, counted"),
        pytest.param({"input.L1.voltage": 231.0}, (231, None, None), id="one phase by its name"),
        pytest.param(
            {"input.L1.voltage": 1.0, "input.L2.voltage": 2.0, "input.L3.voltage": 3.0}, (1, 2, 3), id="three phases"
        ),
        pytest.param(
            {"input.L1-N.voltage": 1.0, "input.L2-N.voltage": 2.0, "input.L3-N.voltage": 3.0},
            (1, 2, 3),
            id="three phases against the neutral",
        ),
        pytest.param(
            {"input.voltage": 9.0, "input.L2.voltage": 2.0}, (None, 2, None), id="a mean is not the first phase"
        ),
        pytest.param(
            {"input.voltage": 9.0, "input.phases": 3}, (None, None, None), id="a mean of phases that are only counted"
        ),
        pytest.param(
            {"input.voltage": 9.0, "input.L2.voltage": None}, (9, None, None), id="phases that it does not have"
        ),
    ],
)
def test_phases_of_maps_are_those_of_devices(
    world: World,
    subject: Subject,
    points: dict[str, Value | None],
    values: tuple[float | None, float | None, float | None],
) -> None:
    ups = world.device("ups-1")
    world.post(ups, points)
    assert tuple(subject.value(need) for need in (L1, L2, L3)) == values


def test_load_of_the_only_phase_is_the_load(world: World, subject: Subject) -> None:
    world.post(world.device("ups-1"), {"ups.load": 30.0})
    assert subject.value(Need(None, "output.L1.power.percent")) == 30


def test_of_two_wordings_the_one_that_is_good_counts(world: World, subject: Subject) -> None:
    ups = world.device("ups-1")
    world.post(ups, {"input.L1.voltage": 231.0, "input.L1-N.voltage": 229.0})
    assert subject.value(L1) == 231
    world.lanes[ups.id].drop(["input.L1.voltage"])
    assert subject.value(L1) == 229
    world.lanes[ups.id].drop(["input.L1-N.voltage"])
    assert subject.value(L1) is None
    assert subject.reading(L1) is not None


# Which rows a change touches


def test_a_change_touches_the_rows_that_depend_on_it(world: World, subject: Subject) -> None:
    ups = world.ups()
    sensor = world.part(ups, "sensor", "1")
    rows = dependents(world, subject, TEMPERATURE, ON_BATTERY, CHARGE)
    with changes(world) as seen:
        world.post(ups, {"battery.charge": 42.0}, {"on_battery": True})
        world.post(ups, {"battery.voltage": 50.0}, {"overload": True})
        world.post(sensor, {"sensor.temperature": 21.5})
        world.post(world.ups("ups-2"), {"battery.charge": 7.0})
    # In the order of the map, and none for what no row wants.
    assert [found for found in touched(rows, seen) if found] == [
        ["on_battery", "battery.charge"],
        ["sensor.temperature@1"],
    ]


def test_a_point_is_no_condition_of_the_same_name(world: World, subject: Subject) -> None:
    ups = world.ups()
    rows = Dependents(
        world.context.directory, subject, {"point": (Need(None, "overload"),), "condition": (ON_BATTERY,)}
    )
    with changes(world) as seen:
        world.post(ups, conditions={"overload": True})
    assert touched(rows, seen) == [[]]


def test_a_row_with_several_needs_is_given_once(world: World, subject: Subject) -> None:
    ups = world.ups()
    rows = Dependents(
        world.context.directory, subject, {"word": (ON_BATTERY, Need(None, "overload", True), ON_BATTERY)}
    )
    with changes(world) as seen:
        world.post(ups, conditions={"overload": True, "on_battery": True})
    assert touched(rows, seen) == [["word"]]


def test_devices_that_come_go_or_change_touch_all_their_rows(world: World, subject: Subject) -> None:
    rows = dependents(world, subject, CHARGE, TEMPERATURE)
    with changes(world) as seen:
        ups = world.device("ups-1")
        sensor = world.part(ups, "sensor", "1")
        world.site.put(replace(sensor, name="Room"))
        world.site.remove(sensor.id)
        world.device("ups-9")
    assert touched(rows, seen) == [
        ["battery.charge"],
        ["sensor.temperature@1"],
        ["sensor.temperature@1"],
        ["sensor.temperature@1"],
        [],
    ]
    with changes(world) as seen:
        sensor = world.part(ups, "sensor", "1")
        world.post(sensor, {"sensor.temperature": 20.0})
        world.site.remove(ups.id)
    assert touched(rows, seen) == [
        ["sensor.temperature@1"],
        ["sensor.temperature@1"],
        ["battery.charge", "sensor.temperature@1"],
    ]


def test_a_device_that_is_renamed_touches_what_it_was_and_what_it_is(world: World, subject: Subject) -> None:
    ups = world.ups()
    second = Need(Part("sensor", "2"), "sensor.temperature")
    sensor = world.part(ups, "sensor", "1")
    rows = dependents(world, subject, TEMPERATURE, second)
    with changes(world) as seen:
        renamed = replace(sensor, key="ups-1/sensor-2")
        world.site.put(renamed)
        world.post(renamed, {"sensor.temperature": 22.0})
        world.site.put(replace(sensor, key="elsewhere"))
        world.post(sensor, {"sensor.temperature": 23.0})
    assert touched(rows, seen) == [
        ["sensor.temperature@1", "sensor.temperature@2"],
        ["sensor.temperature@2"],
        ["sensor.temperature@2"],
        [],
    ]


def test_a_value_of_a_phase_depends_on_how_many_phases_there_are(world: World, subject: Subject) -> None:
    ups = world.device("ups-1")
    rows = dependents(world, subject, L1)
    for points, value in (
        ({"input.voltage": 230.0}, 230),
        ({"input.phases": 3}, None),
        ({"input.phases": 1}, 230),
        ({"input.L2.voltage": 229.0}, None),
        ({"input.L1-N.voltage": 228.0}, 228),
    ):
        with changes(world) as seen:
            world.post(ups, points)
        assert touched(rows, seen) == [["input.L1.voltage"]], points
        assert subject.value(L1) == value, points


def test_one_of_512_blocks_touches_one_row(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    system = world.device("battery", "battery_system")
    blocks = [world.part(system, "battery_module", str(number)) for number in range(1, 513)]
    subject = Subject(world.context.directory, "battery")
    needs = [
        Need(Part("battery_module", str(number)), key)
        for number in range(1, 513)
        for key in ("module.voltage", "module.temperature", "module.impedance")
    ]
    rows = dependents(world, subject, *needs)
    looked_up = []
    look_up = Dependents._rows

    def counted(self: Dependents[str], device_id: DeviceId, key: str, *, condition: bool) -> list[str]:
        looked_up.append(key)
        return look_up(self, device_id, key, condition=condition)

    monkeypatch.setattr(Dependents, "_rows", counted)
    with changes(world) as seen:
        world.post(blocks[330], {"module.voltage": 13.512})
    assert touched(rows, seen) == [["module.voltage@331"]]
    assert looked_up == ["module.voltage"]
    assert subject.value(Need(Part("battery_module", "331"), "module.voltage")) == 13.512


def test_rows_of_parts_that_are_not_there_yet_cost_nothing(world: World, subject: Subject) -> None:
    ups: Device = world.ups()
    rows = dependents(world, subject, CHARGE, *(Need(Part("outlet", str(n)), "outlet.status") for n in range(1, 100)))
    with changes(world) as seen:
        world.post(ups, {"battery.charge": 1.0})
    assert touched(rows, seen) == [["battery.charge"]]
