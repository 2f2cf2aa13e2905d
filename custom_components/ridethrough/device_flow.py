"""Adding and changing a UPS or a transfer switch: a subentry of the bridge's config entry.

Protocol, connection, test, name and rights. The bridge says what is possible, tries the link and writes it into its
file; the form knows no protocol.
"""

import asyncio
from dataclasses import replace
from typing import Any, Final

from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigEntry,
    ConfigEntryState,
    ConfigSubentryFlow,
    SubentryFlowResult,
)

from . import configuration, device_form as form
from .bridge import Bridge
from .client import CONFIGURE
from .configuration import ConfiguredDevice, Finding, Kind, Listing, Possibilities, Reach, Scheme
from .errors import ConfigureFailed
from .link import LinkAddress, without_secrets
from .subentries import subentry_data
from .wire import MalformedMessage, Role

ABORTS: Final = frozenset({"forbidden", "not_granted", "not_writable", "unknown_device"})
"""Codes after which it makes no sense to go on."""
ERRORS: Final = frozenset({"invalid", "taken", "conflict", "busy", "unreachable", "offline", "no_answer"})
"""Codes that can be put right in the form, and `taken`, our own; what is in neither is `refused`."""
PROVISIONAL: Final = "new-device"
"""What a device is called as long as it is only tried."""
AT_ONCE: Final = 1.0
"""Seconds. A test that ends sooner shows no progress."""
SUBSCRIBED: Final = 2.0
"""Seconds. The frontend subscribes to the end of a progress when it shows one, and waits for ever for an end before."""


class DeviceSubentryFlow(ConfigSubentryFlow):
    """Asks for a device, has the bridge try it and has it written into the bridge's file."""

    _bridge: Bridge
    _possibilities: Possibilities
    _listing: Listing
    _device: ConfiguredDevice
    _scheme: Scheme
    _address: LinkAddress
    _reach: Reach

    def __init__(self) -> None:
        """Begin knowing nothing."""
        self._secrets: dict[str, str | None] = {}
        """What was entered; None for what is to be forgotten."""
        self._finding: Finding | None = None
        self._failure: ConfigureFailed | None = None
        self._trial: asyncio.Task[str] | None = None
        self._next = ""

    @property
    def _kind(self) -> Kind:
        return Kind(self._subentry_type)

    @property
    def _new(self) -> bool:
        return self.source != SOURCE_RECONFIGURE

    @property
    def _taken(self) -> list[str]:
        return [device.key for device in self._listing.devices]

    # Beginning

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for the protocol of a new device."""
        if user_input is None:
            if (stopped := await self._begin()) is not None:
                return stopped
            self._device = ConfiguredDevice(form.free_key(PROVISIONAL, self._taken), self._kind, "", "")
            self._address = LinkAddress("")
        return await self._protocol("user", user_input)

    async def async_step_reconfigure(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask what to change."""
        if (stopped := await self._begin()) is not None:
            return stopped
        wanted = self._get_reconfigure_subentry().unique_id
        found = next((device for device in self._listing.devices if device.device == wanted), None)
        if found is None:
            return self.async_abort(reason="unknown_device")
        self._device = found
        self._address = LinkAddress.parse(found.link)
        scheme = self._possibilities.scheme(self._address.scheme)
        if scheme is None:
            # A protocol that the bridge no longer speaks can only be replaced.
            return await self.async_step_protocol()
        self._scheme = scheme
        self._reach = form.reach_of(scheme, self._address)
        return self.async_show_menu(
            step_id="reconfigure",
            menu_options=["settings", "connection", "protocol"],
            description_placeholders={"name": found.name, "link": without_secrets(found.link)},
        )

    async def _begin(self) -> SubentryFlowResult | None:
        """Ask the bridge what is possible and what there is; says why if it cannot go on."""
        entry: ConfigEntry[Bridge] = self._get_entry()
        if entry.state is not ConfigEntryState.LOADED or not entry.runtime_data.online:
            return self.async_abort(reason="offline")
        self._bridge = entry.runtime_data
        client = self._bridge.client
        if CONFIGURE not in client.features:
            return self.async_abort(reason="not_supported")
        if not client.role.may(Role.ADMIN):
            return self._stop(ConfigureFailed("forbidden", ""))
        try:
            self._possibilities = configuration.possibilities(await client.configure("schemes"))
            self._listing = configuration.listing(await client.configure("list"))
        except ConfigureFailed as error:
            return self._stop(error)
        except MalformedMessage as error:
            return self._stop(ConfigureFailed("refused", str(error)))
        if not self._possibilities.writable:
            return self._stop(ConfigureFailed("not_writable", self._possibilities.reason))
        return None

    def _stop(self, error: ConfigureFailed) -> SubentryFlowResult:
        known = ABORTS | {"offline", "no_answer"}
        return self.async_abort(
            reason=error.code if error.code in known else "refused", description_placeholders={"message": str(error)}
        )

    # The protocol and the connection

    async def async_step_protocol(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for another protocol of a device."""
        return await self._protocol("protocol", user_input)

    async def _protocol(self, step: str, user_input: dict[str, Any] | None) -> SubentryFlowResult:
        if user_input is None:
            schema = form.protocol_schema(self._possibilities)
            known = {form.CONF_SCHEME: self._address.scheme} if self._address.scheme else {}
            return self.async_show_form(
                step_id=step, data_schema=self.add_suggested_values_to_schema(schema, known), last_step=False
            )
        scheme = self._possibilities.scheme(user_input[form.CONF_SCHEME])
        assert scheme is not None  # the form offers no other
        self._scheme = scheme
        if self._address.scheme != scheme.scheme:
            self._address = LinkAddress(scheme.scheme)
            # What was for the old protocol is no business of the new one.
            self._secrets = dict.fromkeys(self._device.secrets)
            self._reach = scheme.reach
        return await self.async_step_connection()

    async def async_step_connection(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Go to the form that the protocol needs."""
        if self._reach is Reach.EITHER:
            return self.async_show_menu(
                step_id="connection",
                menu_options=["serial", "host"],
                description_placeholders={"protocol": self._scheme.title},
            )
        return await (self.async_step_serial() if self._reach is Reach.SERIAL else self.async_step_host())

    async def async_step_serial(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for a serial port of the bridge's computer."""
        return await self._connection("serial", Reach.SERIAL, user_input)

    async def async_step_host(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for a host."""
        return await self._connection("host", Reach.HOST, user_input)

    async def _connection(self, step: str, reach: Reach, user_input: dict[str, Any] | None) -> SubentryFlowResult:
        self._reach = reach
        if user_input is not None:
            self._address, secrets = form.take_connection(self._scheme, reach, user_input, self._address)
            self._secrets |= secrets
            self._device = replace(self._device, link=str(self._address))
            return await self.async_step_test()
        schema = form.connection_schema(self._scheme, reach, self._possibilities.ports)
        values = form.connection_values(self._scheme, self._address)
        errors, placeholders = self._told()
        return self.async_show_form(
            step_id=step,
            data_schema=self.add_suggested_values_to_schema(schema, values),
            errors=errors,
            description_placeholders=placeholders
            | form.option_placeholders(self._scheme)
            | {"protocol": self._scheme.title, "example": self._scheme.example},
            last_step=False,
        )

    # The test

    async def async_step_test(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Wait while the bridge tries the link."""
        if self._trial is None:
            self._trial = trial = self.hass.async_create_task(self._try(), "ridethrough test", eager_start=False)
            _, running = await asyncio.wait([trial], timeout=AT_ONCE)
            if running:
                self._trial = self.hass.async_create_task(_not_before(trial, SUBSCRIBED), "ridethrough progress")
        if not self._trial.done():
            return self.async_show_progress(
                step_id="test",
                progress_action="test",
                progress_task=self._trial,
                description_placeholders={"link": without_secrets(self._device.link)},
            )
        trial, self._trial = self._trial, None
        return self.async_show_progress_done(next_step_id=trial.result())

    async def _try(self) -> str:
        """Have the bridge try the link; returns which step is next."""
        self._finding = self._failure = None
        device = self._device if self._device.name else replace(self._device, name=self._scheme.title)
        try:
            answer = await self._bridge.client.configure("test", {"device": device.told(self._secrets)})
            self._finding = configuration.finding(answer)
        except ConfigureFailed as error:
            self._failure = error
            if error.code in ABORTS:
                return "stopped"
            return "connection" if error.code == "invalid" else "not_found"
        except MalformedMessage as error:
            self._failure = ConfigureFailed("refused", str(error))
            return "not_found"
        return "found"

    async def async_step_stopped(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Say why it cannot go on."""
        assert self._failure is not None  # there is no other way here
        return self._stop(self._failure)

    async def async_step_found(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Show what answered."""
        assert self._finding is not None  # there is no other way here
        return self.async_show_menu(
            step_id="found",
            menu_options=["settings", "connection"],
            description_placeholders=form.finding_placeholders(self._finding),
        )

    async def async_step_not_found(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Say why nothing answered; it may be saved nonetheless."""
        failure, self._failure = self._failure, None
        return self.async_show_menu(
            step_id="not_found",
            menu_options=["connection", "test", "settings"],
            description_placeholders={"link": without_secrets(self._device.link), "message": str(failure or "")},
        )

    # Name, ratings and rights, and the end

    async def async_step_settings(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask what it is called and rated for, and what may be done to it; then have it written."""
        values = form.settings_values(self._device)
        if user_input is not None:
            values = dict(user_input)
            self._device = form.take_settings(self._device, user_input, self._taken)
            if (done := await self._save()) is not None:
                return done
            if self._failure is not None and self._failure.field and not form.is_about_settings(self._failure.field):
                return await self.async_step_connection()
        elif not self._device.name:
            values[form.CONF_NAME] = form.proposed_name(self._finding, self._scheme)
            del values[form.CONF_ID]
        errors, placeholders = self._told()
        schema = form.settings_schema(self._kind, self._possibilities, new=self._new)
        return self.async_show_form(
            step_id="settings",
            data_schema=self.add_suggested_values_to_schema(schema, values),
            errors=errors,
            description_placeholders=placeholders,
            last_step=True,
        )

    async def _save(self) -> SubentryFlowResult | None:
        """Have the bridge write the device; None, with the failure kept, when that can be put right."""
        client = self._bridge.client
        if self._new and self._device.key in self._taken:
            # The bridge would take it for a change of that device.
            self._failure = ConfigureFailed("taken", "", form.CONF_ID)
            return None
        # While this goes on the mirror must not add what is about to be added here.
        async with self._bridge.subentries.lock:
            message = {"device": self._device.told(self._secrets), "revision": self._listing.revision}
            try:
                answer = await client.configure("put", message)
            except ConfigureFailed as error:
                if error.code in ABORTS:
                    return self._stop(error)
                if error.code == "conflict":
                    await self._list_again()
                self._failure = error
                return None
            self._bridge.subentries.request()
            data = subentry_data(self._device)
            if not self._new:
                return self.async_update_and_abort(
                    self._get_entry(), self._get_reconfigure_subentry(), title=self._device.name, data=data
                )
            device = answer.get("device")
            return self.async_create_entry(
                title=self._device.name, data=data, unique_id=device if isinstance(device, str) else None
            )

    async def _list_again(self) -> None:
        """Learn the present revision; the next attempt is made on that."""
        try:
            self._listing = configuration.listing(await self._bridge.client.configure("list"))
        except ConfigureFailed, MalformedMessage:
            # Then the next attempt is a conflict again, and asks again.
            return

    def _told(self) -> tuple[dict[str, str], dict[str, str]]:
        """Say once what went wrong: errors by field, and the bridge's sentence."""
        failure, self._failure = self._failure, None
        if failure is None:
            return {}, {"message": ""}
        field = form.error_field(self._scheme, self._reach, failure.field)
        return {field: failure.code if failure.code in ERRORS else "refused"}, {"message": str(failure)}


async def _not_before[T](task: asyncio.Task[T], seconds: float) -> T:
    """Wait for a task, and at least so long."""
    result, _ = await asyncio.gather(task, asyncio.sleep(seconds))
    return result
