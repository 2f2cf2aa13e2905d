"""An invitation: for ten minutes somebody who has the code may pair the agent of one computer.

Whoever stands between sees nothing of use: the code tells the agent which certificate it must be shown before it sends
the secret, and the secret tells the bridge that it talks to whom the code was given. Who has neither can keep the port
busy for a moment, and end the invitation by guessing wrongly five times.
"""

import asyncio
import base64
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
import hashlib
import hmac
import logging
from pathlib import Path
import secrets
import ssl
import tempfile

import orjson

from ridethrough.addresses import plain
from ridethrough.clock import Clock
from ridethrough.config.agents import AgentConfig, AgentsConfig
from ridethrough.config.feeds import Network
from ridethrough.site import DeviceId

from . import frames
from .authority import Authority, Signed
from .frames import FrameError, Pair
from .pairings import Pairing, Pairings

_LOGGER = logging.getLogger(__name__)

SECRET, PROOF = 5, 10
"""Bytes of the secret, and of the certificate's SHA-256, in a code."""
VALID = 600.0
"""Seconds for which an invitation is open."""
WRONG = 5
"""Wrong secrets that end it: 2⁻³⁸ is the chance to guess it by then."""
GUESTS = 16
"""Connections at once; a further one ends the oldest, so that those who only wait keep nobody out."""
SAID = 20
"""Lines about guests that are not paired: a flood of them must not hide the code."""
TALK = 10.0
"""Seconds that a guest has for all of it."""
FAREWELL = 5.0
"""Seconds in which an agent that is paired is expected to end the connection."""


class PairingError(Exception):
    """The invitation has ended without an agent; the message is a sentence that says why."""


@dataclass(frozen=True, slots=True)
class Paired:
    """The agent that came."""

    name: str
    """What the computer calls itself."""
    address: str
    port: int
    """Where it listens, as it says."""
    version: str


def code_of(secret: bytes, certificate: bytes) -> str:
    """Return what a person types at the agent: 24 letters and digits in groups of four."""
    raw = secret + hashlib.sha256(certificate).digest()[:PROOF]
    text = base64.b32encode(raw).decode()
    return "-".join(text[index : index + 4] for index in range(0, len(text), 4))


class Invitation:
    """One invitation of one agent."""

    def __init__(
        self,
        agent: AgentConfig,
        agent_id: DeviceId,
        bridge: tuple[DeviceId, str],
        config: AgentsConfig,
        authority: Authority,
        pairings: Pairings,
        clock: Clock,
        say: Callable[[str], None],
    ) -> None:
        """`bridge` is its UUID and its name; `say` hears in sentences what happens."""
        self._agent = agent
        self._agent_id = agent_id
        self._bridge = bridge
        self._config = config
        self._authority = authority
        self._pairings = pairings
        self._clock = clock
        self._say_freely = say
        self._said = 0
        self._secret = secrets.token_bytes(SECRET)
        self._wrong = 0
        self._guests: dict[asyncio.Task[None], None] = {}
        """Who is connected, the one that came first first."""
        self._admitting: asyncio.Task[None] | None = None
        """Who has shown the secret; it is not sent away for others."""
        self._ended: asyncio.Future[Paired] = asyncio.get_running_loop().create_future()
        self._context: ssl.SSLContext | None = None
        self.port = 0
        """Where it listens, once it does."""

    async def hold(self, show: Callable[[str], None], valid: float = VALID) -> Paired:
        """Listen until the agent is paired; `show` is given the code once that is so.

        Raises PairingError when nobody has come in time or somebody guesses, OSError when the port is taken.
        """
        occasion = await asyncio.to_thread(self._authority.occasion, self._clock)
        self._context = await asyncio.to_thread(_context, occasion)
        server = await asyncio.start_server(
            self._welcome, self._config.listen, self._config.port, limit=2 * frames.LARGEST
        )
        self.port = server.sockets[0].getsockname()[1]
        der = ssl.PEM_cert_to_DER_cert(occasion.certificate.decode())
        try:
            show(code_of(self._secret, der))
            async with asyncio.timeout(valid):
                return await self._ended
        except TimeoutError:
            raise PairingError(
                f"Nobody has paired {self._agent.name} within {valid / 60:.0f} minutes; the code is void."
            ) from None
        finally:
            server.close()
            guests = [*self._guests, *([self._admitting] if self._admitting else [])]
            for guest in guests:
                guest.cancel()
            await asyncio.gather(*guests, return_exceptions=True)

    # How it is done

    def _say(self, text: str) -> None:
        """Tell what strangers do, as long as it can be read."""
        self._said += 1
        if self._said <= SAID:
            self._say_freely(text if self._said < SAID else f"{text} What else comes is not told.")

    def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a connection, before a single byte of TLS is worked on."""
        host = str((writer.get_extra_info("peername") or ("?",))[0])
        if not _admitted(host, self._config.clients):
            self._say(f"Somebody at {host} is turned away: agents: clients: does not have this address.")
            writer.transport.abort()
            return
        if len(self._guests) >= GUESTS:
            next(iter(self._guests)).cancel()
        guest = asyncio.create_task(self._receive(reader, writer, host), name=f"pairing with {host}")
        self._guests[guest] = None
        guest.add_done_callback(self._left)

    def _left(self, guest: asyncio.Task[None]) -> None:
        self._guests.pop(guest, None)
        if guest.cancelled() or (error := guest.exception()) is None or self._ended.done():
            return
        # The store cannot be written, for instance; whoever has invited must know.
        self._ended.set_exception(error)

    async def _receive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        assert self._context is not None
        try:
            async with asyncio.timeout(TALK) as limit:
                await writer.start_tls(self._context, ssl_handshake_timeout=TALK)
                pair = await self._talk(reader, writer, host)
                if pair is not None:
                    limit.reschedule(None)
                    await self._admit(reader, writer, pair, host)
        except TimeoutError:
            _LOGGER.debug("Somebody at %s has said nothing in time", host)
        except (OSError, ssl.SSLError, ValueError, asyncio.IncompleteReadError) as error:
            _LOGGER.debug("A connection from %s has broken: %s", host, error)
        finally:
            writer.transport.abort()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> Pair | None:
        """Hear what a guest wants; returns it when it has the secret, for the first that has."""
        try:
            pair = frames.read_pair(await reader.readuntil(b"\n"))
        except (FrameError, asyncio.LimitOverrunError) as error:
            told = error if isinstance(error, FrameError) else "it sent a frame that is too long"
            self._say(f"Somebody at {host} cannot be paired: {told}.")
            await _send(writer, {"type": "refused", "message": f"This is no request to be paired: {told}."})
            return None
        if self._ended.done() or self._admitting is not None:
            await _send(writer, {"type": "refused", "message": "The invitation has been taken already."})
            return None
        if not hmac.compare_digest(pair.secret.lower().encode(), self._secret.hex().encode()):
            await self._refuse(writer, host)
            return None
        self._admitting = asyncio.current_task()
        assert self._admitting is not None
        self._guests.pop(self._admitting, None)
        return pair

    async def _refuse(self, writer: asyncio.StreamWriter, host: str) -> None:
        self._wrong += 1
        self._say(f"Somebody at {host} has a wrong code ({self._wrong} of {WRONG}).")
        if self._wrong >= WRONG:
            self._ended.set_exception(
                PairingError(f"Too many wrong codes came, the last from {host}; the invitation has ended.")
            )
        await _send(writer, {"type": "refused", "message": "The code is wrong, or not that of this invitation."})

    async def _admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pair: Pair, host: str) -> None:
        """Give the agent its papers. It is not paired before they have been sent, and not if the connection breaks."""
        signed = await asyncio.to_thread(self._authority.agent, self._agent_id)
        key = self._agent.key
        before = (await self._pairings.all()).get(key)
        now = self._clock.utc()
        pairing = Pairing(signed.fingerprint, now, pair.name, pair.version, host)
        # Remembered first: an agent must never have papers that its bridge does not accept.
        await self._pairings.put(key, pairing, self._authority.fingerprint)
        try:
            await self._hand_over(reader, writer, signed)
        except BaseException as error:
            if before is None:
                await self._pairings.forget(key)
            else:
                await self._pairings.put(key, before, self._authority.fingerprint)
            self._admitting = None
            if not isinstance(error, OSError | ssl.SSLError):
                raise
            self._say(f"The connection from {host} broke before {self._agent.name} had its certificate; try again.")
            return
        if not self._ended.done():
            self._ended.set_result(Paired(pair.name, host, pair.port, pair.version))

    async def _hand_over(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, signed: Signed) -> None:
        """Send an agent its papers; raises OSError when the connection breaks before it has ended it."""
        async with asyncio.timeout(FAREWELL):
            await _send(writer, self._papers(signed))
        with suppress(TimeoutError):  # it has them, and is in no hurry to go
            async with asyncio.timeout(FAREWELL):
                await reader.read(1)

    def _papers(self, signed: Signed) -> dict[str, object]:
        id_, name = self._bridge
        return {
            "type": "paired",
            "agent": self._agent_id,
            "name": self._agent.name,
            "bridge": {"id": id_, "name": name},
            "ca": self._authority.pem.decode(),
            "certificate": signed.certificate.decode(),
            "key": signed.key.decode(),
        }


async def _send(writer: asyncio.StreamWriter, frame: dict[str, object]) -> None:
    writer.write(orjson.dumps(frame, option=orjson.OPT_APPEND_NEWLINE))
    await writer.drain()


def _admitted(host: str, networks: Sequence[Network]) -> bool:
    if not networks:
        return True
    with suppress(ValueError):
        address = plain(host)
        return any(address in network for network in networks)
    return False


def _context(occasion: Signed) -> ssl.SSLContext:
    """Make what the bridge shows to its guests."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    # The library reads files only; this one is private, and gone in a moment.
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        path = Path(file.name)
        path.write_bytes(occasion.key + occasion.certificate)
        context.load_cert_chain(path, password="")
    return context


__all__ = ["GUESTS", "VALID", "WRONG", "Invitation", "Paired", "PairingError", "code_of"]
