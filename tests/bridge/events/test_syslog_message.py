"""What a message looks like, octet by octet."""

from datetime import UTC, datetime, timedelta, timezone
import re

from hypothesis import given, strategies as st
import pytest

from ridethrough.catalogue import Severity, load_catalogue
from ridethrough.config.feed_schema import FACILITIES as CONFIGURABLE
from ridethrough.events import EdgeKind, Event, EventKind
from ridethrough.events.syslog_message import (
    FACILITIES,
    LARGEST_SEQUENCE,
    LONGEST,
    LONGEST_DATAGRAM,
    SEVERITIES,
    Message,
    Sender,
    framed,
    message_of,
    write,
)
from ridethrough.site import Device, DeviceId, Value

AT = datetime(2026, 11, 21, 17, 21, 14, 5999, UTC)
SENDER = Sender("bridge.example", 4711, "daemon")
MESSAGE = Message(AT, 4, "on_battery", "Rack UPS: On battery: begun", {"seq": "7", "device": "ups-1"})
UPS = Device(DeviceId("1"), "ups-1", "ups", "Rack UPS")

# The grammar of RFC 5424 §6, with what we never leave out.
GRAMMAR = re.compile(
    rb"<(?P<pri>0|[1-9]\d{0,2})>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [!-~]{1,255} [!-~]{1,48} [!-~]{1,128} "
    rb'(?P<msgid>[!-~]{1,32}) (?P<data>(?:\[[!-~]{1,32}(?: [!-~]{1,32}="(?:[^"\\\]]|\\["\\\]])*")*\])+) '
    rb"(?P<msg>(?:\xef\xbb\xbf)?.*)"
)


def test_a_message_of_ascii() -> None:
    assert write(MESSAGE, SENDER, 3) == (
        b"<28>1 2026-11-21T17:21:14.005Z bridge.example ridethrough 4711 on_battery "
        b'[meta sequenceId="3"][ridethrough@32473 seq="7" device="ups-1"] Rack UPS: On battery: begun'
    )


def test_text_beyond_ascii_is_marked_as_utf_8() -> None:
    message = Message(AT, 4, "k", "Straße: Überlast", {})
    assert write(message, SENDER, 1).endswith(b"] \xef\xbb\xbf" + "Straße: Überlast".encode())


def test_time_is_told_in_utc() -> None:
    message = Message(AT.astimezone(timezone(timedelta(hours=2))), 4, "k", "", {})
    assert b" 2026-11-21T17:21:14.005Z " in write(message, SENDER, 1)


def test_what_would_end_a_value_is_escaped_and_nothing_begins_a_line() -> None:
    written = write(Message(AT, 4, "k", "a\r\nb\x00c\u2028d\x9be", {"name": 'a"b\\c]d\n<13>1'}), SENDER, 1)
    assert rb'name="a\"b\\c\]d <13>1"' in written
    assert written.endswith(b"] a b c d e")


@pytest.mark.parametrize(
    ("key", "msgid"),
    [("threshold.Raum 1.älarm", b"threshold.Raum_1._larm"), ("x" * 40, b"x" * 32), ("", b"-")],
    ids=["foreign", "long", "none"],
)
def test_kinds_of_message_are_words(key: str, msgid: bytes) -> None:
    assert write(Message(AT, 4, key, "", {}), SENDER, 1).split()[5] == msgid


def test_host_without_a_name_has_none() -> None:
    assert write(MESSAGE, Sender("", 1, "kern"), 1).startswith(b"<4>1 2026-11-21T17:21:14.005Z - ridethrough 1 ")


@pytest.mark.parametrize(
    ("sequence", "said"), [(1, b'"1"'), (LARGEST_SEQUENCE, b'"2147483647"'), (LARGEST_SEQUENCE + 1, b'"1"')]
)
def test_sequence_begins_anew_where_the_rfc_says_so(sequence: int, said: bytes) -> None:
    assert b"sequenceId=" + said in write(MESSAGE, SENDER, sequence)


@pytest.mark.parametrize("text", ["ä" * 5000, "a" + "ä" * 5000, "a" * 9000, "😀" * 3000])
@pytest.mark.parametrize("longest", [LONGEST, LONGEST_DATAGRAM])
def test_long_text_loses_its_end_between_two_characters(text: str, longest: int) -> None:
    written = write(Message(AT, 4, "k", text, {}), SENDER, 1, longest)
    assert longest - 4 < len(written) <= longest
    said = written.partition(b"] ")[2].decode().removeprefix("\ufeff")
    assert text.startswith(said)


def test_length_stands_before_a_message_in_a_stream() -> None:
    assert framed("ä".encode()) == b"2 \xc3\xa4"


def test_every_event_has_a_severity_and_every_facility_a_number() -> None:
    assert set(SEVERITIES) == {(edge, severity) for edge in EdgeKind for severity in Severity}
    assert tuple(FACILITIES) == CONFIGURABLE
    assert FACILITIES["local7"] == 23


_TEXT = st.text(st.characters(exclude_categories=()), max_size=300)


@given(name=_TEXT, key=_TEXT, host=_TEXT, text=_TEXT, seq=st.integers(1, 10**12))
def test_whatever_devices_are_called_the_grammar_holds(name: str, key: str, host: str, text: str, seq: int) -> None:
    device = Device(DeviceId("1"), key, "ups", name)
    details = {"actor": name, "outcome": text, "message": text}
    event = Event(AT, EventKind.COMMAND, device.id, key, EdgeKind.OCCURRED, Severity.INFO, details, seq)
    written = write(message_of(event, device, load_catalogue()), Sender(host, 1, "local7"), seq, LONGEST_DATAGRAM)
    found = GRAMMAR.fullmatch(written)
    assert found is not None
    assert found["pri"] == b"189"
    assert len(written) <= LONGEST_DATAGRAM
    written.decode()


@pytest.mark.parametrize(
    ("device", "said"),
    [(UPS, {"device": "ups-1", "name": "Rack UPS"}), (None, {"device": "1"})],
    ids=["known", "gone"],
)
def test_data_of_a_command(device: Device | None, said: dict[str, str]) -> None:
    details: dict[str, Value] = {"actor": "Modbus 192.0.2.7", "outcome": "ok", "message": "Given.", "confirmed": True}
    event = Event(AT, EventKind.COMMAND, DeviceId("1"), "load.off", EdgeKind.OCCURRED, Severity.INFO, details, 9)
    assert message_of(event, device, load_catalogue()).data == {
        "seq": "9",
        "kind": "command",
        **said,
        "key": "load.off",
        "edge": "occurred",
        "severity": "info",
        "actor": "Modbus 192.0.2.7",
        "outcome": "ok",
    }


def test_event_without_a_device_is_the_bridges() -> None:
    event = Event(AT, EventKind.SYSTEM, None, "events_lost", EdgeKind.OCCURRED, Severity.ALARM, {"count": 3}, 2)
    message = message_of(event, None, load_catalogue())
    assert "device" not in message.data
    assert message.severity == 2
    assert message.text == "Bridge: 3 events were lost while the journal could not be written"
