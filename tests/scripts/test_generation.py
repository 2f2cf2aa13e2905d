"""What is derived from the catalogue has not drifted from it, and Home Assistant can live with it."""

from collections.abc import Iterator
import json
from pathlib import Path
import re
import shutil
import subprocess
import sys
from typing import Any

from homeassistant.components.binary_sensor.const import BinarySensorDeviceClass
from homeassistant.components.sensor import SensorDeviceClass, SensorStateClass
from homeassistant.components.sensor.const import DEVICE_CLASS_STATE_CLASSES, DEVICE_CLASS_UNITS
from homeassistant.const import EntityCategory
import pytest

from ridethrough.catalogue import Catalogue, load_catalogue
from scripts.generation import __main__ as generate, component, locale
from scripts.generation.locale import Locale, LocaleError

ROOT = Path(__file__).parents[2]
INTEGRATION = ROOT / "custom_components" / "ridethrough"
CATALOGUE = load_catalogue()
LANGUAGES = ("en", "de")


def read(name: str) -> Any:
    return json.loads((INTEGRATION / name).read_text(encoding="utf-8"))


def texts(tree: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a language with its place."""
    if isinstance(tree, str):
        yield where, tree
        return
    for key, value in tree.items():
        yield from texts(value, f"{where}.{key}" if where else key)


def names(language: str) -> dict[str, str]:
    """Give the names of entities and of the values of enums."""
    return dict(texts(read(f"translations/{language}.json")["entity"]))


# Drift


def test_nothing_has_drifted() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.generation", "--check"],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'bridge'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr


def test_drift_is_shown_and_mended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(INTEGRATION, tmp_path / "custom_components" / "ridethrough")
    german = tmp_path / "custom_components" / "ridethrough" / "translations" / "de.json"
    german.write_text(german.read_text(encoding="utf-8").replace("Restlaufzeit", "Laufzeit"), encoding="utf-8")

    assert generate.main(["--check"], tmp_path) == 1
    shown = capsys.readouterr()
    assert re.search(r'^\+ +"name": "Restlaufzeit"', shown.out, re.MULTILINE)
    assert "2 files have drifted" in shown.err
    assert "Restlaufzeit" not in german.read_text(encoding="utf-8")

    assert generate.main([], tmp_path) == 0
    assert capsys.readouterr().out.count("wrote ") == 2
    assert generate.main(["--check"], tmp_path) == 0
    assert (tmp_path / "bridge" / "ridethrough" / "catalogue" / "CATALOGUE.md").exists()


def test_what_is_written_by_hand_may_not_contradict_what_is_generated() -> None:
    written = {"entity": {"sensor": {"ups_load": {"name": "Burden"}}}}
    generated = {"entity": {"sensor": {"ups_load": {"name": "Load"}}, "switch": {}}}
    with pytest.raises(ValueError, match="entity.sensor.ups_load.name is generated"):
        component.merge(written, generated)
    assert component.merge({"config": {}, "entity": {"event": {}}}, generated)["entity"].keys() == {
        "event",
        "sensor",
        "switch",
    }


# Languages


def broken(tables: dict[str, Any]) -> Locale:
    """Make a German locale with some of its tables replaced."""
    german = Locale.load(CATALOGUE, "de")
    given = {name: getattr(german, name) for name in Locale.__dataclass_fields__} | tables
    changed = Locale(**given)
    changed.check(CATALOGUE)
    return changed


@pytest.mark.parametrize(
    ("tables", "problem"),
    [
        ({"kinds": {"ups": "USV"}}, r"\[kinds\]: missing \[.*'battery_module', .*'bridge', .*'outlet'"),
        ({"arguments": {}}, r"\[arguments\]: missing"),
        ({"point_options": {"ups.mode": {"warp": "Warp"}}}, r"\[options\]|\[point_options\]"),
    ],
)
def test_missing_or_superfluous_name_is_an_error(tables: dict[str, Any], problem: str) -> None:
    with pytest.raises(LocaleError, match=problem):
        broken(tables)


def test_name_without_its_placeholder_is_an_error() -> None:
    points = dict(Locale.load(CATALOGUE, "de").points)
    points["input.{line}.voltage"] = "Eingangsspannung"
    with pytest.raises(LocaleError, match=r"lacks a placeholder of input\.\{line\}\.voltage"):
        broken({"points": points})


def test_both_languages_say_the_same_things() -> None:
    english, german = names("en"), names("de")
    assert english.keys() == german.keys()
    for place, text in english.items():
        assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", german[place])), place


def test_german_is_not_english() -> None:
    english, german = names("en"), names("de")
    same = {german[place] for place in english if english[place] == german[place]}
    # Words that German has taken over.
    assert same <= {
        "Alarm",
        "Bypass",
        "Clients",
        "Normal",
        "SMS",
        "Test",
        "Version",
        "Wake on LAN",
        "Watchdog",
        "Webhook",
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_are_as_home_assistant_wants_them(language: str) -> None:
    for place, text in texts(read(f"translations/{language}.json")):
        assert text == text.strip(), place
        assert "  " not in text, place
        assert not re.search(r"'\{\w+\}'", text), f"{place}: a placeholder must not stand in single quotes"
        assert "[%key:" not in text, f"{place}: a custom integration cannot refer to other texts"
    for place, text in names(language).items():
        assert not text.endswith((".", ":", "!")), place
        assert text[0].isupper() or text[0] == "{" or text.startswith("mdi:"), place


def test_english_names_are_in_sentence_case() -> None:
    proper = {"UPS", "USB", "MAC", "ID", "A", "B", "AUX", "I/O", "LAN"}
    for place, text in names("en").items():
        words = re.sub(r"\{\w+\}", "", text).split()
        assert not [word for word in words[1:] if word[0].isupper() and word.rstrip(":") not in proper], (
            f"{place}: {text}"
        )


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_two_entities_of_a_device_have_the_same_name(language: str) -> None:
    given = Locale.load(CATALOGUE, language)
    for kind in CATALOGUE.kinds:
        for platform in ("sensor", "binary_sensor"):
            found = [
                given.points[point.key.text]
                for point in CATALOGUE.points
                if kind in point.kinds and component.platform(point) == platform
            ]
            if platform == "binary_sensor":
                found += [given.conditions[row.key] for row in CATALOGUE.conditions if kind in row.kinds]
            assert not {name for name in found if found.count(name) > 1}, (kind, platform)
        buttons = [given.commands[row.key] for row in CATALOGUE.commands_of(kind)]
        assert len(buttons) == len(set(buttons))


def test_keys_are_as_home_assistant_wants_them() -> None:
    for place in names("en"):
        assert re.fullmatch(r"[a-z0-9_.]+", place), place


# Classes, units, icons


def test_sensors_have_units_and_classes_that_home_assistant_accepts() -> None:
    for row in read("catalogue.json")["points"]:
        if row["device_class"] is None:
            if row["state_class"] is not None:
                SensorStateClass(row["state_class"])
            continue
        device_class = SensorDeviceClass(row["device_class"])
        if device_class in DEVICE_CLASS_UNITS:
            assert row["unit"] in DEVICE_CLASS_UNITS[device_class], row["key"]
        if row["state_class"] is not None:
            assert SensorStateClass(row["state_class"]) in DEVICE_CLASS_STATE_CLASSES[device_class], row["key"]
        assert (device_class is SensorDeviceClass.ENUM) == bool(row["options"]), row["key"]
        assert (device_class is SensorDeviceClass.TIMESTAMP) == (row["type"] == "time"), row["key"]


def test_binary_sensors_have_classes_that_home_assistant_accepts() -> None:
    for row in read("catalogue.json")["conditions"]:
        if row["device_class"] is not None:
            BinarySensorDeviceClass(row["device_class"])


def test_sensors_are_not_in_the_category_that_home_assistant_refuses() -> None:
    tables = read("catalogue.json")
    for row in tables["points"] + tables["conditions"]:
        assert row["category"] in ("primary", EntityCategory.DIAGNOSTIC), row["key"]


def test_every_text_and_icon_has_its_row() -> None:
    tables, strings, icons = read("catalogue.json"), read("strings.json"), read("icons.json")
    keys = {
        "sensor": {row["translation_key"] for row in tables["points"] if row["type"] != "bool"},
        "binary_sensor": {row["translation_key"] for row in tables["points"] if row["type"] == "bool"}
        | {row["translation_key"] for row in tables["conditions"]},
        "button": {row["translation_key"] for row in tables["commands"]},
        "switch": {row["translation_key"] for row in tables["switches"]},
    }
    for platform, wanted in keys.items():
        assert strings["entity"][platform].keys() == wanted
        assert icons["entity"][platform].keys() <= wanted
    for platform in icons["entity"].values():
        assert all(re.fullmatch(r"mdi:[a-z0-9-]+", icon["default"]) for icon in platform.values())


def test_strings_are_the_english_translation() -> None:
    assert read("strings.json") == read("translations/en.json")


def test_two_things_with_one_translation_key_are_refused() -> None:
    twins = Catalogue(CATALOGUE.kinds, CATALOGUE.points, (*CATALOGUE.conditions, CATALOGUE.conditions[0]), ())
    with pytest.raises(ValueError, match="stands for two things"):
        component.strings(twins, Locale.load(CATALOGUE, "de"))


def test_english_names_come_from_the_tables() -> None:
    assert locale.english(CATALOGUE)["points"]["ups.load"] == "Load"
    load = next(row for row in CATALOGUE.points if row.key.text == "link.state")
    assert Locale.load(CATALOGUE, "de").option(load, "disabled") == "Deaktiviert"
    assert Locale.load(CATALOGUE, "de").option(load, "lost") == "Verloren"


def test_names_do_not_say_again_what_the_device_or_its_state_says() -> None:
    rows = {row["key"]: row for row in read("catalogue.json")["conditions"]}
    assert rows["beeper_enabled"]["device_class"] is None  # with sound, a setting would read "Detected"
    assert read("strings.json")["entity"]["binary_sensor"]["general_fault"]["name"] == "Fault"  # "Rack UPS Fault"
