"""Setting up by hand, by discovery, again and anew."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
import ssl
from typing import Any

from aiohttp import Fingerprint
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from homeassistant.config_entries import SOURCE_IGNORE, SOURCE_USER, SOURCE_ZEROCONF, ConfigEntryState, ConfigFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.service_info.zeroconf import ZeroconfServiceInfo
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.ridethrough import config_flow, probe
from custom_components.ridethrough.client import Address

from .bridge_peer import BRIDGE_ID, BridgePeer
from .conftest import DOMAIN, entry_for, state_of, status, until


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[ssl.SSLContext, str]:
    """Make a certificate as the bridge makes its own; with its fingerprint."""
    return make_certificate(tmp_path)


def make_certificate(folder: Path) -> tuple[ssl.SSLContext, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Ridethrough")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / f"{made.serial_number}.pem"
    file.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    return context, made.fingerprint(hashes.SHA256()).hex()


@pytest.fixture
async def secure(
    hass: HomeAssistant, socket_enabled: None, certificate: tuple[ssl.SSLContext, str]
) -> AsyncIterator[BridgePeer]:
    """Run a bridge with a certificate that it made itself."""
    loop = asyncio.get_running_loop()
    handler = loop.get_exception_handler()

    def refused_by_the_client(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        # The peer's own side of a handshake that our client breaks off; a bridge logs it at most.
        if not isinstance(context.get("exception"), ConnectionResetError | ssl.SSLError) and handler is not None:
            handler(loop, context)

    loop.set_exception_handler(refused_by_the_client)
    peer = BridgePeer(ssl_context=certificate[0])
    await peer.start()
    yield peer
    await peer.stop()


async def begin(hass: HomeAssistant) -> ConfigFlowResult:
    return await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})


async def answer(hass: HomeAssistant, flow: ConfigFlowResult, data: Mapping[str, Any]) -> ConfigFlowResult:
    result = await hass.config_entries.flow.async_configure(flow["flow_id"], dict(data))
    await hass.async_block_till_done()
    return result


def where(bridge: BridgePeer, **more: Any) -> dict[str, Any]:
    return {"host": "127.0.0.1", "port": bridge.port, "token": "good-token"} | more


def step(flow: ConfigFlowResult) -> tuple[str | None, dict[str, str] | None]:
    return flow.get("step_id"), flow.get("errors")


# By hand


async def test_bridge_is_set_up_by_hand(hass: HomeAssistant, bridge: BridgePeer) -> None:
    flow = await begin(hass)
    assert step(flow) == ("user", {})
    done = await answer(hass, flow, where(bridge, host=" 127.0.0.1 ", token=" good-token\n"))
    assert done["type"] is FlowResultType.CREATE_ENTRY
    assert done["title"] == "Server room"
    assert done["data"] == {
        "host": "127.0.0.1", "port": bridge.port, "tls": False, "fingerprint": None, "token": "good-token",
    }  # fmt: skip
    assert done["result"].unique_id == BRIDGE_ID
    assert state_of(hass, "sensor.rack_ups_battery_charge") == "97.6"


async def test_errors_are_told_and_can_be_put_right(hass: HomeAssistant, bridge: BridgePeer) -> None:
    flow = await begin(hass)
    await bridge.stop()
    assert step(await answer(hass, flow, where(bridge))) == ("user", {"base": "cannot_connect"})
    await bridge.start()
    assert step(await answer(hass, flow, where(bridge, token="bad"))) == ("user", {"base": "invalid_auth"})
    bridge.api_min = bridge.api_max = 2
    assert step(await answer(hass, flow, where(bridge))) == ("user", {"base": "version_not_supported"})
    bridge.api_min = bridge.api_max = 1
    assert (await answer(hass, flow, where(bridge)))["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize("host", ["", "no host", "http://127.0.0.1", "a/b", "[::", "\x00"])
async def test_host_that_is_none_is_told(hass: HomeAssistant, bridge: BridgePeer, host: str) -> None:
    flow = await begin(hass)
    assert step(await answer(hass, flow, where(bridge, host=host))) == ("user", {"base": "cannot_connect"})


async def test_what_answers_but_is_no_bridge_does_not_get_the_token(hass: HomeAssistant, bridge: BridgePeer) -> None:
    bridge.health = {"status": "ok"}
    flow = await begin(hass)
    assert step(await answer(hass, flow, where(bridge))) == ("user", {"base": "cannot_connect"})
    assert bridge.received == []


async def test_same_bridge_is_not_set_up_twice(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    done = await answer(hass, await begin(hass), where(bridge))
    assert (done["type"], done["reason"]) == (FlowResultType.ABORT, "already_configured")


async def test_guest_is_told_that_there_will_be_no_commands(hass: HomeAssistant, bridge: BridgePeer) -> None:
    bridge.tokens["good-token"] = "guest"
    flow = await answer(hass, await begin(hass), where(bridge))
    assert step(flow) == ("guest", None)
    assert (await answer(hass, flow, {}))["type"] is FlowResultType.CREATE_ENTRY
    assert hass.states.async_entity_ids("button") == []


# Certificates


async def test_own_certificate_is_confirmed_before_the_token_is_sent_and_pinned(
    hass: HomeAssistant, secure: BridgePeer, certificate: tuple[ssl.SSLContext, str]
) -> None:
    flow = await answer(hass, await begin(hass), where(secure))
    assert step(flow) == ("fingerprint", None)
    assert flow["description_placeholders"] is not None
    shown = flow["description_placeholders"]["fingerprint"]
    assert shown.replace(":", "").lower() == certificate[1]
    assert secure.received == []
    done = await answer(hass, flow, {})
    assert done["type"] is FlowResultType.CREATE_ENTRY
    assert (done["data"]["tls"], done["data"]["fingerprint"]) == (True, certificate[1])
    assert status(done["result"]) is ConfigEntryState.LOADED


async def test_wrong_token_after_the_certificate_leads_back_and_does_not_ask_for_it_again(
    hass: HomeAssistant, secure: BridgePeer
) -> None:
    flow = await answer(hass, await begin(hass), where(secure, token="bad"))
    flow = await answer(hass, flow, {})
    assert step(flow) == ("user", {"base": "invalid_auth"})
    assert (await answer(hass, flow, where(secure)))["type"] is FlowResultType.CREATE_ENTRY


async def test_another_certificate_than_the_confirmed_one_does_not_get_the_token(
    hass: HomeAssistant, secure: BridgePeer, certificate: tuple[ssl.SSLContext, str], tmp_path: Path
) -> None:
    entry = entry_for(secure, tls=True, fingerprint=certificate[1])
    entry.add_to_hass(hass)
    await secure.stop()
    secure.ssl_context, other = make_certificate(tmp_path)
    await secure.start()
    await hass.config_entries.async_setup(entry.entry_id)
    assert status(entry) is ConfigEntryState.SETUP_RETRY
    assert entry.error_reason_translation_key == "certificate_changed"
    assert secure.received == []
    issue = ir.async_get(hass).async_get_issue(DOMAIN, f"certificate_changed_{entry.entry_id}")
    assert issue is not None
    assert issue.translation_placeholders is not None
    assert issue.translation_placeholders["fingerprint"] == other

    flow = await answer(hass, await entry.start_reconfigure_flow(hass), where(secure))
    assert step(flow) == ("fingerprint", None)
    done = await answer(hass, flow, {})
    assert done["reason"] == "reconfigure_successful"
    assert entry.data["fingerprint"] == other
    await until(hass, lambda: status(entry) is ConfigEntryState.LOADED)
    assert not ir.async_get(hass).async_get_issue(DOMAIN, f"certificate_changed_{entry.entry_id}")


async def test_certificate_that_authorities_no_longer_vouch_for_is_a_repair_issue(
    hass: HomeAssistant, secure: BridgePeer
) -> None:
    entry = entry_for(secure, tls=True)
    entry.add_to_hass(hass)
    await hass.config_entries.async_setup(entry.entry_id)
    assert entry.error_reason_translation_key == "certificate_not_trusted"
    assert ir.async_get(hass).async_get_issue(DOMAIN, f"certificate_changed_{entry.entry_id}")


async def test_certificate_of_an_authority_needs_no_confirmation(
    hass: HomeAssistant, secure: BridgePeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What an authority vouches for: the health is answered, and so is everything after it.
    async def trusted(session: object, address: Address) -> Address:
        return Address(address.host, address.port, tls=True)

    monkeypatch.setattr(config_flow, "recognise", trusted)
    flow = await answer(hass, await begin(hass), where(secure))
    # Here no authority does, so it ends at the next step, and without the token.
    assert step(flow) == ("user", {"base": "certificate_not_trusted"})
    assert secure.received == []


async def test_certificate_that_is_not_shown_the_second_time_is_an_error(
    hass: HomeAssistant, secure: BridgePeer, certificate: tuple[ssl.SSLContext, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = await begin(hass)
    monkeypatch.setattr(probe, "NO_FINGERPRINT", Fingerprint(bytes.fromhex(certificate[1])))
    assert step(await answer(hass, flow, where(secure))) == ("user", {"base": "cannot_connect"})
    monkeypatch.setattr(probe, "NO_FINGERPRINT", True)
    assert step(await answer(hass, flow, where(secure))) == ("user", {"base": "cannot_connect"})


async def test_connection_without_encryption_beyond_this_computer_is_confirmed_first(
    hass: HomeAssistant, bridge: BridgePeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config_flow, "_on_this_computer", lambda host: False)
    flow = await answer(hass, await begin(hass), where(bridge))
    assert step(flow) == ("plain", None)
    assert bridge.received == []
    assert (await answer(hass, flow, {}))["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("192.0.2.1", False), ("bridge.local", False)],
)
def test_loopback_is_this_computer(host: str, expected: bool) -> None:
    assert config_flow._on_this_computer(host) is expected


# Discovery


def announcement(bridge: BridgePeer, **properties: Any) -> ZeroconfServiceInfo:
    return ZeroconfServiceInfo(
        ip_address=ip_address("127.0.0.1"),
        ip_addresses=[ip_address("127.0.0.1")],
        port=bridge.port,
        hostname="bridge.local.",
        type="_ridethrough._tcp.local.",
        name="Server room._ridethrough._tcp.local.",
        properties={"id": BRIDGE_ID, "name": "Server room", "version": "0.1.0", "api": "1", "tls": "0"} | properties,
    )


async def discover(hass: HomeAssistant, info: ZeroconfServiceInfo) -> ConfigFlowResult:
    return await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_ZEROCONF}, data=info)


async def test_discovered_bridge_asks_only_for_the_token(hass: HomeAssistant, bridge: BridgePeer) -> None:
    flow = await discover(hass, announcement(bridge))
    assert step(flow) == ("zeroconf_token", {})
    flow = await answer(hass, flow, {"token": "bad"})
    assert step(flow) == ("zeroconf_token", {"base": "invalid_auth"})
    done = await answer(hass, flow, {"token": "good-token"})
    assert done["type"] is FlowResultType.CREATE_ENTRY
    assert done["result"].unique_id == BRIDGE_ID


async def test_discovered_bridge_with_a_certificate_shows_it_with_the_question(
    hass: HomeAssistant, secure: BridgePeer, certificate: tuple[ssl.SSLContext, str]
) -> None:
    flow = await discover(hass, announcement(secure, tls="1", fingerprint=certificate[1]))
    assert flow["description_placeholders"] is not None
    assert flow["description_placeholders"]["fingerprint"].replace(":", "").lower() == certificate[1]
    done = await answer(hass, flow, {"token": "good-token"})
    assert done["type"] is FlowResultType.CREATE_ENTRY
    assert done["data"]["fingerprint"] == certificate[1]


async def test_discovered_bridge_with_another_certificate_than_announced_does_not_get_the_token(
    hass: HomeAssistant, secure: BridgePeer
) -> None:
    flow = await discover(hass, announcement(secure, tls="1", fingerprint="ab" * 32))
    flow = await answer(hass, flow, {"token": "good-token"})
    assert step(flow) == ("zeroconf_confirm", {"base": "certificate_changed"})
    assert secure.received == []


async def test_announced_encryption_is_not_given_up(hass: HomeAssistant, bridge: BridgePeer) -> None:
    flow = await discover(hass, announcement(bridge, tls="1", fingerprint="no fingerprint"))
    flow = await answer(hass, flow, {"token": "good-token"})
    assert step(flow) == ("zeroconf_token", {"base": "cannot_connect"})
    assert bridge.received == []


async def test_discovered_bridge_whose_fingerprint_was_not_announced_asks_for_it_and_leads_back(
    hass: HomeAssistant, secure: BridgePeer
) -> None:
    flow = await discover(hass, announcement(secure, tls="1"))
    flow = await answer(hass, flow, {"token": "bad"})
    assert step(flow) == ("fingerprint", None)
    flow = await answer(hass, flow, {})
    assert step(flow) == ("zeroconf_confirm", {"base": "invalid_auth"})
    assert (await answer(hass, flow, {"token": "good-token"}))["type"] is FlowResultType.CREATE_ENTRY


async def test_other_bridge_than_announced_does_not_get_the_token(hass: HomeAssistant, bridge: BridgePeer) -> None:
    flow = await discover(hass, announcement(bridge, id="another"))
    flow = await answer(hass, flow, {"token": "good-token"})
    assert step(flow) == ("zeroconf_token", {"base": "different_bridge"})
    assert bridge.received == []


async def test_announcement_that_does_not_say_who_is_ignored(hass: HomeAssistant, bridge: BridgePeer) -> None:
    flow = await discover(hass, announcement(bridge, id=None))
    assert (flow["type"], flow["reason"]) == (FlowResultType.ABORT, "cannot_connect")


@pytest.mark.parametrize(
    ("known_by", "announced", "follows"),
    [
        ({"tls": True, "fingerprint": "ab" * 32}, "192.0.2.2", True),
        ({"tls": True}, "192.0.2.2", False),
        ({}, "192.0.2.2", False),
        ({}, "127.0.0.1", True),
    ],
)
async def test_bridge_that_moved_is_followed_if_it_will_be_recognised_there(
    hass: HomeAssistant, bridge: BridgePeer, known_by: dict[str, Any], announced: str, follows: bool
) -> None:
    entry = entry_for(bridge, host="192.0.2.1", **known_by)
    entry.add_to_hass(hass)
    info = announcement(bridge)
    info.ip_address = ip_address(announced)
    assert (await discover(hass, info))["reason"] == "already_configured"
    assert entry.data["host"] == (announced if follows else "192.0.2.1")
    assert entry.data["fingerprint"] == known_by.get("fingerprint")


async def test_bridge_that_is_connected_is_not_moved_by_an_announcement(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    info = announcement(bridge)
    info.port = 1
    flow = await discover(hass, info)
    assert flow["reason"] == "already_configured"
    assert loaded.data["port"] == bridge.port


async def test_ignored_bridge_stays_ignored_but_can_be_set_up_by_hand(hass: HomeAssistant, bridge: BridgePeer) -> None:
    MockConfigEntry(domain=DOMAIN, unique_id=BRIDGE_ID, source=SOURCE_IGNORE, data={}).add_to_hass(hass)
    assert (await discover(hass, announcement(bridge)))["reason"] == "already_configured"
    assert (await answer(hass, await begin(hass), where(bridge)))["type"] is FlowResultType.CREATE_ENTRY


# Again and anew


async def test_new_token_is_taken_and_the_entry_works_again(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    bridge.tokens = {"new-token": "admin"}
    await bridge.close(4401)
    await until(hass, hass.config_entries.flow.async_progress)
    [flow] = hass.config_entries.flow.async_progress()
    assert flow["step_id"] == "reauth_confirm"
    again = await answer(hass, flow, {"token": "bad"})
    assert step(again) == ("reauth_confirm", {"base": "invalid_auth"})
    done = await answer(hass, flow, {"token": "new-token"})
    assert done["reason"] == "reauth_successful"
    await until(hass, lambda: state_of(hass, "sensor.rack_ups_battery_charge") == "97.6")
    assert loaded.data["token"] == "new-token"


async def test_new_token_of_a_guest_is_noted(hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry) -> None:
    bridge.tokens = {"new-token": "guest"}
    flow = await answer(hass, await loaded.start_reauth_flow(hass), {"token": "new-token"})
    assert step(flow) == ("guest", None)
    assert (await answer(hass, flow, {}))["reason"] == "reauth_successful"


async def test_bridge_at_a_new_address_is_reconfigured(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    await bridge.stop()
    moved = BridgePeer()
    await moved.start()
    flow = await loaded.start_reconfigure_flow(hass)
    assert step(flow) == ("reconfigure", {})
    flow = await answer(hass, flow, {"host": "127.0.0.1", "port": bridge.port})
    assert step(flow) == ("reconfigure", {"base": "cannot_connect"})
    done = await answer(hass, flow, {"host": "127.0.0.1", "port": moved.port})
    assert done["reason"] == "reconfigure_successful"
    assert (loaded.data["port"], loaded.data["token"]) == (moved.port, "good-token")
    await until(hass, lambda: status(loaded) is ConfigEntryState.LOADED)
    await hass.config_entries.async_unload(loaded.entry_id)
    await moved.stop()


async def test_entry_is_not_reconfigured_to_another_bridge(
    hass: HomeAssistant, bridge: BridgePeer, loaded: MockConfigEntry
) -> None:
    other = BridgePeer(id="0b1d6e0e-0000-4000-8000-00000000ffff")
    await other.start()
    flow = await loaded.start_reconfigure_flow(hass)
    assert step(await answer(hass, flow, where(other))) == ("reconfigure", {"base": "different_bridge"})
    assert other.received == []
    await other.stop()


async def test_known_certificate_need_not_be_confirmed_again(
    hass: HomeAssistant, secure: BridgePeer, certificate: tuple[ssl.SSLContext, str]
) -> None:
    entry = entry_for(secure, tls=True, fingerprint=certificate[1], host="192.0.2.1")
    entry.add_to_hass(hass)
    done = await answer(hass, await entry.start_reconfigure_flow(hass), where(secure))
    assert done["reason"] == "reconfigure_successful"
    assert entry.data["host"] == "127.0.0.1"


async def test_wrong_token_after_a_new_certificate_leads_back_to_reconfiguration(
    hass: HomeAssistant, secure: BridgePeer
) -> None:
    entry = entry_for(secure, tls=True, fingerprint="ab" * 32)
    entry.add_to_hass(hass)
    flow = await answer(hass, await entry.start_reconfigure_flow(hass), where(secure, token="bad"))
    assert step(flow) == ("fingerprint", None)
    assert step(await answer(hass, flow, {})) == ("reconfigure", {"base": "invalid_auth"})
