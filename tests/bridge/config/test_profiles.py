"""Model profiles: recommended values, which give way to what a person gives."""

from dataclasses import fields
from pathlib import Path

import pytest

from ridethrough.assembly.derivations import derivations
from ridethrough.catalogue import load_catalogue
from ridethrough.config import ConfigError, UpsConfig, apply_profile, load, profiles
from ridethrough.config.profiles import RECOMMENDED
from ridethrough.links.base import LinkUrl
from ridethrough.links.schemes import LINKS, check_link

SCHEMES = {"megatec", "nut", "snmp", "modbus", "contacts"}


@pytest.fixture
def told(tmp_path: Path) -> Path:
    return tmp_path / "bridge.yaml"


def written(file: Path, *settings: str) -> Path:
    """Write a configuration with one UPS."""
    file.write_text("".join(["ups:\n- id: a\n  link: x\n", *(f"  {setting}\n" for setting in settings)]))
    return file


@pytest.mark.parametrize("key", profiles())
def test_profile_is_sound(key: str) -> None:
    profile = profiles()[key]
    assert profile.key == key
    assert profile.title and profile.makes
    # Figures need a source, or must be marked as nobody's in particular.
    assert profile.source or profile.typical
    assert (profile.hold_time is None) or profile.typical
    catalogue = load_catalogue()
    assert all(catalogue.command("ups", command) is not None for command in profile.functions)
    if profile.link is not None:
        assert LinkUrl.parse(profile.link).scheme in SCHEMES
        if LinkUrl.parse(profile.link).scheme in LINKS:
            check_link(profile.link)


def test_families_are_there_in_their_sizes() -> None:
    powers = {key: profile.power for key, profile in profiles().items()}
    assert [powers[f"megatec-online-{power}"] for power in (1000, 2000, 3000, 6000, 10000)] == [1e3, 2e3, 3e3, 6e3, 1e4]
    assert {"rfc1628", "apc-smart-network", "contacts", "modbus-default", "legrand-keor-lp", "voltronic-1000"} <= set(
        powers
    )


def test_recommended_values_are_entered_where_a_person_has_given_none() -> None:
    config = UpsConfig("a", "A", "x", model="megatec-online-3000", hold_time=12.0)
    applied = apply_profile(config)
    assert (applied.power, applied.hold_time, applied.recharge_time) == (3000.0, 12.0, 10.0)
    untouched = {field.name for field in fields(UpsConfig)} - set(RECOMMENDED)
    assert all(getattr(applied, name) == getattr(config, name) for name in untouched)
    assert apply_profile(applied) == applied


@pytest.mark.parametrize("model", [None, "of-another-version"])
def test_without_a_profile_everything_stays(model: str | None) -> None:
    config = UpsConfig("a", "A", "x", model=model)
    assert apply_profile(config) == config


def test_profile_gives_a_runtime_to_a_ups_that_tells_none() -> None:
    class Contacts:
        values = {"ups.load": 100.0, "battery.charge": 50.0}
        active = frozenset({"on_battery"})
        known = frozenset({"on_battery"})

    def runtime(model: str | None) -> object:
        made = derivations(UpsConfig("a", "A", "x", model=model))
        return next((found for one in made if (found := one(Contacts(), 0.0).points.get("battery.runtime"))), None)

    assert runtime(None) is None
    # Half the charge of 4 minutes.
    assert runtime("contacts") == 120.0


def test_model_is_kept_as_it_was_named(told: Path) -> None:
    (ups,) = load(written(told, "model: megatec-online-1000")).ups
    assert (ups.model, ups.power) == ("megatec-online-1000", None)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["model: megatec-onlin-1000"], "did you mean megatec-online-1000?"),
        (["model: zzz"], "permitted: "),
        (["model: [a]"], "must be a model, not a list"),
        (["load: 2 kVA", "model: megatec-online-1000"], "must not exceed power, 1000 VA"),
    ],
)
def test_wrong_model_is_told_with_what_is_permitted(told: Path, settings: list[str], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(told, *settings))
    (problem,) = caught.value.problems
    assert problem.line == 4
    assert words in problem.message


def test_person_may_have_more_power_than_the_profile_says(told: Path) -> None:
    load(written(told, "load: 2 kVA", "power: 3 kVA", "model: megatec-online-1000"))
