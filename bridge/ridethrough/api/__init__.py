"""The API for people's software: WebSocket and REST, with tokens and roles; the contract is `schema.json`."""

from .contract import load_schema
from .limits import API_VERSION, Limits
from .protocols import Configurator, EventHistory, EventSource, TokenInfo, TokenVerifier, TraceSource
from .server import ApiServer, ApiStartError

__all__ = [
    "API_VERSION",
    "ApiServer",
    "ApiStartError",
    "Configurator",
    "EventHistory",
    "EventSource",
    "Limits",
    "TokenInfo",
    "TokenVerifier",
    "TraceSource",
    "load_schema",
]
