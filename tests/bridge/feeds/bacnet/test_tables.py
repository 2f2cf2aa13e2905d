"""The tables agree with the catalogue, and with BACnet."""

from bacpypes3.basetypes import EngineeringUnits
import pytest

from ridethrough.catalogue import load_catalogue
from ridethrough.feeds.bacnet.tables import CommandRow, load_commands, load_units, unit_of

CATALOGUE = load_catalogue()


def test_every_number_of_the_catalogue_has_a_unit() -> None:
    for point in CATALOGUE.points:
        if point.quantity.type in {"int", "float"}:
            assert unit_of(point.quantity).bacnet in EngineeringUnits._enum_map or EngineeringUnits(
                unit_of(point.quantity).bacnet
            )


def test_every_unit_is_one_of_bacnet() -> None:
    assert len({int(EngineeringUnits(unit.bacnet)) for unit in load_units().values()}) == len(load_units())


@pytest.mark.parametrize("row", [pytest.param(row, id=row.key.text) for row in load_commands()])
def test_what_may_be_written_is_a_command_of_the_catalogue(row: CommandRow) -> None:
    for kind in row.kinds:
        on = CATALOGUE.command(kind, row.on)
        assert on is not None
        assert not row.off or CATALOGUE.command(kind, row.off) is not None
        assert row.off or not row.commandable
        on.check({name: int(word.format(number=1)) for name, word in row.on_arguments.items()})
        if state := row.state.text.format(number=1):
            assert CATALOGUE.condition(kind, state) or CATALOGUE.point(kind, state)


def test_no_condition_is_called_like_a_point() -> None:
    for condition in CATALOGUE.conditions:
        for kind in condition.kinds:
            example = condition.key.replace("{number}", "1").replace("{name}", "x").replace("{contact}", "1")
            point = CATALOGUE.point(kind, example)
            assert point is None or not point.key.plain, (kind, example)
