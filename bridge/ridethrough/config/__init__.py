"""The configuration file: its schema, its secrets, and errors that say where and what."""

from .battery import BatteryConfig
from .device import DeviceConfig, Limits, ThresholdConfig
from .errors import ConfigError, ConfigureError, Problem
from .loader import EXAMPLE, advise, load
from .model import ApiConfig, BridgeConfig, PipeConfig, TrapConfig, UpsConfig
from .profiles import ModelProfile, apply_profile, profiles
from .schema import LinkCheck
from .tls import TlsConfig

__all__ = [
    "EXAMPLE",
    "ApiConfig",
    "BatteryConfig",
    "BridgeConfig",
    "ConfigError",
    "ConfigureError",
    "DeviceConfig",
    "Limits",
    "LinkCheck",
    "ModelProfile",
    "PipeConfig",
    "Problem",
    "ThresholdConfig",
    "TlsConfig",
    "TrapConfig",
    "UpsConfig",
    "advise",
    "apply_profile",
    "load",
    "profiles",
]
