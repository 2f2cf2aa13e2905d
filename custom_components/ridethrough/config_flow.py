"""Setting up a bridge: by hand, found by zeroconf, with a new token, or at a new address.

The token is not sent before it is clear to whom: a certificate that no authority vouches for is confirmed first, and
so is a connection without TLS that leaves this computer.
"""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, override

from homeassistant.config_entries import (
    SOURCE_REAUTH,
    SOURCE_RECONFIGURE,
    ConfigEntry,
    ConfigFlow,
    ConfigFlowResult,
    ConfigSubentryFlow,
)
from homeassistant.const import CONF_HOST, CONF_NAME, CONF_PORT, CONF_TOKEN
from homeassistant.core import callback
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.service_info.zeroconf import ZeroconfServiceInfo
import probatio

from .bridge import Bridge, address_of
from .client import Address
from .configuration import Kind
from .const import CONF_FINGERPRINT, CONF_TLS, DEFAULT_PORT, DOMAIN
from .device_flow import DeviceSubentryFlow
from .errors import (
    CertificateChanged,
    CertificateNotTrusted,
    DifferentBridge,
    RidethroughError,
    TokenRefused,
    VersionNotSupported,
)
from .probe import Probed, probe, recognise
from .wire import Role

TOKEN = probatio.Secret(CONF_TOKEN)
ADDRESS_SCHEMA = probatio.Schema(
    {
        probatio.Required(CONF_HOST): cv.string,
        probatio.Required(CONF_PORT, default=DEFAULT_PORT): cv.port,
        probatio.Required(TOKEN): cv.string,
    }
)
RECONFIGURE_SCHEMA = ADDRESS_SCHEMA.extend({probatio.Optional(TOKEN): cv.string})
"""Without a token the old one stays."""
TOKEN_SCHEMA = probatio.Schema({probatio.Required(TOKEN): cv.string})

ERRORS: Mapping[type[RidethroughError], str] = {
    TokenRefused: "invalid_auth",
    VersionNotSupported: "version_not_supported",
    DifferentBridge: "different_bridge",
    CertificateChanged: "certificate_changed",
    CertificateNotTrusted: "certificate_not_trusted",
}
"""What a form says to each error; what is not here is `cannot_connect`."""


class RidethroughConfigFlow(ConfigFlow, domain=DOMAIN):
    """Asks for what is needed to talk to a bridge."""

    VERSION = 1
    MINOR_VERSION = 1

    def __init__(self) -> None:
        """Begin knowing nothing."""
        self._address = Address("", DEFAULT_PORT)
        self._token = ""
        self._confirmed: set[Address] = set()
        """Addresses that a person has agreed to, with their fingerprints or without encryption."""
        self._probed: Probed | None = None
        self._discovered: dict[str, str] = {}

    @classmethod
    @callback
    @override
    def async_get_supported_subentry_types(cls, config_entry: ConfigEntry) -> dict[str, type[ConfigSubentryFlow]]:
        """Offer to add a device; whether the bridge and the token allow it is found out then."""
        return {kind.value: DeviceSubentryFlow for kind in Kind}

    # By hand, and again for an entry that exists.

    @override
    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask where the bridge is and for a token."""
        errors: dict[str, str] = {}
        if user_input is not None:
            self._take_address(user_input)
            self._token = user_input[CONF_TOKEN].strip()
            if (result := await self._advance(errors)) is not None:
                return result
        return self._user_form(user_input or {}, errors)

    async def async_step_reconfigure(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for a new address, and for a new token if there is one."""
        errors: dict[str, str] = {}
        entry = self._get_reconfigure_entry()
        if user_input is not None:
            self._take_address(user_input)
            self._token = user_input.get(CONF_TOKEN, "").strip() or entry.data[CONF_TOKEN]
            if (result := await self._advance(errors)) is not None:
                return result
        return self._reconfigure_form(user_input or entry.data, errors)

    def _take_address(self, user_input: Mapping[str, Any]) -> None:
        self._address = Address(user_input[CONF_HOST].strip(), user_input[CONF_PORT])

    def _user_form(self, values: Mapping[str, Any], errors: dict[str, str]) -> ConfigFlowResult:
        schema = self.add_suggested_values_to_schema(ADDRESS_SCHEMA, _without_token(values))
        return self.async_show_form(step_id="user", data_schema=schema, errors=errors)

    def _reconfigure_form(self, values: Mapping[str, Any], errors: dict[str, str]) -> ConfigFlowResult:
        schema = self.add_suggested_values_to_schema(RECONFIGURE_SCHEMA, _without_token(values))
        return self.async_show_form(step_id="reconfigure", data_schema=schema, errors=errors)

    # Found in the network.

    @override
    async def async_step_zeroconf(self, discovery_info: ZeroconfServiceInfo) -> ConfigFlowResult:
        """Meet a bridge that announces itself."""
        properties = discovery_info.properties
        if not (bridge_id := properties.get("id")):
            return self.async_abort(reason="cannot_connect")
        self._address = Address(
            discovery_info.host,
            discovery_info.port or DEFAULT_PORT,
            tls=properties.get("tls") == "1",
            fingerprint=_fingerprint(properties.get("fingerprint")),
        )
        if (entry := await self.async_set_unique_id(bridge_id)) is not None:
            self._abort_if_unique_id_configured(updates=self._moved_to(entry))
        self._discovered = {CONF_NAME: str(properties.get("name") or discovery_info.host)}
        self.context["title_placeholders"] = self._discovered
        return await self.async_step_zeroconf_confirm()

    def _moved_to(self, entry: ConfigEntry) -> dict[str, Any] | None:
        """Find the new address of a bridge that we have; None to leave it where it is.

        Anyone can announce anything. So a connection that works stays. A bridge whose certificate was confirmed is
        followed, for at the new address it is recognised by the old fingerprint; one that is known by its name has
        no business at a number; and without encryption the token does not leave this computer for an announcement.
        """
        bridge = getattr(entry, "runtime_data", None)
        if isinstance(bridge, Bridge) and bridge.online:
            return None
        if not entry.data.get(CONF_FINGERPRINT) and (
            entry.data.get(CONF_TLS) or not _on_this_computer(self._address.host)
        ):
            return None
        return {CONF_HOST: self._address.host, CONF_PORT: self._address.port}

    async def async_step_zeroconf_token(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for a token where there is no fingerprint to compare."""
        return await self.async_step_zeroconf_confirm(user_input)

    async def async_step_zeroconf_confirm(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for a token; the certificate's fingerprint is shown with the question."""
        errors: dict[str, str] = {}
        if user_input is not None:
            self._token = user_input[CONF_TOKEN].strip()
            if self._address.fingerprint is not None:
                # The question showed it, the answer confirms it.
                self._confirmed.add(self._address)
            if (result := await self._advance(errors)) is not None:
                return result
        return self._zeroconf_form(errors)

    def _zeroconf_form(self, errors: dict[str, str]) -> ConfigFlowResult:
        placeholders = {
            CONF_NAME: self._discovered[CONF_NAME],
            CONF_HOST: f"{self._address.host}:{self._address.port}",
            CONF_FINGERPRINT: _readable(self._address.fingerprint),
        }
        if self._address.fingerprint is None:
            return self.async_show_form(
                step_id="zeroconf_token", data_schema=TOKEN_SCHEMA, errors=errors, description_placeholders=placeholders
            )
        return self.async_show_form(
            step_id="zeroconf_confirm", data_schema=TOKEN_SCHEMA, errors=errors, description_placeholders=placeholders
        )

    # A new token.

    async def async_step_reauth(self, entry_data: Mapping[str, Any]) -> ConfigFlowResult:
        """Begin when the bridge no longer accepts the token."""
        return await self.async_step_reauth_confirm()

    async def async_step_reauth_confirm(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for a new token."""
        errors: dict[str, str] = {}
        if user_input is not None:
            self._address = address_of(self._get_reauth_entry())
            self._confirmed.add(self._address)
            self._token = user_input[CONF_TOKEN].strip()
            if (result := await self._advance(errors)) is not None:
                return result
        return self.async_show_form(
            step_id="reauth_confirm",
            data_schema=TOKEN_SCHEMA,
            errors=errors,
            description_placeholders={CONF_HOST: self._get_reauth_entry().data[CONF_HOST]},
        )

    # What may have to be confirmed, and the end.

    async def async_step_fingerprint(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Show the fingerprint of a certificate that no authority vouches for."""
        return await self._confirm("fingerprint", user_input)

    async def async_step_plain(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Say that the connection would not be encrypted."""
        return await self._confirm("plain", user_input)

    async def _confirm(self, step: str, user_input: dict[str, Any] | None) -> ConfigFlowResult:
        if user_input is None:
            return self.async_show_form(
                step_id=step,
                description_placeholders={
                    CONF_HOST: f"{self._address.host}:{self._address.port}",
                    CONF_FINGERPRINT: _readable(self._address.fingerprint),
                },
            )
        self._confirmed.add(self._address)
        errors: dict[str, str] = {}
        if (result := await self._advance(errors)) is not None:
            return result
        # What went wrong is for the form with the token.
        values = {CONF_HOST: self._address.host, CONF_PORT: self._address.port}
        if self.source == SOURCE_RECONFIGURE:
            return self._reconfigure_form(values, errors)
        return self._zeroconf_form(errors) if self._discovered else self._user_form(values, errors)

    async def async_step_guest(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Say that the token shows everything but commands nothing."""
        if user_input is not None:
            return self._finish()
        return self.async_show_form(step_id="guest")

    async def _advance(self, errors: dict[str, str]) -> ConfigFlowResult | None:
        """Go on with address and token; None, with `errors` filled, when they do not work."""
        session = async_get_clientsession(self.hass)
        try:
            if self._address not in self._confirmed:
                self._address = await recognise(session, self._address)
                if self._address not in self._confirmed:
                    if self._address.fingerprint not in {None, self._known_fingerprint}:
                        return await self.async_step_fingerprint()
                    if not self._address.tls and not _on_this_computer(self._address.host):
                        return await self.async_step_plain()
            self._probed = await probe(session, self._address, self._token, self._expected_id)
        except RidethroughError as error:
            errors["base"] = ERRORS.get(type(error), "cannot_connect")
            return None
        if self.source not in {SOURCE_REAUTH, SOURCE_RECONFIGURE}:
            await self.async_set_unique_id(self._probed.hello.id, raise_on_progress=False)
            self._abort_if_unique_id_configured()
        if self._probed.role is Role.GUEST:
            return await self.async_step_guest()
        return self._finish()

    @property
    def _expected_id(self) -> str | None:
        """Which bridge it has to be; None for any."""
        if self.source == SOURCE_REAUTH:
            return self._get_reauth_entry().unique_id
        if self.source == SOURCE_RECONFIGURE:
            return self._get_reconfigure_entry().unique_id
        return self.unique_id if self._discovered else None

    @property
    def _known_fingerprint(self) -> str | None:
        """The fingerprint that was confirmed when the entry was made."""
        if self.source != SOURCE_RECONFIGURE:
            return None
        known: str | None = self._get_reconfigure_entry().data.get(CONF_FINGERPRINT)
        return known

    def _finish(self) -> ConfigFlowResult:
        assert self._probed is not None  # there is no way here without it
        data = {
            CONF_HOST: self._address.host,
            CONF_PORT: self._address.port,
            CONF_TLS: self._address.tls,
            CONF_FINGERPRINT: self._address.fingerprint,
            CONF_TOKEN: self._token,
        }
        if self.source == SOURCE_REAUTH:
            return self.async_update_reload_and_abort(self._get_reauth_entry(), data_updates=data)
        if self.source == SOURCE_RECONFIGURE:
            return self.async_update_reload_and_abort(self._get_reconfigure_entry(), data_updates=data)
        return self.async_create_entry(title=self._probed.hello.name, data=data)


def _without_token(values: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what may be shown in a form again."""
    return {key: value for key, value in values.items() if key != CONF_TOKEN}


def _fingerprint(text: Any) -> str | None:
    """Read a SHA-256 fingerprint as plain hex; None when it is none."""
    plain = str(text or "").replace(":", "").lower()
    return plain if len(plain) == 64 and set(plain) <= set("0123456789abcdef") else None


def _readable(fingerprint: str | None) -> str:
    """Write a fingerprint as it is usually printed."""
    if fingerprint is None:
        return "–"
    return ":".join(fingerprint[place : place + 2] for place in range(0, len(fingerprint), 2)).upper()


def _on_this_computer(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
