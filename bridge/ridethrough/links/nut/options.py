"""The options of a NUT link: `nut://host:3493/ups1?tls=yes&ca=/etc/ridethrough/upsd.pem`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
import ssl
from urllib.parse import unquote

from ridethrough.links.base import LinkUrl

from .client import PORT, Address

PERMITTED = ("poll", "timeout", "tls", "ca", "verify")


@dataclass(frozen=True, slots=True)
class Options:
    """A URL, understood."""

    address: Address
    ups: str | None
    """None: the only UPS that upsd has."""
    poll: float
    """Seconds between two polls."""


def understand(url: LinkUrl, example: str) -> Options:
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
    for option in url.options:
        if option not in PERMITTED:
            raise ValueError(f"nut knows no option {option}; permitted: {', '.join(PERMITTED)}.")
    address = Address(
        url.host,
        PORT if url.port is None else url.port,
        _seconds(url.options, "timeout", 5.0),
        _tls(url.options),
    )
    return Options(address, name or None, _seconds(url.options, "poll", 1.0))


def _seconds(options: Mapping[str, str], option: str, default: float) -> float:
    try:
        value = float(options.get(option, default))
    except ValueError:
        value = float("nan")
    if not 0.1 <= value <= 60:
        raise ValueError(f"{option}={options[option]} is not possible; permitted: 0.1 to 60 seconds.")
    return value


def _flag(options: Mapping[str, str], option: str, *, default: bool) -> bool:
    text = options.get(option)
    if text not in {None, "yes", "no"}:
        raise ValueError(f"{option}={text} is not possible; permitted: yes, no.")
    return default if text is None else text == "yes"


def _tls(options: Mapping[str, str]) -> ssl.SSLContext | None:
    authority = options.get("ca")
    verify = _flag(options, "verify", default=True)
    # Who says how to verify wants something to verify.
    if not _flag(options, "tls", default="ca" in options or "verify" in options):
        if "ca" in options or "verify" in options:
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


__all__ = ["PERMITTED", "Options", "understand"]
