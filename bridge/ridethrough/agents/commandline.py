"""`ridethrough agent`: inviting, listing and forgetting the agents of protected computers."""

from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from ridethrough.clock import Clock
from ridethrough.config import BridgeConfig
from ridethrough.config.agents import AgentConfig
from ridethrough.site import DeviceId

from .authority import forget_authority, open_authority
from .pairing import VALID, Invitation, Paired, PairingError
from .pairings import Facts, Pairings

EPILOG = """\
To protect a computer:
  1. write it under agents: computers: in the configuration file, with an id and a host,
  2. run `ridethrough agent invite ID` here; it shows a code,
  3. on that computer run the agent's `pair` with this bridge's address and the code.

A running bridge connects to it a few seconds later. An agent that is paired anew is not accepted with its old
certificate any longer. If the port for pairing cannot be reached, see listen: and clients: under agents:.
"""


class Identities(Protocol):
    """Who is who: `store.Identities`."""

    @property
    def bridge_id(self) -> DeviceId:
        """The bridge's own UUID."""

    def mint(self, key: str) -> DeviceId:
        """Give the device that the configuration calls `key` its UUID."""


class OpenStore(Protocol):
    """What is needed of the store."""

    @property
    def facts(self) -> Facts:
        """What is remembered."""

    @property
    def identities(self) -> Identities:
        """Who is who."""


def add_arguments(parser: ArgumentParser) -> None:
    """Add what may stand after `ridethrough agent`."""
    parser.epilog = EPILOG
    parser.formatter_class = RawDescriptionHelpFormatter
    parser.add_argument(
        "action",
        choices=("invite", "list", "forget"),
        help="invite: let the agent of a computer be paired, by a code that is shown; "
        "list: show all agents and since when they are paired; forget: accept an agent no longer",
    )
    parser.add_argument("id", nargs="?", help="the id of the computer in the configuration, e.g. nas")
    parser.add_argument(
        "--all", action="store_true", help="forget all agents and the bridge's authority; each must be paired anew"
    )


def check_arguments(options: Namespace) -> None:
    """Raise ValueError, with a sentence, for what cannot be meant."""
    if options.action == "forget" and options.all == (options.id is not None):
        raise ValueError("Say which agent to forget: ridethrough agent forget ID, or --all for every one.")
    if options.action != "forget" and options.all:
        raise ValueError("--all belongs to ridethrough agent forget.")
    if options.action == "invite" and options.id is None:
        raise ValueError("Say which computer to pair: ridethrough agent invite ID, with its id in the configuration.")


async def work(
    options: Namespace, config: BridgeConfig, store: OpenStore, clock: Clock, say: Callable[[str], None]
) -> None:
    """Do what was asked for; `say` is given what a person shall read.

    Raises ValueError, PairingError and CertificateError with sentences, and what the store raises.
    """
    match options.action:
        case "invite":
            await _invite(options.id, config, store, clock, say)
        case "list":
            await _list(config, Pairings(store.facts), say)
        case "forget":
            await _forget(options, config, store, say)


async def _invite(key: str, config: BridgeConfig, store: OpenStore, clock: Clock, say: Callable[[str], None]) -> None:
    agent = next((one for one in config.agents.computers if one.key == key), None)
    if agent is None:
        known = ", ".join(one.key for one in config.agents.computers) or "none"
        raise ValueError(f"There is no computer {key} under agents: computers: in the configuration (there: {known}).")
    pairings, identities = Pairings(store.facts), store.identities
    known_authority = await pairings.authority()
    authority = await asyncio.to_thread(open_authority, config.data, identities.bridge_id, known_authority)
    bridge = identities.bridge_id, config.name
    invitation = Invitation(agent, identities.mint(key), bridge, config.agents, authority, pairings, clock, say)
    if key in await pairings.all():
        say(f"{agent.name} is paired already. A new pairing takes the place of the old one.")

    def show(code: str) -> None:
        listen = config.agents.listen
        where = {"0.0.0.0": "every address", "::": "every address"}.get(listen, listen)
        if where.startswith("127.") or where in {"::1", "localhost"}:
            say("Only this computer can reach the address for pairing: for others write listen: 0.0.0.0 under agents:.")
        say(f"\n    {code}\n")
        say(f"This code pairs the agent of {agent.name} ({agent.host}); it is valid for {VALID / 60:.0f} minutes.")
        say(f"The bridge listens on port {invitation.port} of {where}. Ctrl-C ends it.")

    try:
        paired = await invitation.hold(show)
    except OSError as error:
        raise PairingError(
            f"Port {config.agents.port} of {config.agents.listen} cannot be listened on: {error.strerror or error}. "
            "Is another invitation open? (agents: listen: and port:)"
        ) from error
    _tell(agent, paired, say)


def _tell(agent: AgentConfig, paired: Paired, say: Callable[[str], None]) -> None:
    say(f"{agent.name} is paired: {paired.name} at {paired.address}, agent {paired.version or '?'}.")
    if paired.port != agent.port:
        say(
            f"Its agent says that it listens on port {paired.port}; the configuration has {agent.port}. "
            f"Write `port: {paired.port}` under {agent.key}."
        )


async def _list(config: BridgeConfig, pairings: Pairings, say: Callable[[str], None]) -> None:
    known = dict(await pairings.all())
    if not config.agents.computers and not known:
        say("There are no computers under agents: computers: in the configuration.")
    for agent in config.agents.computers:
        pairing = known.pop(agent.key, None)
        place = f"{agent.host}:{agent.port}"
        told = "not paired"
        if pairing is not None:
            told = f"paired {pairing.at:%Y-%m-%d %H:%M} UTC with {pairing.name} at {pairing.address}"
        say(f"{agent.key:<24} {place:<28} {told}{'' if agent.enabled else ', switched off'}")
    for key, pairing in known.items():
        say(f"{key:<24} {'no longer configured':<28} paired {pairing.at:%Y-%m-%d %H:%M} UTC with {pairing.name}")


async def _forget(options: Namespace, config: BridgeConfig, store: OpenStore, say: Callable[[str], None]) -> None:
    pairings = Pairings(store.facts)
    if options.all:
        await pairings.forget_all()
        await asyncio.to_thread(forget_authority, Path(config.data))
        say("All agents are forgotten, and the authority with them; each must be paired anew.")
        return
    if options.id not in await pairings.all():
        raise ValueError(f"{options.id} is not paired.")
    await pairings.forget(options.id)
    say(f"{options.id} is forgotten; a running bridge ends its connection within seconds.")
    say("The agent itself still knows this bridge: unpair it there too, or uninstall it.")


__all__ = ["add_arguments", "check_arguments", "work"]
