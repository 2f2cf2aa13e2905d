"""The configuration file: what is taken, and what a person is told when it is wrong."""

from collections.abc import Callable
import logging
from pathlib import Path
import re

from hypothesis import HealthCheck, given, settings, strategies as st
import pytest
from ruamel.yaml import YAML

from ridethrough.config import EXAMPLE, ApiConfig, BridgeConfig, ConfigError, Problem, load
from ridethrough.config.document import Secret
from ridethrough.config.values import command_groups

type Write = Callable[..., Path]

UPS = "ups:\n  - id: ups-1\n    link: megatec:/dev/ttyUSB0\n"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a configuration file, and secrets beside it."""

    def to_file(text: str | bytes, secrets: str | bytes | None = None) -> Path:
        file = tmp_path / "bridge.yaml"
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        if secrets is not None:
            beside = tmp_path / "secrets.yaml"
            beside.write_bytes(secrets.encode() if isinstance(secrets, str) else secrets)
            beside.chmod(0o600)
        return file

    return to_file


def problems(file: Path, check_link: Callable[[str], str | None] | None = None) -> list[tuple[int, str]]:
    """Return what is wrong with a file, by line."""
    with pytest.raises(ConfigError) as caught:
        load(file, check_link)
    return [(problem.line, problem.message) for problem in caught.value.problems]


def the_problem(file: Path, check_link: Callable[[str], str | None] | None = None) -> tuple[int, str]:
    """Return the one thing that is wrong with a file."""
    (problem,) = problems(file, check_link)
    return problem


# What is taken


def test_least_configuration_is_one_ups_and_opens_nothing_to_the_network(write: Write, tmp_path: Path) -> None:
    config = load(write(UPS))
    assert config.name == "Ridethrough"
    assert config.data == tmp_path / "data"
    assert config.api == ApiConfig(enabled=True, listen="127.0.0.1", port=8480, tls=None, zeroconf=False)
    (ups,) = config.ups
    assert (ups.key, ups.name, ups.enabled, ups.allow) == ("ups-1", "ups-1", True, frozenset())


def test_example_is_valid_and_mentions_every_key(write: Write) -> None:
    config = load(write(EXAMPLE))
    assert [ups.key for ups in config.ups] == ["ups-1", "ups-2", "ups-3", "ups-4"]
    assert config.ups[0].hold_time == 10.0
    keys = "allow api certificate data enabled hold_time id key link listen load name password port power"
    keys += " recharge_time tls ups username zeroconf community configure privacy_password model battery_installed"
    keys += " battery_too_old_after battery_health_level system_shutdown_time thresholds point outside below above"
    keys += " warning alarm hysteresis hold pipe transfer_switches traps"
    for key in keys.split(" "):
        assert f"{key}:" in EXAMPLE
    for group in command_groups():
        assert group in EXAMPLE


def test_sections_of_the_example_that_are_off_are_valid_together(write: Write) -> None:
    secrets = ("mail_password", "sim_pin", "chat_token", "hall_token")
    lines, on = [], False
    for line in EXAMPLE.splitlines():
        on = (on and bool(line)) or line in ("# agents:", "# jobs:", "# plans:", "# batteries:")
        lines.append(line[2:] if on else line)
    config = load(write("\n".join(lines), "".join(f"{name}: '12345678'\n" for name in secrets)))
    assert [computer.key for computer in config.agents.computers] == ["nas", "db-1", "pc-5"]
    assert len(config.jobs.jobs) == 5
    assert len(config.jobs.schedule) == 1
    assert [stage.key for stage in config.plans[0].stages] == ["clients", "databases", "storage"]
    (battery,) = config.batteries
    assert (battery.modules, [string.name for string in battery.strings]) == (64, ["Left", "Right"])


def test_every_commented_setting_of_the_example_is_valid_too(write: Write, tmp_path: Path) -> None:
    (tmp_path / "tls").mkdir()
    for name in ("bridge.pem", "bridge.key"):
        (tmp_path / "tls" / name).touch()
    text = re.sub(r"^( +)# ( *[a-z_]+:.*)$", r"\1\2", EXAMPLE, flags=re.MULTILINE)
    config = load(write(text, "nut_password: hunter2\nsnmp_community: a\nsnmp_password: b\nsnmp_privacy: c"))
    assert config.api.tls is not None
    assert config.api.tls.key == tmp_path / "tls" / "bridge.key"
    assert config.ups[1].password == "hunter2"


def test_the_feeds_of_the_example_are_valid(write: Write, tmp_path: Path) -> None:
    """They are commented as a block, from the first column on."""
    (tmp_path / "ca.pem").touch()
    before, begin, rest = EXAMPLE.partition("# feeds:\n")
    block, end, after = rest.partition("\n\n")
    text = before + "feeds:\n" + re.sub("^#", "", block, flags=re.MULTILINE) + end + after
    text = text.replace("/etc/ssl/certs/ca-certificates.crt", "ca.pem")
    names = ("nut_password", "snmp_community", "snmp_read", "snmp_other", "snmp_password", "snmp_privacy")
    config = load(write(text, "".join(f"{name}: long-enough-{name}\n" for name in names)))
    assert begin
    assert [feed.name for feed in config.feeds] == ["modbus", "snmp", "bacnet", "syslog", "nut"]
    assert all(feed.enabled for feed in config.feeds)
    assert config.feeds.bacnet is not None
    assert config.feeds.bacnet.recipients == ("192.0.2.9",)


def test_all_settings_of_a_ups_are_read(write: Write) -> None:
    (ups,) = load(
        write(
            "ups:\n- {id: a, name: Rack, link: 'nut://h/u', enabled: off, username: u, password: p, power: 3 kVA,"
            " load: 900, hold_time: 1.5 h, recharge_time: 480 min, allow: [test, load]}"
        )
    ).ups
    assert ups.name == "Rack"
    assert ups.enabled is False
    assert (ups.username, ups.password) == ("u", "p")
    assert (ups.power, ups.load, ups.hold_time, ups.recharge_time) == (3000.0, 900.0, 90.0, 8.0)
    assert ups.allow == {"test", "load"}


def test_single_grant_needs_no_list(write: Write) -> None:
    assert load(write(UPS + "    allow: test\n")).ups[0].allow == {"test"}


@pytest.mark.parametrize(
    ("written", "meant"),
    [("yes", True), ("on", True), ("true", True), ("True", True), ("no", False), ("off", False), ("false", False)],
)
def test_yes_and_no_are_taken_in_all_their_forms(write: Write, written: str, meant: bool) -> None:
    assert load(write(f"api:\n  zeroconf: {written}\n{UPS}")).api.zeroconf is meant


def test_texts_stay_as_they_were_written(write: Write) -> None:
    config = load(write("name: 0123\n" + UPS + "    password: 0o17\n    username: no\n"))
    assert config.name == "0123"
    assert (config.ups[0].username, config.ups[0].password) == ("no", "0o17")


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.1.4", "bridge.example.org", "localhost"])
def test_addresses_and_host_names_can_be_listened_on(write: Write, address: str) -> None:
    assert load(write(f"api: {{listen: '{address}', port: 0}}\n{UPS}")).api.listen == address


def test_aliases_repeat_a_value(write: Write) -> None:
    config = load(write("ups:\n- {id: a, link: x, allow: &grants [test]}\n- {id: b, link: y, allow: *grants}\n"))
    assert config.ups[1].allow == {"test"}


def test_byte_order_mark_is_no_fault(write: Write) -> None:
    assert load(write(b"\xef\xbb\xbf" + UPS.encode())).ups


def test_empty_list_of_upses_is_permitted(write: Write) -> None:
    assert load(write("ups: []")).ups == ()
    assert load(write("ups:")).ups == ()


# Secrets


def test_secret_is_used_and_never_shown(write: Write) -> None:
    config = load(write(UPS + "    username: !secret who\n    password: !secret pin\n", "who: admin7\npin: 0042\n"))
    assert (config.ups[0].username, config.ups[0].password) == ("admin7", "0042")
    assert "admin7" not in repr(config)
    assert "0042" not in repr(config)


def test_password_written_into_the_file_is_not_shown_either(write: Write) -> None:
    config = load(write(UPS + "    password: hunter2\n"))
    assert "hunter2" not in repr(config)
    assert isinstance(config.ups[0].password, Secret)


def test_secret_in_the_wrong_place_is_not_shown_in_the_message(write: Write) -> None:
    line, message = the_problem(write(UPS + "    power: !secret pin\n", "pin: hunter2\n"))
    assert line == 4
    assert "hunter2" not in message
    assert "this secret" in message


def test_unknown_secret_is_told_once_with_its_line(write: Write) -> None:
    assert the_problem(write(UPS + "    password: !secret pin\n", "other: 1\n")) == (
        4,
        "there is no secret pin in secrets.yaml",
    )


def test_missing_secrets_file_is_told_once(write: Write) -> None:
    line, message = the_problem(write(UPS + "    password: !secret pin\n    username: !secret who\n"))
    assert line == 4
    assert "secrets.yaml beside" in message


def test_faults_of_the_secrets_file_name_that_file(write: Write) -> None:
    secrets = "pin: 1\npin: 2\nlist: [1]\nempty:\n? [a]\n: b\n"
    with pytest.raises(ConfigError) as caught:
        load(write(UPS + "    password: !secret pin\n", secrets))
    assert [(problem.file.name, problem.line) for problem in caught.value.problems] == [
        ("secrets.yaml", 2),
        ("secrets.yaml", 3),
        ("secrets.yaml", 4),
        ("secrets.yaml", 5),
    ]


@pytest.mark.parametrize(("secrets", "line"), [("pin: [", 1), ("- pin", 1), (b"pin: \xff", 1), ("a: 1\n\tb: 2", 2)])
def test_unreadable_secrets_file_is_told_with_its_line(write: Write, secrets: str | bytes, line: int) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(UPS + "    password: !secret pin\n", secrets))
    assert (caught.value.problems[-1].file.name, caught.value.problems[-1].line) == ("secrets.yaml", line)


def test_empty_secrets_file_has_no_secrets(write: Write) -> None:
    assert the_problem(write(UPS + "    password: !secret pin\n", ""))[1] == "there is no secret pin in secrets.yaml"


def test_secrets_file_takes_no_secret_from_itself(tmp_path: Path) -> None:
    file = tmp_path / "secrets.yaml"
    file.write_text(UPS + "    password: !secret pin\n")
    assert "cannot take a secret from itself" in load_message(file)


def load_message(file: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load(file)
    return str(caught.value)


def test_secrets_that_everyone_can_read_are_warned_of(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    file = write(UPS + "    password: !secret pin\n", "pin: 1\n")
    with caplog.at_level(logging.WARNING):
        load(file)
        assert not caplog.records
        file.with_name("secrets.yaml").chmod(0o644)
        load(file)
    assert "chmod 600" in caplog.text


# What is refused, and how


def test_every_problem_is_told_at_once_in_the_order_of_the_lines(write: Write) -> None:
    file = write("nme: x\napi:\n  port: 99999\n  colour: red\nups:\n- id: A\n  link: x\n  power: 4 kW\n- id: b\n- 7\n")
    assert [line for line, _ in problems(file)] == [1, 3, 4, 6, 8, 9, 10]
    assert load_message(file).splitlines()[0].startswith(f"{file}:1: ")


def test_unknown_key_is_answered_with_the_nearest_and_all_permitted(write: Write) -> None:
    line, message = the_problem(write(UPS + "    hold_tme: 5\n"))
    assert line == 4
    assert "did you mean hold_time?" in message
    assert "recharge_time" in message


def test_unknown_key_unlike_any_is_answered_with_all_permitted(write: Write) -> None:
    message = the_problem(write("zzz: 1\n" + UPS))[1]
    assert "did you mean" not in message
    assert "permitted: name, data, api, traps, feeds, ups" in message


@pytest.mark.parametrize(
    ("setting", "permitted"),
    [
        ("power: -1", "1 to 10000000 VA; units: VA, kVA, MVA"),
        ("power: 3 bananas", "units: VA, kVA, MVA"),
        ("power: lots", "a number from 1"),
        ("power: [1]", "not a list"),
        ("power: {a: 1}", "not a section"),
        ("power:", "not nothing"),
        ("hold_time: 1e9", "a number from 0.1"),
        ("recharge_time: .inf", "units: h, min, d"),
        ("enabled: maybe", "must be yes or no"),
        ("allow: [test, halt]", "permitted: beeper, bypass, load, outlet, output, settings, shutdown, test"),
        ("allow: [[test]]", "must be a command group"),
        ("allow: {test: yes}", "must be a list"),
        ("name: ''", "must be a text"),
        ('name: "a\\nb"', "one line"),
        ("password: ''", "1 to 1000 characters"),
        ("password: [hunter2]", "1 to 1000 characters"),
        ("load: 2 kVA\n    power: 1 kVA", "must not exceed power, 1000 VA"),
    ],
)
def test_wrong_value_is_answered_with_what_is_permitted(write: Write, setting: str, permitted: str) -> None:
    line, message = the_problem(write(f"{UPS}    {setting}\n"))
    assert line == 4
    assert permitted in message
    assert "hunter2" not in message


@pytest.mark.parametrize("key", ["", "Ups", "-a", "a_b", "a b", "ü", "a" * 65, "a\n", "bridge", "[a]"])
def test_ids_are_slugs_and_not_the_bridges_own(write: Write, key: str) -> None:
    shown = key if key == "[a]" else f'"{key.replace(chr(10), chr(92) + "n")}"'
    line, message = the_problem(write(f"ups:\n- id: {shown}\n  link: x\n"))
    assert line == 2
    assert message.startswith("ups.id: ")
    assert "like ups-1" in message


@pytest.mark.parametrize("key", ["0", "ups-1", "a" * 64, "no"])
def test_words_and_numbers_can_be_ids(write: Write, key: str) -> None:
    assert load(write(f"ups:\n- id: {key}\n  link: x\n")).ups[0].key == key


def test_duplicate_id_names_the_line_of_the_first(write: Write) -> None:
    file = write(UPS + "  - id: ups-1\n    link: other\n  - id: [x]\n    link: z\n  - 5\n")
    assert (4, "ups.id: ups-1 is taken by the device of line 2") in problems(file)


def test_duplicate_key_names_the_line_of_the_first(write: Write) -> None:
    line, message = the_problem(write("name: a\n" + UPS + "name: b\n"))
    assert line == 5
    assert "second time; first in line 1" in message


def test_missing_key_is_told_where_it_should_stand(write: Write) -> None:
    assert the_problem(write("ups:\n- id: a\n")) == (2, "ups: the key link is missing")


@pytest.mark.parametrize("port", ["-1", "65536", "http", "8480.0", "９"])
def test_ports_are_ports(write: Write, port: str) -> None:
    assert "from 1 to 65535" in the_problem(write(f"api:\n  port: {port}\n{UPS}"))[1]


@pytest.mark.parametrize("address", ["999.1.1.1", "a b", "http://x", "-x", ":::1", "1.2.3"])
def test_what_is_no_address_is_answered_with_examples(write: Write, address: str) -> None:
    assert "127.0.0.1" in the_problem(write(f"api:\n  listen: '{address}'\n{UPS}"))[1]


def test_certificate_that_is_not_there_is_told(write: Write, tmp_path: Path) -> None:
    found = problems(write(f"api:\n  tls:\n    certificate: a.pem\n{UPS}"))
    assert found == [
        (2, "api.tls: the key key is missing"),
        (3, f"api.tls.certificate: there is no file {tmp_path / 'a.pem'}"),
    ]


def test_link_is_checked_by_whoever_knows_the_schemes(write: Write) -> None:
    def check(url: str) -> None:
        raise ValueError(f"the scheme of {url} is unknown; permitted: megatec, nut")

    line, message = the_problem(write(UPS), check)
    assert line == 3
    assert "permitted: megatec, nut" in message


def test_link_that_passes_the_check_is_kept(write: Write) -> None:
    seen: list[str] = []
    config = load(write(UPS), seen.append)
    assert seen == [config.ups[0].link] == ["megatec:/dev/ttyUSB0"]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: [1,\n", 2, "not valid YAML"),
        ("name: x\n\tdata: y\n", 2, "indent with spaces"),
        ("name: x\n data: y\n", 2, "indentation is wrong"),
        ("name: *x\n", 1, "undefined alias"),
        ("a: 1\n---\nb: 2\n", 2, "another document"),
        ("name: x\n\x07", 2, "U+0007"),
        (b"name: x\nups: \xff\n", 2, "0xff is not UTF-8"),
        ("[" * 20000, 0, "nested too deeply"),
        ("#" * 1_000_001, 0, "at most 1000000"),
    ],
)
def test_what_is_no_yaml_is_told_with_its_line(write: Write, text: str | bytes, line: int, words: str) -> None:
    found_line, message = the_problem(write(text))
    assert found_line == line
    assert words in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: !include x\n" + UPS, "!include is unknown; permitted: !secret"),
        ("name: !!binary aGk=\n" + UPS, "!!binary is unknown"),
        ("api: !!set {port}\n" + UPS, "!!set is unknown"),
        ("? [a]\n: 1\n" + UPS, "a key must be a word"),
        ("<<: {name: x}\n" + UPS, "`<<` is not permitted"),
        ("name: &a [*a]\n" + UPS, "part of"),
        ("name: " + "[" * 40 + "]" * 40 + "\n" + UPS, "too much is nested"),
    ],
)
def test_what_yaml_could_do_and_we_do_not_need_is_refused(write: Write, text: str, words: str) -> None:
    assert any(words in message and line == 1 for line, message in problems(write(text)))


def test_lines_that_stand_for_billions_are_refused_quickly(write: Write) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    assert any("repeated by aliases" in message for _, message in problems(write("\n".join(lines))))


def test_missing_file_and_folder_are_told(tmp_path: Path) -> None:
    assert the_problem(tmp_path / "none.yaml") == (0, "there is no such file")
    assert "cannot be read" in the_problem(tmp_path)[1]
    assert "cannot be read" in the_problem(tmp_path / "a\0b")[1]
    assert str(Problem(tmp_path, 0, "x")) == f"{tmp_path}: x"


# Anything else


def told(file: Path) -> BridgeConfig | tuple[Problem, ...]:
    """Return what came of a file: a configuration or its problems."""
    try:
        return load(file)
    except ConfigError as error:
        return error.problems


_KEYS = st.sampled_from(["ups", "api", "name", "id", "link", "power", "tls", "port", "allow", "data"]) | st.text()
_TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(_KEYS, inner),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(raw=st.binary(max_size=200) | st.text(alphabet="ab:-[]{}&*!|>'\"%@`#?,\n\t <0123", max_size=60).map(str.encode))
def test_arbitrary_bytes_raise_nothing_but_config_error(write: Write, raw: bytes) -> None:
    assert told(write(raw, raw))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
@given(tree=_TREES | st.fixed_dictionaries({"ups": st.lists(st.dictionaries(_KEYS, _TREES)), "api": _TREES}))
def test_arbitrary_trees_raise_nothing_but_config_error(write: Write, tree: object) -> None:
    file = write("")
    try:
        with file.open("w", encoding="utf-8", errors="surrogateescape") as stream:
            YAML(typ="safe").dump(tree, stream)
    except ValueError:
        return
    assert told(file)


def test_feeds_of_the_example_are_right_when_they_are_uncommented(tmp_path: Path) -> None:
    """People take the example's lines as they stand."""
    before, _, rest = EXAMPLE.partition("\n# feeds:\n")
    block, gap, after = rest.partition("\n\n")
    lines = [
        line.removeprefix("# ").replace("/etc/ssl/certs/ca-certificates.crt", "ca.pem") for line in block.split("\n")
    ]
    (tmp_path / "ca.pem").touch()
    secrets = ("snmp_read", "snmp_other", "snmp_password", "snmp_privacy", "nut_password")
    (tmp_path / "secrets.yaml").write_text("\n".join(f"{name}: {name}-value" for name in secrets), encoding="utf-8")
    file = tmp_path / "ridethrough.yaml"
    file.write_text("\n".join([f"{before}\nfeeds:", *lines]) + gap + after, encoding="utf-8")

    feeds = load(file).feeds
    assert [feed.name for feed in feeds if feed.enabled] == ["modbus", "snmp", "bacnet", "syslog", "nut"]
    assert feeds.modbus is not None
    assert [(unit.unit, unit.map) for unit in feeds.modbus.units] == [(1, "default"), (2, "abb")]
