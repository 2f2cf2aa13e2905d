"""The URL of a link: taken apart for a form, and put together from one."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

SECRETS: Final = frozenset({"community", "password", "privacy_password"})
"""Options that hold a secret, where a person has written it into the link."""


@dataclass(frozen=True, slots=True)
class LinkAddress:
    """Where a device is reached: `megatec:/dev/ttyUSB0?baud=2400`, `nut://host:3493/ups1`."""

    scheme: str
    serial_port: str = ""
    """Path of a serial port of the bridge's computer; empty for a host."""
    host: str = ""
    port: int | None = None
    path: str = ""
    """What follows the host, without the first slash."""
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> LinkAddress:
        """Take a URL apart. Raises ValueError when it is none."""
        scheme, _, rest = text.partition(":")
        # Python's own reading of a URL has no underscores in schemes, as in module_bus:/dev/ttyUSB1.
        parts = urlsplit(f"link:{rest}")
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        if not parts.netloc:
            return cls(scheme, serial_port=parts.path, options=options)
        return cls(scheme, "", parts.hostname or "", parts.port, parts.path.removeprefix("/"), options)

    def __str__(self) -> str:
        """Put the URL together; ports and paths stay readable."""
        options = f"?{urlencode(self.options, safe='/:,')}" if self.options else ""
        if not self.host:
            return f"{self.scheme}:{self.serial_port}{options}"
        host = f"[{self.host}]" if ":" in self.host and not self.host.startswith("[") else self.host
        port = "" if self.port is None else f":{self.port}"
        path = f"/{self.path.removeprefix('/')}" if self.path else ""
        return f"{self.scheme}://{host}{port}{path}{options}"


def without_secrets(text: str) -> str:
    """Leave out what is nobody's business."""
    address = LinkAddress.parse(text)
    return str(replace(address, options={key: value for key, value in address.options.items() if key not in SECRETS}))
