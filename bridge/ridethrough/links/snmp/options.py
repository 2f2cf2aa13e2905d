"""The options of an SNMP link: `snmp://host:161?version=3&auth=sha256&privacy=aes`."""

from dataclasses import dataclass, field

from ridethrough.links.base import Credentials, LinkUrl
from ridethrough.links.option import Option, Options, choice, number
from ridethrough.maps.objects import load_mibs

PORT = 161
AUTHENTICATIONS = ("md5", "sha", "sha224", "sha256", "sha384", "sha512")
PRIVACIES = ("des", "aes", "aes192", "aes256")
SHORTEST = 8
"""Characters of a passphrase at least (RFC 3414 §11.2)."""

OPTIONS = (
    choice("version", "the version of SNMP", ("1", "2c", "3"), default="2c"),
    choice("auth", "how an SNMPv3 user is authenticated; without it not at all", AUTHENTICATIONS),
    choice("privacy", "how SNMPv3 is encrypted; without it not at all", PRIVACIES),
    Option("community", "the community of version 1 and 2c; better kept under community:"),
    number("poll", "how often it is asked", 1, 3600, default=5, unit="seconds"),
    number("timeout", "how long the card may take to answer", 0.2, 30, default=2, unit="seconds"),
    choice("mib", "the only MIB to read", (mib.name for mib in load_mibs() if mib.read)),
)


@dataclass(frozen=True, slots=True)
class User:
    """Who asks by SNMPv3."""

    name: str
    auth: str | None
    password: str = field(repr=False)
    privacy: str | None
    privacy_password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SnmpOptions:
    """A URL and credentials, understood."""

    host: str
    port: int
    version: str
    """1, 2c or 3."""
    community: str = field(repr=False)
    user: User | None
    """Of version 3."""
    poll: float
    """Seconds between two polls."""
    timeout: float
    """Seconds for an answer."""
    mib: str | None
    """The only one to read."""

    def __str__(self) -> str:
        """Write where it is, for messages."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def understand(url: LinkUrl, credentials: Credentials, example: str) -> SnmpOptions:
    """Read a URL. Raises ValueError with a sentence when something is missing or contradicts itself."""
    if not url.host:
        raise ValueError(f"{url} names no host; write it as in {example}")
    if url.path.strip("/"):
        raise ValueError(f"{url} has a path, and SNMP knows none; write it as in {example}")
    options = Options("snmp", OPTIONS, url.options)
    version = options.word("version")
    if version != "3" and not {"auth", "privacy"}.isdisjoint(options.written):
        raise ValueError(f"auth= and privacy= need version=3; version {version} has a community.")
    return SnmpOptions(
        url.host,
        PORT if url.port is None else url.port,
        version,
        credentials.community or options.text("community") or "public",
        _user(options, credentials) if version == "3" else None,
        options.amount("poll"),
        options.amount("timeout"),
        options.text("mib"),
    )


def _user(options: Options, credentials: Credentials) -> User:
    """Put a user together. What is secret may be missing when a URL alone is checked: then it shows when it is used."""
    auth, privacy = options.text("auth"), options.text("privacy")
    if privacy is not None and auth is None:
        raise ValueError("SNMPv3 encrypts only for users that are authenticated: privacy= needs auth=.")
    password = credentials.password or ""
    # Many cards know one passphrase for both.
    privacy_password = credentials.privacy_password or password
    if credentials.username is not None:
        for name, text, needed in (("password", password, auth), ("privacy_password", privacy_password, privacy)):
            if needed is not None and len(text) < SHORTEST:
                raise ValueError(f"The {name} of an SNMPv3 user must have {SHORTEST} characters or more.")
    return User(credentials.username or "", auth, password, privacy, privacy_password)


__all__ = ["AUTHENTICATIONS", "OPTIONS", "PORT", "PRIVACIES", "SnmpOptions", "User", "understand"]
