"""Changing one device in a file that a person has written: nothing else moves, whatever is put in."""

from collections.abc import Mapping
from difflib import unified_diff
from pathlib import Path

from hypothesis import given, settings, strategies as st
import pytest

from ridethrough.config import EXAMPLE, ConfigError, ConfigureError, UpsConfig, load
from ridethrough.config.draft import DeviceDraft
from ridethrough.config.editor import Edit, Texts, put, remove

FILE = Path("/nowhere/ridethrough.yaml")


def devices(texts: Texts) -> Mapping[str, UpsConfig]:
    """Load the texts as the bridge would load the files."""
    instead = {FILE: texts.config.encode()}
    if texts.secrets is not None:
        instead[FILE.with_name("secrets.yaml")] = texts.secrets.encode()
    return {device.key: device for device in load(FILE, instead=instead).editable}


def changes(before: str, after: str) -> list[str]:
    """Return the lines that came and went."""
    lines = list(unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm=""))[2:]
    return [line for line in lines if not line.startswith("@@")]


def draft(key: str, link: str | None = "nut://127.0.0.1/ups", **fields: str | None) -> DeviceDraft:
    return DeviceDraft(key, None, ({} if link is None else {"link": link}) | fields)


def test_a_new_device_is_added_as_a_person_would_and_nothing_else_moves() -> None:
    edit = put(
        Texts(EXAMPLE),
        DeviceDraft(
            "ups-9",
            "ups",
            {"name": "Büro: oben", "link": "nut://h:1/ups?poll=2", "power": "3 kVA", "enabled": "yes"},
            ("test", "beeper"),
            {"username": "monitor", "password": "s3cret"},
        ),
    )
    added = changes(EXAMPLE, edit.config)
    assert [line for line in added if line != "+"] == [
        "+  - id: ups-9",
        '+    name: "Büro: oben"' if '"' in edit.config.split("ups-9")[1][:30] else "+    name: Büro: oben",
        "+    link: nut://h:1/ups?poll=2",
        "+    username: monitor",
        "+    password: !secret ups-9_password",
        "+    power: 3 kVA",
        "+    allow: [test, beeper]",
    ]
    assert edit.secrets == 'ups-9_password: "s3cret"\n'
    device = devices(edit.after)["ups-9"]
    assert (device.name, device.power, device.password) == ("Büro: oben", 3000.0, "s3cret")


def test_what_is_added_and_removed_again_leaves_the_file_as_it_was() -> None:
    for kind in ("ups", "transfer_switch"):
        added = put(Texts(EXAMPLE), DeviceDraft("x", kind, {"link": "nut://a/b"}, None, {"password": "p"}))
        removed = remove(added.after, "x")
        assert removed.config == EXAMPLE
        assert removed.tidied == ""


def test_a_change_touches_only_the_lines_that_it_is_about() -> None:
    fields = {"power": "3000", "hold_time": "600 s", "load": "1000", "recharge_time": None, "model": "line-interactive"}
    edit = put(Texts(EXAMPLE), DeviceDraft("ups-1", "ups", fields, ("beeper", "test")))
    assert changes(EXAMPLE, edit.config) == [
        "-    load: 900 VA             # what is connected, if the UPS does not measure it",
        "+    load: 1000             # what is connected, if the UPS does not measure it",
        "-    recharge_time: 8 h       # empty to full; min, h, d",
        "+    model: line-interactive",
    ]


def test_what_means_the_same_is_left_as_it_is_written() -> None:
    fields = {"power": "3000", "hold_time": "10", "name": "Rack UPS", "link": "megatec:/dev/ttyUSB0", "enabled": "yes"}
    edit = put(Texts(EXAMPLE), DeviceDraft("ups-1", None, fields, ("beeper", "test")))
    assert edit.config == EXAMPLE
    switched = put(Texts(EXAMPLE), DeviceDraft("ups-2", None, {"enabled": "yes"}))
    assert changes(EXAMPLE, switched.config) == [
        "-    enabled: no              # known, but nothing is asked of it",
        "+    enabled: yes              # known, but nothing is asked of it",
    ]


def test_removing_takes_the_comments_within_along_and_leaves_those_around() -> None:
    edit = remove(Texts(EXAMPLE), "ups-3")
    gone = changes(EXAMPLE, edit.config)
    assert all(line.startswith("-") for line in gone)
    # Which of the empty lines around it has gone cannot be told.
    assert next(line for line in gone if line != "-") == "-  - id: ups-3"
    assert "-    # privacy_password: !secret snmp_privacy" in gone
    assert "# Transfer switches, with the same keys as far as they make sense." in edit.config
    assert set(devices(edit.after)) == {"ups-1", "ups-2", "ups-4", "sts-1"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing yet\n",
        "name: A",
        "name: A\nups:\n",
        "name: A\nups:   # none yet\ntransfer_switches:\n",
        "name: A\nups: []\napi:\n  port: 1\n",
        "ups: [{id: a, link: 'nut://a/a'}]\n",
        "ups:\n- id: a\n  link: nut://a/a\n# end\n",
        "ups:\n      -   id: a\n          link: nut://a/a\n\n\nname: A\n",
        "name: A\r\nups:\r\n  - id: a\r\n    link: nut://a/a\r\napi:\r\n  port: 1\r\n",
        "---\nups:\n  - {id: a, link: 'nut://a/a', allow: [test]}\n",
        "ups:\n  - id: a\n    link: nut://a/a\n    allow:\n      - test\n      # that is all\nname: A\n",
        "ups:\n  - id: a\n    link: nut://a/a\n    name: |\n      A\nname: A\n",
        "ups:\n  -\n    id: a\n    link: nut://a/a\n",
    ],
)
def test_files_of_every_style_take_a_device_and_give_it_back(text: str) -> None:
    before = Texts(text)
    old = {} if "id: a" not in text else devices(Texts(text.replace("|\n      A", "A")))
    added = put(before, DeviceDraft("b", None, {"link": "nut://b/b?poll=2", "name": "B, [b] {b}"}, ("test",)))
    new = devices(added.after) if "|" not in text else {"b": None, **old}
    assert set(new) == {*old, "b"}
    if "\r\n" in text:
        assert added.config.count("\n") == added.config.count("\r\n")
    changed = put(added.after, DeviceDraft("b", None, {"name": "Other", "power": "5 kVA"}, ()))
    if "|" not in text:
        assert devices(changed.after)["b"] == UpsConfig("b", "Other", "nut://b/b?poll=2", power=5000.0)
        assert {key: device for key, device in devices(changed.after).items() if key != "b"} == old
    removed = remove(changed.after, "b")
    if old:
        emptied = remove(removed.after, "a")
        assert "id: a" not in emptied.config


def test_settings_of_a_device_in_braces_are_changed_within_them() -> None:
    text = "ups:\n  - {id: a, link: 'nut://a/a', power: 1 kVA, allow: test}  # mine\n"
    edit = put(Texts(text), DeviceDraft("a", None, {"power": None, "name": "A, B", "link": "nut://b/b"}, ("beeper",)))
    assert edit.config == 'ups:\n  - {id: a, link: "nut://b/b", allow: [beeper], name: "A, B"}  # mine\n'
    edit = put(Texts("ups:\n  - {power: 1 kVA, id: a, link: 'nut://a/a'}\n"), draft("a", None, power=None))
    assert edit.config == "ups:\n  - {id: a, link: 'nut://a/a'}\n"


def test_the_first_key_of_a_device_goes_without_its_hyphen() -> None:
    edit = put(Texts("ups:\n  - name: A\n    # who\n    id: a\n    link: nut://a/a\n"), draft("a", None, name=None))
    assert edit.config == "ups:\n  - id: a\n    link: nut://a/a\n"


def test_a_key_without_a_value_gets_one() -> None:
    edit = put(Texts("ups:\n  - id: a\n    name:   # later\n    link: nut://a/a\n"), draft("a", None, name="A"))
    assert devices(edit.after)["a"].name == "A"


# Secrets


def test_secrets_go_into_their_own_file_and_are_replaced_there() -> None:
    first = put(Texts(EXAMPLE, "mine: 1\n"), DeviceDraft("ups-2", None, {}, None, {"password": "a"}))
    assert "password: !secret ups-2_password" in first.config
    second = put(first.after, DeviceDraft("ups-2", None, {}, None, {"password": 'b"\\\n: #'}))
    assert second.config == first.config
    assert devices(second.after)["ups-2"].password == 'b"\\\n: #'
    third = put(second.after, DeviceDraft("ups-2", None, {}, None, {"password": None}))
    assert third.config == EXAMPLE
    assert third.tidied == "mine: 1\n"
    assert third.secrets == second.secrets, "until the configuration is written the old one needs it"


def test_a_secret_of_a_person_s_own_is_neither_changed_nor_removed() -> None:
    text = "ups:\n  - id: a\n    link: nut://a/a\n    password: !secret shared\n"
    texts = Texts(text, "shared: x\na_password: also mine")
    edit = put(texts, DeviceDraft("a", None, {}, None, {"password": "y"}))
    assert edit.secrets == 'shared: x\na_password: also mine\na_password_2: "y"\n'
    assert "!secret a_password_2" in edit.config
    gone = remove(edit.after, "a")
    assert gone.tidied == "shared: x\na_password: also mine\n"
    assert remove(texts, "a").tidied == texts.secrets


def test_a_secret_that_another_device_refers_to_as_well_stays_its() -> None:
    text = "ups:\n  - {id: a, link: 'nut://a/a', password: !secret a_password}\n"
    text += "  - {id: b, link: 'nut://b/b', password: !secret a_password}\n"
    texts = Texts(text, "a_password: x\n")
    edit = put(texts, DeviceDraft("a", None, {}, None, {"password": "y"}))
    assert {key: device.password for key, device in devices(edit.after).items()} == {"a": "y", "b": "x"}
    assert remove(texts, "a").tidied == texts.secrets


def test_a_password_in_the_file_itself_makes_way() -> None:
    text = "ups:\n  - id: a\n    link: nut://a/a\n    password: hunter2\n"
    edit = put(Texts(text), DeviceDraft("a", None, {}, None, {"password": "y", "community": "c"}))
    assert "hunter2" not in edit.config
    assert (devices(edit.after)["a"].password, devices(edit.after)["a"].community) == ("y", "c")


# What cannot be


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ('{"ups": []}', "not_writable", "braces"),
        ("ups: 5\n", "not_writable", "no list"),
        ("x: &x {id: a, link: b}\nups:\n  - *x\n", "not_writable", "by hand"),
    ],
)
def test_odd_files_are_left_alone(text: str, code: str, words: str) -> None:
    with pytest.raises(ConfigureError, match=words) as refused:
        put(Texts(text), draft("a"))
    assert refused.value.code == code


def test_wrong_wishes_are_refused() -> None:
    with pytest.raises(ConfigureError, match="needs a link") as refused:
        put(Texts(EXAMPLE), draft("new", None))
    assert refused.value.field == "link"
    with pytest.raises(ConfigureError, match="is a ups") as refused:
        put(Texts(EXAMPLE), DeviceDraft("ups-1", "transfer_switch"))
    assert refused.value.field == "kind"
    with pytest.raises(ConfigureError, match="no device nobody") as refused:
        remove(Texts(EXAMPLE), "nobody")
    assert refused.value.code == "unknown_device"
    with pytest.raises(ConfigureError, match="braces"):
        put(Texts(EXAMPLE, "{a: 1}"), DeviceDraft("ups-1", None, {}, None, {"password": "x"}))


EVIL = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["x\n  - id: evil\n    link: nut://e/e", "!secret other", "*alias", "&anchor x", "null", "~", "", "- a", "a: b",
         "a #b", '"', "'", "{a: b}", "[a]", "? a", "| a", "%a", "@a", "`a", "0123", "yes", "<<", "=", "a:", ":", "\u2028",
         "\x85", "\ufeff", "\x00", "---", "..."],
    ),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(name=EVIL, link=EVIL, password=EVIL, flow=st.booleans())
def test_no_text_whatever_reaches_beyond_its_own_value(name: str, link: str, password: str, flow: bool) -> None:
    text = "ups: [{id: a, link: 'nut://a/a'}]\n" if flow else "ups:\n  - id: a\n    link: nut://a/a\nname: Here\n"
    before = devices(Texts(text))
    edit: Edit = put(Texts(text), DeviceDraft("b", None, {"name": name, "link": link}, None, {"password": password}))
    try:
        after = devices(edit.after)
    except ConfigError as error:
        problems = error.problems
    else:
        assert after == {**before, "b": UpsConfig("b", name, link, password=password)}
        return
    # What the schema does not permit must be about this device.
    assert {problem.place[:2] for problem in problems} == {("ups", 1)}


def test_a_revision_names_both_texts() -> None:
    revisions = {
        Texts("a", None).revision,
        Texts("a", "").revision,
        Texts("a", "b").revision,
        Texts("ab", None).revision,
    }
    assert len(revisions) == 3
    assert Texts("a", "b").revision == Texts("a", "b").revision
