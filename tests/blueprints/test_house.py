"""Blueprints that work together, and what becomes of them when nothing is as it should be."""

from collections.abc import Iterator

import pytest

from tests.component.bridge_peer import UPS_ID

from .house import UPS_B_ID, House, did
from .plays import Scenario
from .scenarios import AFTER, AGAIN, FOR, MARKER, SCENARIOS, STAGES
from .test_files import NAMES

MACHINES = ("storage", "core", "desk", "lab")


def firsts() -> Iterator[Scenario]:
    for name in NAMES:
        yield next(each for each in SCENARIOS if each.blueprint == name)


def state_of_machines(house: House) -> str:
    return " ".join(name for name in MACHINES if house.shows(f"input_boolean.{name}") == "on")


@pytest.mark.parametrize("scenario", [pytest.param(each, id=each.blueprint) for each in firsts()])
async def test_nothing_is_done_and_nothing_fails_while_the_integration_is_not_there(
    house: House, scenario: Scenario, caplog: pytest.LogCaptureFixture
) -> None:
    house.use(scenario.blueprint, **scenario.inputs)
    await house.open(integration=False)
    domain, name = scenario.blueprint.split("/")
    assert house.shows(f"{domain}.{name}") in {"on", "off"}
    await house.after(300)
    assert house.done == []
    assert not [each.getMessage() for each in caplog.records if each.name.startswith("homeassistant.components.autom")]
    assert not [each.getMessage() for each in caplog.records if "emplate" in each.getMessage()]


async def test_reload_in_the_middle_of_an_outage_neither_forgets_nor_repeats(house: House) -> None:
    house.use("automation/job_after_delay", **AFTER).use("automation/job_on_battery_for", **FOR)
    await house.open()
    await house.power(False)
    await house.after(200)
    house.automations[0]["description"] = "Changed meanwhile."
    house.automations[1]["description"] = "Changed as well."
    await house.reload()
    await house.after(120)
    assert house.done == ["job"]
    house.automations[0]["description"] = "Changed again."
    await house.reload()
    await house.after(240)
    assert house.done == ["job", "job"]
    await house.reload()
    await house.after(600)
    assert house.done == ["job", "job"]


async def test_long_night(house: House) -> None:
    """Everything that the case study warns of, in one outage: short returns, restarts, a silent line, a person."""
    house.use("automation/staged_shutdown", **STAGES).use("automation/restart_when_charged", **AGAIN)
    await house.open()
    for name in MACHINES:
        await house.switch(f"input_boolean.{name}", True)
    # Six minutes, a moment of mains, six minutes: the clock of eight minutes never gets there, but the charge does.
    for charge in (90, 75, 61):
        await house.power(False)
        await house.after(360)
        await house.reads(battery__charge=charge)
        await house.power(True)
        await house.after(20)
    assert state_of_machines(house) == "storage core desk lab"
    await house.power(False)
    await house.reads(battery__charge=60)
    await house.after(20)
    assert state_of_machines(house) == "storage core"
    async with house.restarted(away=600):
        await house.reads(battery__charge=41, battery__runtime=1300)
    await house.after(30)
    assert state_of_machines(house) == "storage core"
    await house.lose()
    await house.after(300)
    assert state_of_machines(house) == "storage core"
    await house.find()
    await house.reads(battery__charge=38)
    await house.after(30)
    assert state_of_machines(house) == "core"
    await house.switch("input_boolean.desk", True)
    await house.after(30)
    assert state_of_machines(house) == "core"
    await house.power(True)
    await house.reads(battery__charge=38)
    await house.after(900)
    assert state_of_machines(house) == "core"
    # Charged; power fails again while the first machine starts.
    await house.reads(battery__charge=80, battery__runtime=5000)
    await house.after(20)
    assert state_of_machines(house) == "storage core"
    await house.power(False)
    await house.after(60)
    assert state_of_machines(house) == "storage core"
    await house.power(True)
    await house.restart()
    await house.after(420)
    assert state_of_machines(house) == "storage core desk"
    assert house.shows("input_boolean.memory") == "off"
    await house.switch("input_boolean.desk", False)
    await house.after(3600, 60)
    assert state_of_machines(house) == "storage core"


async def test_job_that_fails_is_not_done_again_and_again_and_keeps_nothing_else_from_it(house: House) -> None:
    house.use("automation/job_after_delay", **{**AFTER, "job": did("job")}).use("automation/marker_siren", **MARKER)
    house.fails = {"job"}
    await house.open()
    await house.power(False)
    await house.condition("overload", True, UPS_ID)
    await house.after(900)
    assert house.done == []
    assert house.tried == ["job"]
    # It has sounded, and has silenced itself after ten minutes.
    assert house.shows("input_boolean.acknowledged") == "on"
    assert house.shows("automation.job_after_delay") == "on"


async def test_order_of_a_shutdown_does_not_hang_on_a_message_that_cannot_be_sent(house: House) -> None:
    house.use(
        "automation/redundancy",
        on_battery=["binary_sensor.rack_ups_on_battery", "binary_sensor.second_ups_on_battery"],
        degraded_shown="input_boolean.warning",
        ordered_shown="input_boolean.alarm",
        degraded=[{"action": "notify.nobody_has_this"}],
        order=did("shut down"),
    )
    await house.open()
    await house.power(False)
    await house.power(False, UPS_B_ID)
    await house.after(120)
    assert house.done == ["shut down"]
