"""What Home Assistant and HACS read without running anything."""

import ast
from functools import cache
import json
from pathlib import Path
import re
from typing import Any

import homeassistant.components
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import section
from homeassistant.helpers import condition, trigger
from homeassistant.loader import async_get_integration
from homeassistant.setup import async_setup_component
from homeassistant.util.yaml import load_yaml_dict
from PIL import Image
import probatio
import pytest
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.ridethrough import SETUP_ERRORS
from custom_components.ridethrough.actions import ACTIONS
from custom_components.ridethrough.condition import CONDITIONS
from custom_components.ridethrough.config_flow import ERRORS
from custom_components.ridethrough.configuration import Kind, Reach, possibilities
from custom_components.ridethrough.device_flow import ABORTS, ERRORS as ERRORS_OF_DEVICES
from custom_components.ridethrough.device_form import (
    COMMON,
    WORDED,
    connection_schema,
    protocol_schema,
    settings_schema,
)
from custom_components.ridethrough.entity import COMMAND_ERRORS
from custom_components.ridethrough.issues import ALL
from custom_components.ridethrough.trigger import TRIGGERS

from .bridge_peer import SCHEMES

ROOT = Path(__file__).parents[2]
INTEGRATION = ROOT / "custom_components" / "ridethrough"
CORE = Path(homeassistant.components.__file__ or "").parent


def read(name: str) -> Any:
    return json.loads((INTEGRATION / name).read_text(encoding="utf-8"))


@cache
def core_rules() -> frozenset[str]:
    """Collect every rule that an integration of the installed Home Assistant is measured by."""
    scales = (load_yaml_dict(str(file)) for file in CORE.glob("*/quality_scale.yaml"))
    return frozenset(rule for scale in scales for rule in scale["rules"])


async def test_manifest_says_what_it_is(hass: HomeAssistant) -> None:
    integration = await async_get_integration(hass, "ridethrough")
    assert str(integration.version) == "0.1.0"
    assert integration.iot_class == "local_push"
    assert integration.integration_type == "hub"
    assert integration.requirements == []
    assert integration.manifest["zeroconf"] == ["_ridethrough._tcp.local."]


def test_every_rule_of_the_quality_scale_is_answered() -> None:
    rules = load_yaml_dict(str(INTEGRATION / "quality_scale.yaml"))["rules"]
    assert len(core_rules()) > 50
    assert set(rules) == core_rules()
    for rule, answer in rules.items():
        status, comment = (answer, None) if isinstance(answer, str) else (answer["status"], answer.get("comment"))
        assert status in {"done", "todo", "exempt"}, rule
        assert comment or status != "exempt", f"{rule} is exempt without a reason"


def test_every_platform_says_how_many_updates_run_at_once() -> None:
    platforms = [file for file in INTEGRATION.glob("*.py") if "async_add_entities:" in file.read_text(encoding="utf-8")]
    assert len(platforms) == 5
    for file in platforms:
        assert re.search(r"^PARALLEL_UPDATES = 0$", file.read_text(encoding="utf-8"), re.MULTILINE), file.name


def test_nothing_is_imported_but_home_assistant_and_what_it_brings() -> None:
    for file in INTEGRATION.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            for name in names:
                assert name.split(".")[0] != "ridethrough", f"{file.name} imports {name}"


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_error_issue_and_abort_has_its_words(language: str) -> None:
    words = read(f"translations/{language}.json")
    assert {*SETUP_ERRORS.values(), "cannot_connect", "unknown_device", "no_target", "which_bridge"} <= set(
        words["exceptions"]
    )
    assert {f"command_{code}" for code in COMMAND_ERRORS} <= set(words["exceptions"])
    assert {*ERRORS.values(), "cannot_connect"} == set(words["config"]["error"])
    assert set(ALL) == set(words["issues"])
    steps = set(
        re.findall(r'(?:step_id=|_confirm\()"(\w+)"', (INTEGRATION / "config_flow.py").read_text(encoding="utf-8"))
    )
    assert steps == set(words["config"]["step"])


@pytest.mark.parametrize("language", ["en", "de"])
def test_commands_that_the_words_tell_to_type_are_complete(language: str) -> None:
    told = re.findall(r"`ridethrough ([^`]*)`", json.dumps(read(f"translations/{language}.json")))
    assert told.count("token create home-assistant --role engineer") == 5
    # Once for each type of subentry.
    assert told.count("token create home-assistant --role admin") == 2
    assert told.count("agent invite {key}") == 1
    assert len(told) == 8


def test_action_is_described_and_has_an_icon() -> None:
    described = load_yaml_dict(str(INTEGRATION / "services.yaml"))
    assert set(described) == set(read("strings.json")["services"]) == set(read("icons.json")["services"])
    for name, action in described.items():
        fields = action.get("fields", {})
        assert set(fields) == set(read("strings.json")["services"][name]["fields"])
        for field in fields.values():
            if (select := field["selector"].get("select")) is not None:
                words = read("strings.json")["selector"][select["translation_key"]]["options"]
                assert set(select["options"]) == set(words)


@pytest.mark.parametrize(
    ("sort", "known"), [("triggers", TRIGGERS), ("conditions", CONDITIONS)], ids=["triggers", "conditions"]
)
@pytest.mark.parametrize("language", ["en", "de"])
def test_trigger_and_condition_is_described_in_words_and_has_an_icon(
    sort: str, known: dict[str, type[Any]], language: str
) -> None:
    described = {key: row for key, row in load_yaml_dict(str(INTEGRATION / f"{sort}.yaml")).items() if key[0] != "."}
    words = read(f"translations/{language}.json")
    assert set(described) == set(known) == set(words[sort]) == set(read("icons.json")[sort])
    for name, row in described.items():
        assert {integration["integration"] for integration in row["target"]["device"]} == {"ridethrough"}
        fields = row.get("fields", {})
        assert set(fields) == set(words[sort][name]["fields"])
        for field in fields.values():
            if (select := field["selector"].get("select")) is not None:
                assert set(select["options"]) <= set(words["selector"][select["translation_key"]]["options"])


@pytest.mark.parametrize(
    ("sort", "known"), [("triggers", TRIGGERS), ("conditions", CONDITIONS)], ids=["triggers", "conditions"]
)
async def test_triggers_and_conditions_take_what_their_forms_offer(
    hass: HomeAssistant, sort: str, known: dict[str, type[Any]]
) -> None:
    described = load_yaml_dict(str(INTEGRATION / f"{sort}.yaml"))
    for name, kind in known.items():
        fields = described[name].get("fields", {})
        taken = {str(marker) for marker in kind.fields} | ({"include_past"} & set(fields))
        assert taken == set(fields)
        demanded = {str(marker) for marker in kind.fields if isinstance(marker, probatio.Required)}
        assert demanded == {key for key, field in fields.items() if field["required"]}
        # What the form begins with is accepted as it is.
        begun = {key: field["default"] for key, field in fields.items() if "default" in field}
        await kind.async_validate_config(hass, {"target": {"device_id": "one"}, "options": begun})


@pytest.mark.parametrize(
    ("descriptions", "known"),
    [(trigger.async_get_all_descriptions, TRIGGERS), (condition.async_get_all_descriptions, CONDITIONS)],
    ids=["triggers", "conditions"],
)
async def test_home_assistant_reads_the_descriptions(
    hass: HomeAssistant, descriptions: Any, known: dict[str, type[Any]]
) -> None:
    assert await async_setup_component(hass, "automation", {})
    assert await async_setup_component(hass, "ridethrough", {})
    await hass.async_block_till_done()
    ours = {key: value for key, value in (await descriptions(hass)).items() if key.startswith("ridethrough.")}
    assert set(ours) == {f"ridethrough.{name}" for name in known}
    assert all(ours.values())


def test_actions_take_what_their_forms_offer() -> None:
    described = load_yaml_dict(str(INTEGRATION / "services.yaml"))
    for action in ACTIONS:
        offered = described[action.name].get("fields", {})
        assert {str(marker): isinstance(marker, probatio.Required) for marker in action.fields} == {
            name: field["required"] for name, field in offered.items()
        }


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_step_and_outcome_of_a_subentry_has_its_words(language: str) -> None:
    written = (INTEGRATION / "device_flow.py").read_text(encoding="utf-8")
    steps = {name for name in re.findall(r"async def async_step_(\w+)", written) if name != "stopped"}
    types = read(f"translations/{language}.json")["config_subentries"]
    assert set(types) == set(Kind)
    for words in types.values():
        assert set(words["step"]) == steps
        assert set(words["error"]) == ERRORS_OF_DEVICES | {"refused"}
        assert set(words["abort"]) == ABORTS | {"offline", "no_answer", "not_supported", "refused"}
        assert set(words["progress"]) == {"test"}
        assert set(words["initiate_flow"]) == {"user", "reconfigure"}


@pytest.mark.parametrize("kind", list(Kind))
def test_every_field_of_a_subentry_has_its_words(kind: Kind) -> None:
    words = read("strings.json")["config_subentries"][kind]["step"]
    possible = possibilities(SCHEMES | {"groups": {"ups": ["test"], "transfer_switch": ["transfer"]}})
    forms = {"settings": [settings_schema(kind, possible, new=True), settings_schema(kind, possible, new=False)]}
    forms["user"] = forms["protocol"] = [protocol_schema(possible)]
    forms["host"] = [connection_schema(scheme, Reach.HOST, []) for scheme in possible.schemes]
    forms["serial"] = [connection_schema(scheme, Reach.SERIAL, []) for scheme in possible.schemes]
    for step, schemas in forms.items():
        for schema in schemas:
            for marker, field in schema.schema.items():
                if isinstance(field, section):
                    named = words[step]["sections"][str(marker)]["data"]
                    asked = {str(inner) for inner in field.schema.schema}
                    # What the bridge alone knows is shown under its own name.
                    assert asked <= {*named, "colour"}
                else:
                    assert str(marker) in words[step]["data"]


def test_every_option_that_is_said_to_have_words_has_them() -> None:
    steps = read("strings.json")["config_subentries"]["ups"]["step"]
    for step in ("serial", "host"):
        assert set(steps[step]["sections"]["advanced"]["data"]) == WORDED
        assert set(COMMON) <= set(steps[step]["data"])


def test_groups_of_commands_that_may_be_allowed_have_their_words() -> None:
    # These are the bridge's own, or have their `allow:` in its file, and nothing of them is granted with a device.
    own = {"bridge", "feed", "agent", "plan", "plan_stage", "battery_system", "battery_string", "battery_module"}
    groups = {row["group"] for row in read("catalogue.json")["commands"] if not own & set(row["kinds"])}
    assert groups <= set(read("strings.json")["selector"]["allow"]["options"])


@pytest.mark.parametrize(
    ("name", "height"), [("icon.png", 256), ("icon@2x.png", 512), ("logo.png", 128), ("logo@2x.png", 256)]
)
async def test_home_assistant_serves_our_picture(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, name: str, height: int
) -> None:
    assert await async_setup_component(hass, "brands", {})
    client = await hass_client()
    response = await client.get(f"/api/brands/integration/ridethrough/{name}")
    picture = INTEGRATION / "brand" / name
    assert await response.read() == picture.read_bytes()
    with Image.open(picture) as image:
        assert image.height == height
        assert image.mode == "RGBA"


def test_hacs_knows_what_it_needs() -> None:
    described = json.loads((ROOT / "hacs.json").read_text(encoding="utf-8"))
    assert described["name"] == "Ridethrough"
    assert described["homeassistant"].startswith("2026.10")
