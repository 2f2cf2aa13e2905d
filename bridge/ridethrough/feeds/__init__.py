"""One package per protocol served to building management, and what they share: `base`, `directory`, `service`."""

from .base import Client, Feed, FeedContext, FeedError, Traffic
from .directory import Dependents, Directory, Need, Part, Subject
from .service import Service

__all__ = [
    "Client",
    "Dependents",
    "Directory",
    "Feed",
    "FeedContext",
    "FeedError",
    "Need",
    "Part",
    "Service",
    "Subject",
    "Traffic",
]
