"""An own certificate."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """An own certificate; without one the API makes a self-signed one when it listens beyond loopback."""

    certificate: Path
    key: Path


__all__ = ["TlsConfig"]
