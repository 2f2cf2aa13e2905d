"""What can go wrong between Home Assistant and the bridge."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .wire import Hello


class RidethroughError(Exception):
    """Anything that goes wrong with the bridge."""


class BridgeUnreachable(RidethroughError):
    """There is no connection: refused, timed out, broken, or what answers is no bridge."""


class TokenRefused(RidethroughError):
    """The bridge does not know the token, or it was revoked."""


class VersionNotSupported(RidethroughError):
    """The bridge and the integration have no version of the API in common."""

    def __init__(self, hello: Hello) -> None:
        """Keep what the bridge said of itself."""
        super().__init__(f"the bridge speaks API versions {hello.api_min} to {hello.api_max}")
        self.hello = hello


class DifferentBridge(RidethroughError):
    """At this address there is another bridge than the one that was set up."""

    def __init__(self, hello: Hello) -> None:
        """Keep what the bridge said of itself."""
        super().__init__(f"another bridge answers: {hello.name}")
        self.hello = hello


class CertificateNotTrusted(RidethroughError):
    """No certificate authority vouches for the bridge's certificate, and none was confirmed."""


class CertificateChanged(RidethroughError):
    """The bridge shows another certificate than the one that was confirmed."""

    def __init__(self, fingerprint: str) -> None:
        """Keep the SHA-256 fingerprint, as hex, of what it shows now."""
        super().__init__(f"the certificate is another one, with fingerprint {fingerprint}")
        self.fingerprint = fingerprint


class ConfigureFailed(RidethroughError):
    """The bridge did not do what was asked about its configuration, or it is not known whether it did."""

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        """`code` is one of the contract's, `field` the key of the device (or `option.<name>`) that is wrong."""
        super().__init__(message)
        self.code = code
        self.field = field


class CommandFailed(RidethroughError):
    """A command was not carried out, or it is not known whether it was."""

    def __init__(self, code: str, message: str) -> None:
        """`code` is one of the contract's; the message is the bridge's sentence for people."""
        super().__init__(message)
        self.code = code
