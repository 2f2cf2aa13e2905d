"""The configuration file: its schema, its secrets, and errors that say where and what."""

from .errors import ConfigError, Problem
from .loader import EXAMPLE, load
from .model import ApiConfig, BridgeConfig, TlsConfig, UpsConfig
from .schema import LinkCheck

__all__ = [
    "EXAMPLE",
    "ApiConfig",
    "BridgeConfig",
    "ConfigError",
    "LinkCheck",
    "Problem",
    "TlsConfig",
    "UpsConfig",
    "load",
]
