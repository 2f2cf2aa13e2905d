"""The bridges that this agent is paired with: one file for each, replaced in one step.

A file is PEM with a few lines before it, which every reader of PEM passes over:

    Bridge: 0b0c7a4e-…  Server room
    Agent: 5d3f…
    -----BEGIN PRIVATE KEY-----            the agent's
    -----BEGIN CERTIFICATE-----            the agent's
    -----BEGIN CERTIFICATE-----            the bridge's authority
"""

from __future__ import annotations

from dataclasses import dataclass
import logging
import os
from pathlib import Path
import re
import ssl
import uuid

from .memory import replace_file
from .systems import foreign_hand
from .texts import clean

_LOGGER = logging.getLogger(__name__)

MAX_NAME = 64
_BLOCK = re.compile(r"-----BEGIN ([A-Z ]+)-----\n[A-Za-z0-9+/=\n]+-----END \1-----\n")


class PairingError(Exception):
    """Pairing, or the file of one, is not as it should be; the text says what to do."""


@dataclass(frozen=True)
class Bridge:
    """A bridge that this agent is paired with."""

    id: str
    """UUID."""
    name: str
    agent: str
    """UUID under which that bridge knows this agent."""
    path: Path
    """Of the file with key and certificates."""

    @property
    def server_name(self) -> str:
        """What the bridge calls when it connects, and by which the certificate is chosen."""
        return f"{self.agent}.agent.ridethrough.internal"

    @property
    def common_name(self) -> str:
        """Of the certificate that the bridge must show."""
        return f"bridge {self.id}"

    def context(self) -> ssl.SSLContext:
        """Read the certificates: the own one is shown, one of that authority is demanded."""
        try:
            authority = blocks(self.path.read_text("utf-8"), "CERTIFICATE")[-1]
            context = server_context()
            context.load_cert_chain(self.path)
            context.load_verify_locations(cadata=authority)
        except (OSError, ValueError, IndexError) as error:
            raise PairingError(f"{self.path} is damaged ({error}): pair again with {self.name}") from None
        return context


def fault(bridge: Bridge) -> str | None:
    """Say what is wrong with a pairing's certificates, or nothing."""
    try:
        bridge.context()
    except PairingError as error:
        return str(error)
    return None


def server_context() -> ssl.SSLContext:
    """TLS 1.3 and a certificate of the other side, or nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    # Each connection shows its certificate anew: nothing is resumed.
    context.num_tickets = 0
    return context


def blocks(text: str, kind: str) -> list[str]:
    """Return the PEM blocks of this kind (`CERTIFICATE`; `KEY` means any private key)."""
    return [found[0] for found in _BLOCK.finditer(text.replace("\r\n", "\n")) if found[1].endswith(kind)]


def canonical(text: str) -> str:
    """Return a UUID in its usual form; raises ValueError."""
    return str(uuid.UUID(text))


class Bridges:
    """The folder with one file for each bridge."""

    def __init__(self, folder: Path) -> None:
        """Keep the files in `folder`; it need not exist yet."""
        self.folder = folder

    def stamp(self) -> tuple[tuple[str, int, int], ...] | None:
        """Return what differs when a pairing was made or ended. Cheap enough to ask every second.

        Nothing where the disk does not say: it is no reason to forget who may shut this computer down.
        """
        try:
            with os.scandir(self.folder) as entries:
                found = [(entry.name, entry.stat()) for entry in entries if entry.name.endswith(".pem")]
        except FileNotFoundError:
            return ()
        except OSError:
            return None
        return tuple(sorted((name, stat.st_mtime_ns, stat.st_size) for name, stat in found))

    def read(self) -> list[Bridge]:
        """Read all pairings; one that is damaged is logged and left out, the others still count."""
        found = [self._try(path) for path in sorted(self.folder.glob("*.pem"))]
        return [bridge for bridge in found if bridge is not None]

    def _try(self, path: Path) -> Bridge | None:
        try:
            return self._read(path)
        except PairingError as error:
            _LOGGER.error("%s", error)
            return None

    def _read(self, path: Path) -> Bridge:
        try:
            hand = foreign_hand(path)
            lines = path.read_text("utf-8").splitlines()
            mark, identity, name = lines[0].split(" ", 2)
            other, agent = lines[1].split(" ", 1)
            own = canonical(agent)
        except (OSError, ValueError, IndexError) as error:
            raise PairingError(f"{path} is damaged ({error}): pair again") from None
        if hand is not None:
            # Whoever wrote it says whom this computer obeys.
            raise PairingError(f"{hand}; until then this pairing does not count")
        if (mark, other) != ("Bridge:", "Agent:") or identity != path.stem:
            raise PairingError(f"{path} is damaged (its first lines are not those of a pairing): pair again")
        return Bridge(identity, clean(name, MAX_NAME), own, path)

    def add(self, bridge: str, name: str, agent: str, key: str, certificate: str, authority: str) -> Bridge:
        """Keep a pairing, in the place of an earlier one with that bridge, when its parts belong together."""
        try:
            identity, own = canonical(bridge), canonical(agent)
        except ValueError as error:
            raise PairingError(f"the bridge sent an identity that is none: {error}") from None
        parts = blocks(key, "KEY")[:1] + blocks(certificate, "CERTIFICATE") + blocks(authority, "CERTIFICATE")[-1:]
        if len(parts) < 3:
            raise PairingError("the bridge sent no key, no certificate or no authority")
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        shown = clean(name, MAX_NAME) or identity
        content = f"Bridge: {identity} {shown}\nAgent: {own}\n\n" + "".join(parts)
        # Tried before it takes the earlier one's place.
        trial = self.folder / f"{identity}.trial"
        replace_file(trial, content.encode("utf-8"))
        try:
            Bridge(identity, shown, own, trial).context()
        except PairingError:
            trial.unlink()
            raise PairingError("the key and the certificate that the bridge sent do not belong together") from None
        path = self.folder / f"{identity}.pem"
        trial.replace(path)
        return Bridge(identity, shown, own, path)

    def remove(self, wanted: str) -> list[Bridge]:
        """End the pairing with the bridge of this identity or name; returns those that ended."""
        ended = [bridge for bridge in self.read() if wanted in (bridge.id, bridge.name)]
        for bridge in ended:
            bridge.path.unlink()
        return ended


__all__ = ["Bridge", "Bridges", "PairingError", "fault", "server_context"]
