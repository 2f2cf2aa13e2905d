"""Names and numbers that several modules need."""

from typing import Final

from homeassistant.const import Platform

DOMAIN: Final = "ridethrough"

DEFAULT_PORT: Final = 8480
"""The port of the bridge's API."""

CONF_TLS: Final = "tls"
CONF_FINGERPRINT: Final = "fingerprint"
"""SHA-256 of the bridge's own certificate as hex; None when a certificate authority vouches for it."""

API_MIN: Final = 1
API_MAX: Final = 1
"""The versions of the bridge's API that this integration speaks."""

PLATFORMS: Final = (
    Platform.BINARY_SENSOR,
    Platform.BUTTON,
    Platform.EVENT,
    Platform.SENSOR,
    Platform.SWITCH,
)
