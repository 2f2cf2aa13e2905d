"""What every blueprint file must be: valid, described, filtered, and written as the others."""

from collections.abc import Iterator
from pathlib import Path
import re
from typing import Any

from homeassistant.components.automation.config import AUTOMATION_BLUEPRINT_SCHEMA
from homeassistant.components.blueprint.models import Blueprint
from homeassistant.components.blueprint.schemas import BLUEPRINT_SCHEMA
from homeassistant.util import yaml as yaml_util
import pytest

from .house import BLUEPRINTS
from .scenarios import SCENARIOS

NAMES = sorted(f"{path.parent.parent.name}/{path.stem}" for path in BLUEPRINTS.glob("*/ridethrough/*.yaml"))
SOURCE = "https://github.com/ridethrough/ridethrough/blob/main/blueprints"
OURS = {"binary_sensor", "button", "event", "sensor"}
"""Domains of which a selector must not offer what other integrations have."""


def path_of(name: str) -> Path:
    domain, stem = name.split("/")
    return BLUEPRINTS / domain / "ridethrough" / f"{stem}.yaml"


def load(name: str) -> Blueprint:
    data = yaml_util.load_yaml_dict(path_of(name))
    domain = name.split("/", maxsplit=1)[0]
    schema = AUTOMATION_BLUEPRINT_SCHEMA if domain == "automation" else BLUEPRINT_SCHEMA
    return Blueprint(data, path=str(path_of(name)), expected_domain=domain, schema=schema)


@pytest.mark.parametrize("name", NAMES)
def test_home_assistant_takes_it(name: str) -> None:
    blueprint = load(name)
    assert blueprint.validate() is None
    assert blueprint.name.startswith("Ridethrough: ")
    assert blueprint.metadata["homeassistant"]["min_version"] == "2026.10.0"
    assert blueprint.metadata["source_url"] == f"{SOURCE}/{path_of(name).relative_to(BLUEPRINTS).as_posix()}"
    assert len(blueprint.metadata["description"]) > 100


@pytest.mark.parametrize("name", NAMES)
def test_it_is_the_same_after_an_import(name: str) -> None:
    blueprint = load(name)
    again = yaml_util.parse_yaml(blueprint.yaml())
    assert again == blueprint.data


@pytest.mark.parametrize("name", NAMES)
def test_every_input_is_used_named_described_and_has_a_selector(name: str) -> None:
    blueprint = load(name)
    text = path_of(name).read_text(encoding="utf-8")
    for key, asked in blueprint.inputs.items():
        assert asked["name"], key
        assert asked["description"].endswith((".", ".\n")), key
        assert len(asked["selector"]) == 1, key
        assert re.search(rf"!input {key}\b", text), key


@pytest.mark.parametrize("name", NAMES)
def test_what_is_advanced_is_collapsed_and_has_defaults(name: str) -> None:
    sections = {key: each for key, each in load(name).metadata["input"].items() if "input" in each}
    assert "advanced" in sections or len(load(name).inputs) < 6
    for key, section in sections.items():
        assert section["name"] and section["description"] and section["icon"].startswith("mdi:")
        if key == "advanced":
            assert section["collapsed"] is True
            assert all("default" in each for each in section["input"].values())


@pytest.mark.parametrize("name", NAMES)
def test_selectors_offer_what_fits_and_nothing_else(name: str) -> None:
    ours = 0
    for key, asked in load(name).inputs.items():
        selector, config = next(iter(asked["selector"].items()))
        if selector == "entity":
            for each in config["filter"]:
                domains = set(each["domain"])
                assert "integration" in each or not domains & OURS, key
                assert each.get("integration", "ridethrough") == "ridethrough", key
                ours += "integration" in each
        if selector == "number" and "unit_of_measurement" in config:
            assert {"min", "max"} <= config.keys(), key
    assert ours


@pytest.mark.parametrize("name", NAMES)
def test_default_is_what_its_selector_permits(name: str) -> None:
    for key, asked in load(name).inputs.items():
        if "default" not in asked:
            continue
        selector, config = next(iter(asked["selector"].items()))
        default = asked["default"]
        if selector == "number":
            assert config["min"] <= default <= config["max"], key
        if selector == "select" and not config.get("custom_value"):
            options = [each["value"] if isinstance(each, dict) else each for each in config["options"]]
            assert set(default if isinstance(default, list) else [default]) <= set(options), key


@pytest.mark.parametrize("name", NAMES)
def test_syntax_is_of_today(name: str) -> None:
    data = load(name).data
    assert "mode" in data and ("max_exceeded" in data)
    if name.startswith("automation/"):
        assert {"triggers", "conditions", "actions"} <= data.keys() or {"triggers", "actions"} <= data.keys()
        assert not {"trigger", "condition", "action"} & data.keys()
    for path, step in steps(data):
        assert not {"platform", "service", "service_template", "data_template"} & step.keys(), path


@pytest.mark.parametrize("name", NAMES)
def test_yaml_has_the_style_of_the_others(name: str) -> None:
    text = path_of(name).read_text(encoding="utf-8")
    assert text.startswith("blueprint:\n") and text.endswith("\n") and not text.endswith("\n\n")
    assert text.isascii() and "\t" not in text
    for number, line in enumerate(text.splitlines(), 1):
        assert len(line) <= 120 or line.lstrip().startswith("source_url:"), number
        assert line == line.rstrip(), number
        # Words that YAML 1.1 reads as true or false.
        assert not re.search(r":\s+(on|off|yes|no|y|n|True|False)$", line), number
    assert "\n\n\n" not in text


@pytest.mark.parametrize("name", NAMES)
def test_blocks_are_indented_by_two_and_in_the_usual_order(name: str) -> None:
    text = path_of(name).read_text(encoding="utf-8")
    top = re.findall(r"^([a-z_]+):", text, re.MULTILINE)
    order = ["blueprint", "mode", "max", "max_exceeded", "triggers", "variables", "conditions", "actions", "sequence"]
    assert top == [each for each in order if each in top]
    for key, line in re.findall(r"^((?: *)(?:- )?)([a-z_]+:.*)$", text, re.MULTILINE):
        assert len(key) % 2 == 0, line


def test_every_input_of_a_section_is_known_to_the_rows() -> None:
    for name in NAMES:
        blueprint = load(name)
        needed = {key for key, asked in blueprint.inputs.items() if "default" not in asked}
        for each in SCENARIOS:
            if each.blueprint == name:
                assert needed <= each.inputs.keys() <= blueprint.inputs.keys(), (name, each.name)


def test_every_blueprint_is_in_the_table_of_the_readme() -> None:
    text = (BLUEPRINTS / "README.md").read_text(encoding="utf-8")
    for name in NAMES:
        assert f"({path_of(name).relative_to(BLUEPRINTS).as_posix()})" in text, name


def test_there_is_nothing_else_in_the_folder() -> None:
    files = {path.relative_to(BLUEPRINTS).as_posix() for path in BLUEPRINTS.rglob("*") if path.is_file()}
    assert files == {"README.md", *(path_of(name).relative_to(BLUEPRINTS).as_posix() for name in NAMES)}
    assert len(NAMES) >= 16


def steps(value: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Find every mapping below `value`."""
    if isinstance(value, dict):
        yield path, value
        for key, each in value.items():
            yield from steps(each, f"{path}/{key}")
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from steps(each, f"{path}/{number}")
