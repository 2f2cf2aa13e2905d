"""Model profiles: what is recommended for a family of UPSes, entered by naming it (`model:`; manual M:2234, M:2239).

Each file of `models/` is a family: its link and recommended values, and its models, which may have others. Values are
written as in the configuration. A value that a person gives wins. `typical` says that hold and recharge time are not
the maker's figures but what such UPSes usually have.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
import tomllib
from typing import Any

from .model import UpsConfig
from .units import APPARENT_POWER, BATTERY_LIFE, HOLD_TIME, RECHARGE_TIME, SHUTDOWN_TIME

FOLDER = "models"


@dataclass(frozen=True, slots=True)
class ModelProfile:
    """What is recommended for one model; None for what is not."""

    key: str
    """`id` in the file, `model:` in the configuration."""
    title: str
    makes: tuple[str, ...] = ()
    link: str | None = None
    """How such a UPS is usually reached: a link URL whose port or address a person replaces."""
    power: float | None = None
    """VA."""
    hold_time: float | None = None
    """Minutes at full load with full batteries."""
    recharge_time: float | None = None
    """Hours."""
    battery_too_old_after: int | None = None
    """Months."""
    system_shutdown_time: float | None = None
    """Seconds."""
    functions: frozenset[str] = frozenset()
    """Commands of the catalogue that such a UPS usually has; what one really has its link finds out."""
    typical: bool = False
    """Whether hold and recharge time are those of such UPSes in general."""
    source: str = ""


RECOMMENDED = ("power", "hold_time", "recharge_time", "battery_too_old_after", "system_shutdown_time")
"""What a profile enters into the configuration of a UPS."""

_READ: Mapping[str, Callable[[Any], object]] = {
    "makes": tuple,
    "functions": frozenset,
    "power": APPARENT_POWER.parse,
    "hold_time": HOLD_TIME.parse,
    "recharge_time": RECHARGE_TIME.parse,
    "battery_too_old_after": lambda text: round(BATTERY_LIFE.parse(text)),
    "system_shutdown_time": SHUTDOWN_TIME.parse,
}


@cache
def profiles() -> Mapping[str, ModelProfile]:
    """Read all profiles, by key, in the order of their titles. Raises ValueError or TypeError when a file is wrong."""
    found: dict[str, ModelProfile] = {}
    files = resources.files(__package__).joinpath(FOLDER).iterdir()
    for file in (file for file in files if file.name.endswith(".toml")):
        family = tomllib.loads(file.read_text(encoding="utf-8"))
        models = family.pop("model")
        for model in models:
            values = {name: _READ.get(name, _same)(value) for name, value in {**family, **model}.items()}
            profile = ModelProfile(key=str(values.pop("id")), **values)  # type: ignore[arg-type]  # names are the file's
            if found.setdefault(profile.key, profile) is not profile:
                raise ValueError(f"{file.name}: the model {profile.key} stands twice")
    return dict(sorted(found.items(), key=lambda item: (item[1].title, item[1].power or 0.0)))


def apply_profile(config: UpsConfig) -> UpsConfig:
    """Enter the recommended values of the named model wherever a person has given none."""
    profile = None if config.model is None else profiles().get(config.model)
    if profile is None:
        return config
    return replace(config, **{name: getattr(profile, name) for name in RECOMMENDED if getattr(config, name) is None})


def _same(value: object) -> object:
    return value


__all__ = ["RECOMMENDED", "ModelProfile", "apply_profile", "profiles"]
