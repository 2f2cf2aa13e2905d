"""The catalogue's model: keys, types, and files that contradict one another."""

from collections.abc import Callable
import math

from hypothesis import given, strategies as st
import pytest

from ridethrough.catalogue import (
    Argument,
    Catalogue,
    CatalogueError,
    CommandType,
    ConditionType,
    Point,
    Quantity,
    Role,
    Severity,
    Template,
    load_catalogue,
    reader,
)
from ridethrough.site import Value

VOLTAGE = Quantity("voltage", "V", "float")
KINDS = {"ups": "UPS", "outlet": "Outlet"}
LINE = {"line": ("L1", "L1-N"), "name": ()}


def point(key: str, *kinds: str) -> Point:
    return Point(Template(key, LINE), frozenset(kinds), VOLTAGE, key)


def condition(*kinds: str) -> ConditionType:
    return ConditionType("on_battery", frozenset(kinds), Severity.WARNING, "On battery", Template("on_battery"))


def command(*kinds: str) -> CommandType:
    return CommandType("load.off", frozenset(kinds), "load", Role.ADMIN, "Output off")


# Contradictions


@pytest.mark.parametrize(
    ("points", "conditions", "commands", "words"),
    [
        ((point("a", "ups"), point("a", "ups", "outlet")), (), (), "point a stands twice for ups"),
        ((), (condition("ups"), condition("ups")), (), "condition on_battery stands twice"),
        ((), (), (command("outlet"), command("outlet")), "command load.off stands twice for outlet"),
        ((point("a", "teapot"),), (), (), "no kind of device teapot"),
        ((), (condition("teapot"),), (), "no kind of device teapot"),
        ((), (), (command("teapot"),), "no kind of device teapot"),
    ],
)
def test_contradiction_is_told(
    points: tuple[Point, ...], conditions: tuple[ConditionType, ...], commands: tuple[CommandType, ...], words: str
) -> None:
    with pytest.raises(CatalogueError, match=words):
        Catalogue(KINDS, points, conditions, commands)


def test_same_key_for_other_kinds_is_no_contradiction() -> None:
    catalogue = Catalogue(KINDS, (point("a", "ups"), point("a", "outlet")), (condition("ups"),), (command("ups"),))
    assert catalogue.point("ups", "a") is not catalogue.point("outlet", "a")
    assert catalogue.condition("outlet", "on_battery") is None
    assert catalogue.commands_of("ups") == catalogue.commands
    assert catalogue.commands_of("outlet") == ()
    assert catalogue.kind("ups") == "UPS"


def test_row_with_too_few_or_too_many_cells_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for row in ("ups", "ups,UPS,more"):
        monkeypatch.setattr(reader, "_text", lambda name, row=row: f"# comment\n\nkind,name\n{row}\n")
        with pytest.raises(CatalogueError, match="more or fewer cells"):
            list(reader._rows("kinds.csv"))


def test_point_of_an_unknown_quantity_is_told() -> None:
    with pytest.raises(CatalogueError, match="unknown quantity 'smell'"):
        reader._point({"key": "a", "quantity": "smell"}, {})


def test_own_files_do_not_contradict_one_another() -> None:
    catalogue = load_catalogue()
    assert catalogue is load_catalogue()
    for row in catalogue.commands:
        for argument in row.arguments:
            assert argument.minimum <= argument.maximum
            assert argument.default is None or argument.permits(argument.default)


# Templates


def test_template_answers_for_all_its_keys_and_no_others() -> None:
    catalogue = Catalogue(KINDS, (point("input.{line}.voltage", "ups"), point("x.{name}", "ups")), (), ())
    found = catalogue.point("ups", "input.L1-N.voltage")
    assert found is not None
    assert found.key.match("input.L1.voltage") == {"line": "L1"}
    assert catalogue.point("ups", "input.L9.voltage") is None
    assert catalogue.point("ups", "inputXL1.voltage") is None
    assert catalogue.point("ups", "x.") is None
    assert catalogue.point("outlet", "input.L1.voltage") is None
    assert found.key.slug == "input_line_voltage"
    assert (found.key.plain, Template("ups.load").plain) == (False, True)
    assert found.unit == "V"


def test_plain_key_goes_before_a_template() -> None:
    plain = point("input.L1.voltage", "ups")
    catalogue = Catalogue(KINDS, (point("input.{line}.voltage", "ups"), plain), (), ())
    assert catalogue.point("ups", "input.L1.voltage") is plain


def test_made_up_keys_cost_no_memory() -> None:
    catalogue = Catalogue(KINDS, (point("x.{line}", "ups"),), (), ())
    for number in range(10_000):
        assert catalogue.point("ups", f"made.up.{number}") is None
    assert len(catalogue._found) <= 4096


# Types


@pytest.mark.parametrize(
    ("kind", "value", "result"),
    [
        ("float", "230.5", 230.5),
        ("float", 230, 230.0),
        ("int", "7", 7),
        ("int", 7.0, 7),
        ("int", 2**60 + 1, 2**60 + 1),
        ("text", 5, "5"),
        ("bool", True, True),
        ("bool", " Yes ", True),
        ("bool", 1, True),
        ("bool", "off", False),
    ],
)
def test_value_becomes_what_its_quantity_is(kind: str, value: Value, result: Value) -> None:
    coerced = Quantity("x", "", kind).coerce(value)
    assert coerced == result
    assert type(coerced) is type(result)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("float", "n/a"),
        ("float", math.nan),
        ("float", -math.inf),
        ("float", 10**400),
        ("float", True),
        ("int", "inf"),
        ("int", math.inf),
        ("int", math.nan),
        ("int", False),
        ("int", ""),
        ("bool", "perhaps"),
        ("bool", 2),
    ],
)
def test_value_that_cannot_be_raises_value_error(kind: str, value: Value) -> None:
    with pytest.raises(ValueError):
        Quantity("x", "", kind).coerce(value)


@given(
    st.sampled_from(["float", "int", "bool", "text"]),
    st.floats() | st.integers() | st.booleans() | st.text() | st.just("1" * 5000),
)
def test_coercion_gives_the_type_or_value_error(kind: str, value: Value) -> None:
    try:
        coerced = Quantity("x", "", kind).coerce(value)
    except ValueError:
        return
    assert type(coerced) is {"float": float, "int": int, "bool": bool, "text": str}[kind]
    assert not isinstance(coerced, float) or math.isfinite(coerced)


def test_enum_takes_its_options_only() -> None:
    mode = Point(Template("m"), frozenset({"ups"}), Quantity("enum", "", "text"), "M", options=("line", "battery"))
    assert mode.coerce("line") == "line"
    with pytest.raises(ValueError, match="line, battery"):
        mode.coerce("sideways")


# Roles, severities, arguments


def test_roles_include_the_lesser_ones() -> None:
    assert [role.rank for role in Role] == [0, 1, 2, 3]
    assert Role.ENGINEER.may(Role.CUSTOMER)
    assert Role.ENGINEER.may(Role.ENGINEER)
    assert not Role.ENGINEER.may(Role.ADMIN)
    assert [severity.rank for severity in Severity] == [0, 1, 2]


def test_argument_without_a_default_must_be_given() -> None:
    needs = CommandType(
        "x", frozenset({"ups"}), "test", Role.ADMIN, "X", (Argument("a", "s", 1, 9), Argument("b", "", 0, 1, 1))
    )
    with pytest.raises(ValueError, match="x needs a: 1 to 9 s"):
        needs.check({})
    needs.check({"a": 1})


def test_argument_in_the_file_may_lack_its_default() -> None:
    parse: Callable[[str], Argument] = reader._argument
    assert parse("delay:s:0:600:30") == Argument("delay", "s", 0, 600, 30)
    assert parse("delay:s:0:600").default is None
