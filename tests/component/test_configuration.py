"""What the bridge says of its configuration, and what forms make of it."""

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings, strategies as st
import pytest

from custom_components.ridethrough import configuration, wire
from custom_components.ridethrough.configuration import ConfiguredDevice, Kind, Option, OptionKind, Reach, Scheme
from custom_components.ridethrough.device_form import (
    connection_schema,
    connection_values,
    error_field,
    finding_placeholders,
    free_key,
    option_placeholders,
    reach_of,
    settings_values,
    take_connection,
    take_settings,
)
from custom_components.ridethrough.link import LinkAddress, without_secrets
from custom_components.ridethrough.wire import MalformedMessage

from .bridge_peer import FOUND, SCHEMES, in_file
from .test_wire import JSON

POSSIBLE = configuration.possibilities(SCHEMES)
PARSERS = (configuration.possibilities, configuration.listing, configuration.finding, wire.configured)


def scheme(name: str) -> Scheme:
    found = POSSIBLE.scheme(name)
    assert found is not None
    return found


def spoilt(answer: Any, rubbish: Any, where: int) -> Any:
    """Put rubbish at one place of an answer."""
    places = [0]

    def walk(part: Any) -> Any:
        places[0] += 1
        if places[0] == where:
            return rubbish
        if isinstance(part, dict):
            return {key: walk(value) for key, value in part.items()}
        return [walk(value) for value in part] if isinstance(part, list) else part

    return walk(answer)


ANSWERS: tuple[tuple[Callable[[Any], object], Any], ...] = (
    (configuration.possibilities, SCHEMES),
    (configuration.listing, {"revision": "a", "devices": [in_file("a", "b", settings={"power": 1000})]}),
    (configuration.finding, FOUND),
    (wire.configured, {"id": 1, "ok": False, "error": {"code": "a", "message": "b", "field": "c"}}),
)


@given(parser=st.sampled_from(PARSERS), raw=JSON)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_comes_is_parsed_or_malformed(parser: Any, raw: Any) -> None:
    try:
        parser(raw)
    except MalformedMessage:
        return


@given(answer=st.sampled_from(ANSWERS), rubbish=JSON, where=st.integers(1, 120))
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_answer_with_rubbish_in_it_is_parsed_or_malformed(answer: Any, rubbish: Any, where: int) -> None:
    parser, right = answer
    try:
        parser(spoilt(right, rubbish, where))
    except MalformedMessage:
        return


def test_what_a_newer_bridge_has_is_left_out_or_a_text() -> None:
    newer = {
        "schemes": [
            SCHEMES["schemes"][0] | {"scheme": "telepathy", "reach": "mind"},
            SCHEMES["schemes"][0] | {"options": [SCHEMES["schemes"][0]["options"][0] | {"kind": "colour"}]},
        ],
        "groups": {},
    }
    (known,) = configuration.possibilities(newer).schemes
    assert known.options[0].kind is OptionKind.TEXT
    listing = configuration.listing({"revision": "a", "devices": [in_file("a", "b", kind="toaster")]})
    assert listing.devices == ()


@pytest.mark.parametrize(
    "text",
    [
        "megatec:/dev/ttyUSB0",
        "megatec:/dev/serial/by-id/usb-one?baud=9600&dtr=off",
        "nut://127.0.0.1:3493/ups1",
        "nut://host/ups1?ca=/etc/ssl/ca.pem",
        "snmp://[2001:db8::7]:1161?version=2c",
        "modbus://host",
        "module_bus:/dev/ttyUSB1?ring=/dev/ttyUSB2",
        "module_bus://192.0.2.7:4001",
    ],
)
def test_link_is_taken_apart_and_put_together(text: str) -> None:
    assert str(LinkAddress.parse(text)) == text


def test_value_with_signs_of_a_url_survives_in_a_link() -> None:
    address = LinkAddress("contacts", serial_port="/dev/ttyS0", options={"supply": "dtr+rts", "name": "a&b=c?"})
    assert LinkAddress.parse(str(address)) == address


@pytest.mark.parametrize(
    ("name", "link"),
    [
        ("megatec", "megatec:/dev/ttyUSB0"),
        ("megatec", "megatec:/dev/ttyUSB1?baud=9600&patience=2.5&packs=20&restart=no"),
        ("nut", "nut://host/ups1"),
        ("nut", "nut://host:1234/ups1?tls=no&ca=/etc/ca.pem"),
        ("modbus", "modbus://192.0.2.7?profile=cs141"),
        ("modbus", "modbus:/dev/ttyUSB0?profile=cs141"),
    ],
)
def test_form_that_is_sent_as_it_was_shown_changes_no_link(name: str, link: str) -> None:
    address = LinkAddress.parse(link)
    reach = reach_of(scheme(name), address)
    again, secrets = take_connection(scheme(name), reach, connection_values(scheme(name), address), address)
    assert str(again) == link
    assert secrets == {}


def test_option_at_its_default_is_not_written() -> None:
    answers = {"serial_port": " /dev/ttyUSB0 ", "baud": "2400", "advanced": {"patience": 1.0, "restart": True}}
    assert (
        str(take_connection(scheme("megatec"), Reach.SERIAL, answers, LinkAddress("megatec"))[0])
        == "megatec:/dev/ttyUSB0"
    )


def test_unreadable_number_in_a_link_is_shown_as_it_is() -> None:
    values = connection_values(scheme("megatec"), LinkAddress.parse("megatec:/dev/ttyUSB0?packs=many"))
    assert values["advanced"]["packs"] == "many"


def test_way_is_asked_where_both_are_possible() -> None:
    assert reach_of(scheme("modbus"), LinkAddress("")) is Reach.EITHER
    assert reach_of(scheme("modbus"), LinkAddress.parse("modbus:/dev/ttyS0")) is Reach.SERIAL
    assert reach_of(scheme("nut"), LinkAddress("")) is Reach.HOST


def test_settings_survive_their_form_and_what_it_does_not_ask_stays() -> None:
    settings: dict[str, float | str | None] = {
        "power": 3000,
        "hold_time": 7.5,
        "battery_installed": "2025-03-01",
        "recharge_time": 5,
        "newer": "kept",
    }
    device = ConfiguredDevice("a", Kind.UPS, "A", "x:y", device="uuid", settings=settings, allow=("test",))
    assert take_settings(device, settings_values(device), ["a"]) == device


def test_setting_that_is_emptied_is_no_longer_set() -> None:
    device = ConfiguredDevice("a", Kind.UPS, "A", "x:y", device="uuid", settings={"power": 3000, "load": 5})
    changed = take_settings(device, {"name": "B", "power": 1000.0, "battery": {}}, [])
    assert (changed.name, changed.key) == ("B", "a")
    assert changed.settings == {"power": 1000, "load": None}
    assert "load" not in settings_values(changed)
    assert take_settings(changed, {"name": "B", "battery": {}}, []).settings == {"power": None, "load": None}


def test_id_is_made_of_the_name_and_free() -> None:
    assert free_key("Rack UPS", []) == "rack-ups"
    assert free_key("Rack UPS", ["rack-ups", "rack-ups-2"]) == "rack-ups-3"
    assert free_key("Größe Ü", []) == "grosse-u"


@pytest.mark.parametrize(
    ("name", "reach", "field", "shown"),
    [
        ("megatec", Reach.SERIAL, "link", "serial_port"),
        ("nut", Reach.HOST, "link", "host"),
        ("nut", Reach.HOST, "password", "password"),
        ("nut", Reach.HOST, "secrets.password", "password"),
        ("nut", Reach.HOST, "option.ca", "advanced"),
        ("megatec", Reach.SERIAL, "option.baud", "baud"),
        ("megatec", Reach.SERIAL, "settings.power", "power"),
        ("megatec", Reach.SERIAL, "battery_installed", "battery"),
        ("megatec", Reach.SERIAL, "option.smell", "base"),
        ("megatec", Reach.SERIAL, None, "base"),
    ],
)
def test_error_is_shown_where_it_was_entered(name: str, reach: Reach, field: str | None, shown: str) -> None:
    assert error_field(scheme(name), reach, field) == shown


def test_defaults_that_are_no_texts_are_written_as_in_a_link() -> None:
    option = SCHEMES["schemes"][0]["options"][0]
    options = [option | {"default": default} for default in (True, False, 2.5, 3.0, 7)]
    raw = {"schemes": [SCHEMES["schemes"][0] | {"options": options}], "groups": {}}
    (known,) = configuration.possibilities(raw).schemes
    assert [item.default for item in known.options] == ["yes", "no", "2.5", "3", "7"]


@pytest.mark.parametrize(
    ("parser", "raw"),
    [
        (configuration.possibilities, SCHEMES | {"ports": [7]}),
        (configuration.possibilities, SCHEMES | {"groups": {"ups": "test"}}),
        (configuration.possibilities, SCHEMES | {"schemes": [SCHEMES["schemes"][0] | {"port": "22"}]}),
        (configuration.finding, FOUND | {"values": ["97 %"]}),
        (configuration.finding, FOUND | {"values": [FOUND["values"][0] | {"value": [97]}]}),
        (configuration.listing, {"revision": "a", "devices": [in_file("a", "b", device=7)]}),
    ],
)
def test_what_breaks_the_contract_is_malformed(parser: Callable[[Any], object], raw: Any) -> None:
    with pytest.raises(MalformedMessage):
        parser(raw)


def test_truth_that_a_test_found_is_shown_as_a_sign() -> None:
    row = FOUND["values"][0] | {"key": "a", "name": "", "unit": ""}
    found = configuration.finding(
        FOUND | {"values": [row | {"value": True}, row | {"value": False}, row | {"value": None}]}
    )
    assert finding_placeholders(found)["values"] == "- a: ✓\n- a: ✗"


def test_secret_never_gets_into_the_link_and_one_that_is_there_stays_until_another_is_entered() -> None:
    community = Option("community", "the community", OptionKind.TEXT)
    snmp = Scheme("snmp", "SNMP", "snmp://192.0.2.7", Reach.HOST, 161, (community,), ("community",))
    assert "advanced" not in {str(marker) for marker in connection_schema(snmp, Reach.HOST, []).schema}
    assert option_placeholders(snmp)["options"] == ""
    entered = {"host": "ups", "community": "geheim"}
    old = LinkAddress.parse("snmp://ups?community=public")
    address, secrets = take_connection(snmp, Reach.HOST, entered, old)
    assert (str(address), secrets) == ("snmp://ups", {"community": "geheim"})
    assert str(take_connection(snmp, Reach.HOST, {"host": "ups"}, old)[0]) == "snmp://ups?community=public"
    assert without_secrets("snmp://ups?community=public&version=1") == "snmp://ups?version=1"
