"""The options of a NUT link: `nut://host:3493/ups1?tls=yes&ca=/etc/ridethrough/upsd.pem`."""

from dataclasses import dataclass
from pathlib import Path
import ssl
from urllib.parse import unquote

from ridethrough.links.base import LinkUrl
from ridethrough.links.option import Option, Options, flag, number

from .client import PORT, Address

OPTIONS = (
    number("poll", "how often it is asked", 0.1, 60, default=1, unit="seconds"),
    number("timeout", "how long upsd may take to answer", 0.1, 60, default=5, unit="seconds"),
    flag("tls", "whether the connection is encrypted"),
    Option("ca", "a file with the certificate of the authority, or of upsd itself, to verify with"),
    flag("verify", "whether the certificate is verified"),
)


@dataclass(frozen=True, slots=True)
class NutOptions:
    """A URL, understood."""

    address: Address
    ups: str | None
    """None: the only UPS that upsd has."""
    poll: float
    """Seconds between two polls."""


def understand(url: LinkUrl, example: str) -> NutOptions:
    """Read a URL.

    poll: seconds between polls, 0.1 to 60, 1 unless given; timeout: seconds for an answer, 0.1 to 60, 5 unless given;
    tls: yes or no; ca: a file with the certificate of the authority, or of upsd itself, to verify with (the system's
    authorities unless given); verify: no to accept any certificate. Raises ValueError with a sentence.
    """
    if not url.host:
        raise ValueError(f"{url} names no host; write it as in {example}")
    name = unquote(url.path.strip("/"))
    if "/" in name:
        raise ValueError(f"{url} names no UPS; write it as in {example}")
    options = Options("nut", OPTIONS, url.options)
    address = Address(
        url.host,
        PORT if url.port is None else url.port,
        options.amount("timeout"),
        _tls(options),
    )
    return NutOptions(address, name or None, options.amount("poll"))


def _tls(options: Options) -> ssl.SSLContext | None:
    authority = options.text("ca")
    verify = options.flag("verify", otherwise=True)
    # Who says how to verify wants something to verify.
    needed = not {"ca", "verify"}.isdisjoint(options.written)
    if not options.flag("tls", otherwise=needed):
        if needed:
            raise ValueError("ca= and verify= need tls=yes.")
        return None
    if authority is not None and not verify:
        raise ValueError("ca= and verify=no contradict each other.")
    if authority is not None and not Path(authority).is_file():
        raise ValueError(f"ca={authority} is no file.")
    try:
        context = ssl.create_default_context(cafile=authority)
    except ssl.SSLError as error:
        raise ValueError(f"ca={authority} holds no certificate in PEM form: {error.reason}") from error
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


__all__ = ["OPTIONS", "NutOptions", "understand"]
