"""Why a peer could not be reached, in sentences that say what to do."""

from collections.abc import Iterator
import errno
import socket
import ssl

import aiohttp

from .wording import one_line


def complaint(error: BaseException, where: str) -> str:
    """Say why no connection to `where` came about, or why it ended."""
    for cause in _causes(error):
        match cause:
            case socket.gaierror():
                return (
                    f"The name of {where} is not known ({cause.strerror}); is it right, and does the bridge's DNS work?"
                )
            case ssl.SSLCertVerificationError():
                return (
                    f"The certificate of {where} is not trusted: {cause.verify_message.rstrip('.')}. "
                    "Give ca: the certificate of its authority, or its own."
                )
            case ssl.SSLError():
                return f"No TLS could be agreed on with {where} ({getattr(cause, 'reason', None) or cause}); are port and security right?"
            case ConnectionRefusedError():
                return f"{where} refuses the connection; are address and port right, and does the server run?"
            case TimeoutError():
                return f"{where} did not answer in time."
            case aiohttp.ClientConnectorDNSError():
                return f"The name of {where} is not known; is it right, and does the bridge's DNS work?"
            case ConnectionError() | aiohttp.ServerDisconnectedError():
                return f"{where} has ended the connection."
            case OSError(errno=errno.ENETUNREACH | errno.EHOSTUNREACH):
                return f"There is no route to {where}; is the bridge's network up?"
            case OSError() if cause.strerror and cause.errno is not None and cause.errno > 0:
                return f"{where} could not be reached: {cause.strerror}."
    return f"{where} could not be reached: {one_line(str(error))[:200]}"


def passing(error: BaseException) -> bool:
    """Whether it may be over in a while: networks and servers come back, certificates do not mend themselves."""
    return not any(isinstance(cause, ssl.SSLError) for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Give what is at the bottom of it first."""
    chain: list[BaseException] = []
    seen: BaseException | None = error
    while seen is not None and seen not in chain:
        chain.append(seen)
        seen = seen.__cause__ or seen.__context__
    for link in reversed(chain):
        if isinstance(link, BaseExceptionGroup):
            yield from link.exceptions
        yield link


__all__ = ["complaint", "passing"]
