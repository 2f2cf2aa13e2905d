"""The configuration file: its schema, its secrets, and errors that say where and what."""

from .errors import ConfigError, ConfigureError, Problem
from .loader import EXAMPLE, advise, load
from .model import ApiConfig, BridgeConfig, Limits, PipeConfig, ThresholdConfig, TrapConfig, UpsConfig
from .profiles import ModelProfile, apply_profile, profiles
from .schema import LinkCheck
from .tls import TlsConfig

__all__ = [
    "EXAMPLE",
    "ApiConfig",
    "BridgeConfig",
    "ConfigError",
    "ConfigureError",
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
