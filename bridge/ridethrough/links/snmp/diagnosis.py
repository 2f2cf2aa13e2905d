"""Why an agent does not answer, in one sentence."""

import asyncio
from dataclasses import replace

from ridethrough.links.base import LinkError

from .agent import SYS_DESCR, Agent, Endurance
from .options import SnmpOptions, User
from .writing import reason

PATIENCE = 1.0
"""Seconds that a second look takes at most for each thing it tries."""

WHY = {
    "user": "{agent} knows no SNMPv3 user {user!r}.",
    "password": "{agent} knows the SNMPv3 user {user!r}, but not with this password or not with auth={auth}.",
    "privacy": "{agent} cannot decrypt what SNMPv3 user {user!r} sends: the privacy password or privacy={privacy} "
    "is not what it has.",
    "level": "{agent} does not let SNMPv3 user {user!r} in like this: it wants other auth= and privacy= options.",
}
"""What an agent tells of a user that it turns away (RFC 3414 §3.2: usmStats)."""


async def explain(address: str, options: SnmpOptions) -> str:
    """Find out why nothing comes back, and say it in a sentence."""
    if await _refused(address, options):
        return f"{options} refuses the connection: no SNMP agent is running there."
    short = replace(options, timeout=min(options.timeout, PATIENCE))
    if options.user is not None:
        return await _of_user(address, short, options.user)
    if await _answers(address, replace(short, version="3", user=User("", None, "", None, ""))):
        return (
            f"An SNMP agent is at {options}, but it does not answer version {options.version} with this community: "
            "most likely the community is wrong."
        )
    other = "1" if options.version == "2c" else "2c"
    if await _answers(address, replace(short, version=other)):
        return f"{options} answers version {other} and not {options.version}: write version={other} into the link."
    return (
        f"{options} does not answer within {options.timeout:g} s: nothing is there, a firewall is in between, "
        "or the community is wrong (agents are silent then)."
    )


async def _of_user(address: str, options: SnmpOptions, user: User) -> str:
    why = await reason(address, options)
    if why in WHY:
        return WHY[why].format(agent=options, user=user.name, auth=user.auth, privacy=user.privacy)
    if await _answers(address, replace(options, user=User("", None, "", None, ""))):
        # It speaks version 3 and has nothing to say to this user.
        return (
            f"{options} speaks SNMPv3, but does not answer user {user.name!r}: "
            "the privacy password or privacy= is wrong, or that user may read nothing."
        )
    return (
        f"{options} does not answer within {options.timeout:g} s: nothing is there, a firewall is in between, "
        "or it does not speak SNMPv3."
    )


async def _answers(address: str, options: SnmpOptions) -> bool:
    """Tell whether an agent says anything at all; of version 3, its engine's name."""
    agent = Agent(address, options, Endurance())
    try:
        await agent.open()
        return options.version == "3" or bool(await agent.get([SYS_DESCR]))
    except LinkError:
        return False


async def _refused(address: str, options: SnmpOptions) -> bool:
    """Tell whether the machine says that nobody listens on that port (ICMP port unreachable)."""
    loop = asyncio.get_running_loop()
    knock = _Knock()
    try:
        transport, _ = await loop.create_datagram_endpoint(lambda: knock, remote_addr=(address, options.port))
    except OSError:
        return False
    try:
        transport.sendto(b"\x30\x00")
        await asyncio.wait_for(knock.refused.wait(), min(options.timeout, PATIENCE) / 2)
    except TimeoutError:
        return False
    finally:
        transport.close()
    return True


class _Knock(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.refused = asyncio.Event()

    def error_received(self, exc: Exception) -> None:
        if isinstance(exc, ConnectionRefusedError):
            self.refused.set()


__all__ = ["explain"]
