"""Datagrams: sent without waiting for an answer, as nobody gives one."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
import errno
import socket

from ridethrough.events.steps import ActionError

from .context import JobContext


@asynccontextmanager
async def sending(context: JobContext, host: str) -> AsyncIterator[None]:
    """Bound what sends something to `host` in time, and say in a sentence why it could not. Raises ActionError."""
    try:
        async with asyncio.timeout(context.limits.datagram):
            yield
    except TimeoutError as error:
        raise ActionError(
            f"Nothing could be sent to {host} within {context.limits.datagram:g} s.", again=True
        ) from error
    except socket.gaierror as error:
        raise ActionError(f"The name {host} is not known: {error.strerror}.", again=True) from error
    except UnicodeError as error:
        raise ActionError(f"{host} cannot be a name of a computer.") from error
    except OSError as error:
        raise ActionError(f"Nothing could be sent to {host}: {_reason(error)}.", again=True) from error


async def send(context: JobContext, host: str, port: int, payloads: Sequence[bytes]) -> None:
    """Send each payload to an address or name. Raises ActionError."""
    loop = asyncio.get_running_loop()
    async with sending(context, host):
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as sender:
            sender.setblocking(False)
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            for payload in payloads:
                await loop.sock_sendto(sender, payload, address)


def _reason(error: OSError) -> str:
    match error.errno:
        case errno.ENETUNREACH | errno.EHOSTUNREACH:
            return "there is no route to it; is the bridge's network up?"
        case errno.EACCES | errno.EPERM:
            return "the system or its firewall does not permit it"
        case _:
            return error.strerror or str(error)


__all__ = ["send", "sending"]
