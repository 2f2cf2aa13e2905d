"""Every blueprint, driven through outages, flapping mains, restarts and stale data by the real automation engine."""

import pytest

from .house import House
from .plays import REQUIRED, Scenario
from .scenarios import SCENARIOS
from .test_files import NAMES

EXPECTED = ("cannot be done", "no_such_action", "Connection to the bridge", "We found a custom integration")
"""What Home Assistant may complain of."""


@pytest.mark.parametrize(
    "scenario", [pytest.param(each, id=f"{each.blueprint}-{each.kind}-{each.name}") for each in SCENARIOS]
)
async def test_blueprint(house: House, scenario: Scenario, caplog: pytest.LogCaptureFixture) -> None:
    house.use(scenario.blueprint, **scenario.inputs)
    await house.open()
    for act in scenario.acts:
        await act(house)
    assert house.done == list(scenario.done)
    assert {entity_id: house.shows(entity_id) for entity_id in scenario.shows} == scenario.shows
    assert house.told == list(scenario.told)
    assert house.ordered == list(scenario.ordered)
    # A template that fails, or an automation that is started faster than it ends, says so in the log only.
    complaints = [
        each.getMessage()
        for each in caplog.records
        if each.levelname in {"WARNING", "ERROR"}
        and each.name.startswith(("homeassistant.components", "homeassistant.help"))
    ]
    assert [each for each in complaints if not any(known in each for known in EXPECTED)] == []


@pytest.mark.parametrize("blueprint", NAMES)
def test_blueprint_has_scenarios_of_every_kind(blueprint: str) -> None:
    assert {each.kind for each in SCENARIOS if each.blueprint == blueprint} >= REQUIRED


def test_scenarios_have_names_of_their_own() -> None:
    names = [(each.blueprint, each.kind, each.name) for each in SCENARIOS]
    assert len(names) == len(set(names))
