"""How keys are found, values are made to fit, and contradictions are refused."""

from dataclasses import replace

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
    SwitchType,
    Template,
    Value,
    slug,
)

VOLTAGE = Quantity("voltage", "V", "float", 1, "voltage", "measurement")
FLAG = Quantity("flag", "", "bool")
COUNT = Quantity("count", "", "int")
TEXT = Quantity("text", "", "text")
TIME = Quantity("timestamp", "", "time")
ENUM = Quantity("enum", "", "text", device_class="enum")
KINDS = {"ups": "UPS", "outlet": "Outlet"}
UPS = frozenset({"ups"})


def point(key: str, **more: object) -> Point:
    template = Template(key, {"line": ("L1", "L2"), "name": ()})
    return replace(Point(template, UPS, VOLTAGE, key), **more)  # type: ignore[arg-type]  # what the test names


def condition(key: str = "on_battery") -> ConditionType:
    return ConditionType(key, UPS, Severity.WARNING, key, Template(key))


def command(key: str = "load.on", *arguments: Argument) -> CommandType:
    return CommandType(key, UPS, "load", Role.ADMIN, key, arguments)


def test_plain_key_goes_before_a_template_and_a_template_before_the_next() -> None:
    plain, line, anything = point("input.L1.voltage"), point("input.{line}.voltage"), point("input.{name}")
    catalogue = Catalogue(KINDS, (anything, plain), (), ())
    assert catalogue.point("ups", "input.L1.voltage") is plain
    assert catalogue.point("ups", "input.L2.voltage") is anything
    assert Catalogue(KINDS, (line, anything), (), ()).point("ups", "input.L2.voltage") is line
    assert Catalogue(KINDS, (line, anything), (), ()).point("ups", "input.L9.voltage") is anything


def test_key_of_another_kind_or_of_none_is_not_found() -> None:
    catalogue = Catalogue(KINDS, (point("input.{line}.voltage"),), (condition(),), (command(),))
    assert catalogue.point("outlet", "input.L1.voltage") is None
    assert catalogue.point("ups", "input.L1.voltag") is None
    assert catalogue.condition("outlet", "on_battery") is None
    assert catalogue.command("outlet", "load.on") is None
    assert catalogue.commands_of("outlet") == ()
    assert catalogue.commands_of("ups") == (command(),)


def test_flood_of_unknown_keys_does_not_fill_the_memory() -> None:
    catalogue = Catalogue(KINDS, (point("input.{line}.voltage"),), (), ())
    for number in range(10_000):
        catalogue.point("ups", f"nonsense.{number}")
    assert len(catalogue._found) <= 4096
    assert catalogue.point("ups", "input.L1.voltage") is not None


@pytest.mark.parametrize(
    ("points", "conditions", "commands", "switches", "problem"),
    [
        ((point("a"), point("a", name="b")), (), (), (), "stands twice"),
        ((point("{line}.a"), point("{line}.a", name="b")), (), (), (), "stands twice"),
        ((), (condition(), replace(condition(), name="b")), (), (), "stands twice"),
        ((), (), (command(), replace(command(), name="b")), (), "stands twice"),
        ((point("a", kinds=frozenset({"boat"})),), (), (), (), "no kind of device boat"),
        (
            (),
            (condition(),),
            (command(),),
            (SwitchType("s", UPS, "load.on", "x", "on_battery", "S"),),
            "does not exist",
        ),
        ((), (), (command(),), (SwitchType("s", UPS, "load.on", "load.on", "on_battery", "S"),), "does not exist"),
    ],
)
def test_tables_that_contradict_one_another_are_refused(
    points: tuple[Point, ...],
    conditions: tuple[ConditionType, ...],
    commands: tuple[CommandType, ...],
    switches: tuple[SwitchType, ...],
    problem: str,
) -> None:
    with pytest.raises(CatalogueError, match=problem):
        Catalogue(KINDS, points, conditions, commands, switches)


def test_kind_has_a_name_or_the_error_says_which_there_are() -> None:
    catalogue = Catalogue(KINDS, (), (), ())
    assert catalogue.kind("ups") == "UPS"
    with pytest.raises(CatalogueError, match="permitted: ups, outlet"):
        catalogue.kind("boat")


def test_placeholders_are_taken_out_of_a_key() -> None:
    template = Template("input.{line}.{name}", {"line": ("L1", "L1-N"), "name": ()})
    assert template.match("input.L1-N.a.b") == {"line": "L1-N", "name": "a.b"}
    assert template.match("input.L3.a") is None
    assert template.placeholders == {"line": ("L1", "L1-N"), "name": ()}
    assert template.slug == "input_line_name"
    assert not template.plain
    assert Template("ups.load").plain
    assert Template("ups.load").placeholders == {}


@pytest.mark.parametrize(
    ("quantity", "value", "expected"),
    [
        (VOLTAGE, "230.0", 230.0),
        (VOLTAGE, " 042.7 ", 42.7),
        (VOLTAGE, "-.5e1", -5.0),
        (VOLTAGE, 230, 230.0),
        (COUNT, "3.00", 3),
        (COUNT, 3.9, 3),
        (FLAG, "Yes", True),
        (FLAG, "enabled", True),
        (FLAG, "0", False),
        (FLAG, "1.00", True),
        (FLAG, 0.0, False),
        (FLAG, True, True),
        (TEXT, 12, "12"),
        (TIME, "2026-01-01T13:00:00+01:00", "2026-01-01T12:00:00+00:00"),
    ],
)
def test_value_is_made_to_fit_its_quantity(quantity: Quantity, value: Value, expected: Value) -> None:
    result = quantity.coerce(value)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("quantity", "value"),
    [
        (VOLTAGE, "n/a"),
        (VOLTAGE, ""),
        (VOLTAGE, "nan"),
        (VOLTAGE, "inf"),
        (VOLTAGE, "1e999"),
        (VOLTAGE, float("nan")),
        (VOLTAGE, "1_000"),
        (VOLTAGE, "٣"),
        (VOLTAGE, "21,5"),
        (VOLTAGE, "64:41"),
        (COUNT, "inf"),
        (FLAG, "2.00"),
        (FLAG, "maybe"),
        (FLAG, ""),
        (TIME, "yesterday"),
        (TIME, "2026-01-01T12:00:00"),
    ],
)
def test_value_that_cannot_be_one_is_refused(quantity: Quantity, value: Value) -> None:
    with pytest.raises(ValueError, match="is not|does not"):
        quantity.coerce(value)


@given(st.text() | st.floats() | st.integers() | st.booleans(), st.sampled_from([VOLTAGE, FLAG, COUNT, TEXT, TIME]))
def test_whatever_comes_is_a_value_of_the_type_or_a_value_error(value: Value, quantity: Quantity) -> None:
    wanted = {"float": float, "int": int, "bool": bool, "text": str, "time": str}[quantity.type]
    try:
        result = quantity.coerce(value)
    except ValueError:
        return
    assert type(result) is wanted
    assert quantity.coerce(result) == result


def test_enum_takes_the_wordings_of_devices() -> None:
    status = point("outlet.status", quantity=ENUM, options=("on", "off"), aliases={"on_closed": "on", "1": "on"})
    assert status.coerce("On") == "on"
    assert status.coerce("on/closed") == "on"
    assert status.coerce(1) == "on"
    with pytest.raises(ValueError, match="one of on, off"):
        status.coerce("half")


def test_what_is_fixed_has_no_statistics() -> None:
    assert point("a").state_class == "measurement"
    assert point("a", fixed=True).state_class is None
    assert point("a").unit == "V"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"delay": 5.0}, "must be 12 to 600 s, not 5.0"),
        ({"delay": 601.0}, "must be 12 to 600 s"),
        ({"delay": "20"}, "must be"),
        ({"delay": True}, "must be"),
        ({"delay": float("nan")}, "must be"),
        ({"delay": 20.0, "color": 1.0}, "takes no argument color; permitted: delay"),
        ({}, "needs delay: 12 to 600 s"),
    ],
)
def test_wrong_argument_is_answered_with_what_is_permitted(arguments: dict[str, Value], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        command("shutdown.return", Argument("delay", "s", 12, 600)).check(arguments)


def test_right_arguments_and_defaults_pass() -> None:
    command("shutdown.return", Argument("delay", "s", 12, 600)).check({"delay": 12})
    command("shutdown.return", Argument("delay", "s", 12, 600, 30)).check({})
    with pytest.raises(ValueError, match="permitted: none"):
        command().check({"delay": 1.0})


def test_severities_and_roles_have_an_order() -> None:
    assert [severity.rank for severity in Severity] == [0, 1, 2]
    assert Role.ADMIN.may(Role.GUEST)
    assert Role.ENGINEER.may(Role.ENGINEER)
    assert not Role.CUSTOMER.may(Role.ENGINEER)


@given(st.text())
def test_slug_is_one_word(text: str) -> None:
    word = slug(text)
    assert slug(word) == word
    assert set(word) <= set("abcdefghijklmnopqrstuvwxyz0123456789_")
