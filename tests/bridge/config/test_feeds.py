"""The section feeds: of the configuration file: what is taken, and what a person is told when it is wrong."""

from ipaddress import ip_network
from pathlib import Path
import textwrap

import pytest

from ridethrough.config import ConfigError, load
from ridethrough.config.feeds import (
    BacnetConfig,
    BacnetForeign,
    FeedsConfig,
    ModbusConfig,
    ModbusSerialConfig,
    ModbusUnitConfig,
    NutConfig,
    NutUser,
    ServerConfig,
    SnmpCommunity,
    SnmpConfig,
    SnmpReceiver,
    SnmpUser,
    SyslogConfig,
    SyslogReceiver,
)
from ridethrough.config.tls import TlsConfig
from ridethrough.links import check_link, check_links

DEVICES = """\
ups:
  - id: ups-1
    link: megatec:/dev/ttyUSB0
  - id: ups-2
    link: megatec:/dev/ttyUSB1
transfer_switches:
  - id: sts-1
    link: modbus://192.0.2.7/1?profile=transfer_switch
feeds:
"""
FIRST = DEVICES.count("\n") + 1
"""The line that the first key of the section stands in."""


def written(folder: Path, feeds: str) -> Path:
    """Write a configuration with these feeds."""
    file = folder / "bridge.yaml"
    file.write_text(DEVICES + textwrap.indent(textwrap.dedent(feeds), "  "))
    return file


def read(folder: Path, feeds: str) -> FeedsConfig:
    """Read a configuration with these feeds."""
    return load(written(folder, feeds)).feeds


# What is taken


def test_without_the_section_nothing_is_served(tmp_path: Path) -> None:
    config = read(tmp_path, "")
    assert list(config) == []
    assert config.allow == frozenset()


@pytest.mark.parametrize("name", ["modbus", "snmp", "bacnet", "nut"])
def test_a_feed_that_is_only_mentioned_is_off_on_loopback_and_allows_no_writing(tmp_path: Path, name: str) -> None:
    (feed,) = read(tmp_path, f"{name}:\n")
    assert isinstance(feed, ServerConfig)
    assert feed.name == name
    assert (feed.enabled, feed.listen, feed.clients, feed.allow) == (False, "127.0.0.1", (), frozenset())
    assert feed.port == {"modbus": 502, "snmp": 161, "bacnet": 47808, "nut": 3493}[name]


def test_feeds_are_given_in_an_order_of_their_own(tmp_path: Path) -> None:
    assert [feed.name for feed in read(tmp_path, "nut:\nbacnet:\nmodbus:\nsnmp:\n")] == [
        "modbus",
        "snmp",
        "bacnet",
        "nut",
    ]


def test_modbus_with_everything(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        """\
        allow: feed
        modbus:
          enabled: yes
          listen: 0.0.0.0
          port: 1502
          clients: [192.0.2.0/24, 198.51.100.7]
          allow: [test, beeper]
          tcp: yes
          serial:
            port: /dev/ttyUSB7
            baud: 115200
            parity: even
            stop_bits: 2
          units:
            - unit: 1
              device: ups-1
            - unit: 2
              device: ups-2
              map: borri
              allow: []
            - unit: 3
              device: sts-1
              map: transfer_switch
          connections: 8
          idle: 2 min
        """,
    )
    assert config.allow == {"feed"}
    assert config.modbus == ModbusConfig(
        enabled=True,
        listen="0.0.0.0",
        port=1502,
        clients=(ip_network("192.0.2.0/24"), ip_network("198.51.100.7/32")),
        allow=frozenset({"test", "beeper"}),
        serial=ModbusSerialConfig("/dev/ttyUSB7", 115200, "even", 2),
        units=(
            ModbusUnitConfig(1, "ups-1"),
            ModbusUnitConfig(2, "ups-2", "borri", frozenset()),
            ModbusUnitConfig(3, "sts-1", "transfer_switch"),
        ),
        connections=8,
        idle=120,
    )


def test_modbus_on_a_serial_line_alone(tmp_path: Path) -> None:
    modbus = read(tmp_path, "modbus:\n  tcp: no\n  serial:\n    port: /dev/ttyUSB7\n").modbus
    assert modbus is not None
    assert (modbus.tcp, modbus.serial) == (False, ModbusSerialConfig("/dev/ttyUSB7"))


def test_snmp_with_everything(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        """\
        snmp:
          enabled: yes
          device: ups-2
          system_name: rack
          location: cellar
          contact: the caretaker
          communities:
            - name: look
            - name: change
              clients: 192.0.2.7
              write: yes
              device: ups-1
          users:
            - name: ada
            - name: bob
              auth: sha256
              password: first-password
              privacy: aes
              privacy_password: second-password
              write: yes
          receivers:
            - address: 192.0.2.9
            - address: manager.example
              port: 1162
              version: 3
              user: bob
              inform: yes
            - address: 192.0.2.10
              version: 1
              community: old
        """,
    )
    assert config.snmp == SnmpConfig(
        enabled=True,
        device="ups-2",
        system_name="rack",
        location="cellar",
        contact="the caretaker",
        communities=(
            SnmpCommunity("look"),
            SnmpCommunity("change", (ip_network("192.0.2.7/32"),), True, "ups-1"),
        ),
        users=(SnmpUser("ada"), SnmpUser("bob", "sha256", "first-password", "aes", "second-password", True)),
        receivers=(
            SnmpReceiver("192.0.2.9"),
            SnmpReceiver("manager.example", 1162, "3", "public", "bob", True),
            SnmpReceiver("192.0.2.10", 162, "1", "old"),
        ),
    )
    for secret in ("first-password", "second-password", "change", "old"):
        assert secret not in repr(config)


def test_bacnet_with_everything(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        """\
        bacnet:
          device_id: 4194302
          network: 3
          apdu_timeout: 500 ms
          device_name: ups
          description: the UPS
          location: cellar
          model: mine
          prefix: 16
          foreign:
            address: 192.0.2.1
            ttl: 10 min
          recipients: [192.0.2.9]
        """,
    )
    assert config.bacnet == BacnetConfig(
        device_id=4194302,
        network=3,
        apdu_timeout=0.5,
        device_name="ups",
        description="the UPS",
        location="cellar",
        model="mine",
        prefix=16,
        foreign=BacnetForeign("192.0.2.1", 600),
        recipients=("192.0.2.9",),
    )


def test_syslog_with_everything(tmp_path: Path) -> None:
    for name in ("ca.pem", "own.pem", "own.key"):
        (tmp_path / name).touch()
    config = read(
        tmp_path,
        """\
        syslog:
          enabled: yes
          facility: local3
          receivers:
            - address: 192.0.2.9
              transport: udp
            - address: log.example
              transport: tls
              port: 1514
              ca: ca.pem
              certificate:
                certificate: own.pem
                key: own.key
              server_name: the-log
              reject_expired: no
        """,
    )
    assert config.syslog == SyslogConfig(
        enabled=True,
        facility="local3",
        receivers=(
            SyslogReceiver("192.0.2.9", 514, "udp"),
            SyslogReceiver(
                "log.example",
                1514,
                "tls",
                tmp_path / "ca.pem",
                TlsConfig(tmp_path / "own.pem", tmp_path / "own.key"),
                "the-log",
                False,
            ),
        ),
    )


@pytest.mark.parametrize(("transport", "port"), [("udp", 514), ("tcp", 601), ("tls", 6514), (None, 601)])
def test_syslog_goes_to_the_port_of_its_transport(tmp_path: Path, transport: str | None, port: int) -> None:
    line = "" if transport is None else f"      transport: {transport}\n"
    syslog = read(tmp_path, f"syslog:\n  receivers:\n    - address: 192.0.2.9\n{line}").syslog
    assert syslog is not None
    assert syslog.receivers[0].port == port


def test_nut_with_everything(tmp_path: Path) -> None:
    for name in ("own.pem", "own.key"):
        (tmp_path / name).touch()
    config = read(
        tmp_path,
        """\
        nut:
          tls:
            certificate: own.pem
            key: own.key
          users:
            - name: nas
              password: enough
              upsmon: secondary
            - name: admin
              password: more
              allow: [shutdown, load]
          connections: 4
          idle: 30
        """,
    )
    assert config.nut == NutConfig(
        tls=TlsConfig(tmp_path / "own.pem", tmp_path / "own.key"),
        users=(NutUser("nas", "enough", "secondary"), NutUser("admin", "more", None, frozenset({"shutdown", "load"}))),
        connections=4,
        idle=30,
    )
    assert "enough" not in repr(config)


# What is answered

UNIT = "modbus:\n  units:\n    - unit: 1\n      device: ups-1\n"
TWICE = "modbus:\n  units:\n    - {unit: 1, device: ups-1}\n    - {unit: 1, device: ups-2}\n"
USER = "snmp:\n  users:\n    - name: ada\n"
RECEIVER = "snmp:\n  receivers:\n    - address: 192.0.2.9\n"
LOG = "syslog:\n  receivers:\n    - address: 192.0.2.9\n"


MISTAKES = [
    # All feeds.
    (
        "modbuss:\n",
        1,
        "feeds.modbuss: the key modbuss is unknown, did you mean modbus? (permitted: allow, modbus, snmp,",
    ),
    ("- modbus\n", 0, "feeds: must be a section with keys"),
    ("allow: [test]\n", 1, "feeds.allow: the command group test is unknown (permitted: feed)"),
    ("modbus:\n  enabled: maybe\n", 2, "feeds.modbus.enabled: must be yes or no"),
    ("snmp:\n  listen: 300.1.1.1\n", 2, "feeds.snmp.listen: must be an address such as 127.0.0.1"),
    ("nut:\n  port: 70000\n", 2, "feeds.nut.port: must be a port from 1 to 65535"),
    ("nut:\n  clients: here\n", 2, "feeds.nut.clients: must be an address such as 192.0.2.7 or a network"),
    ("nut:\n  clients: [192.0.2.7/24]\n", 2, "a network such as 192.0.2.0/24, not 192.0.2.7/24"),
    ("bacnet:\n  clients:\n    - 192.0.2.7\n    - x y\n", 4, "feeds.bacnet.clients: must be an address"),
    ("modbus:\n  allow: [tests]\n", 2, "the command group tests is unknown, did you mean test? (permitted:"),
    ("modbus:\n  allow: [feed]\n", 2, "the command group feed is unknown"),
    ("syslog:\n  listen: 0.0.0.0\n", 2, "feeds.syslog.listen: the key listen is unknown"),
    # Modbus.
    ("modbus:\n  tcp: no\n", 1, "feeds.modbus: with tcp: no there must be a serial: section"),
    ("modbus:\n  serial:\n    baud: 9600\n", 2, "feeds.modbus.serial: the key port is missing"),
    ("modbus:\n  serial: /dev/ttyUSB0\n", 2, "feeds.modbus.serial: must be a section with keys"),
    ("modbus:\n  serial: {port: /dev/x, baud: 9601}\n", 2, "the word 9601 is unknown, did you mean 9600?"),
    ("modbus:\n  serial: {port: /dev/x, baud: [1]}\n", 2, "must be one of 1200, 2400"),
    ("modbus:\n  serial: {port: /dev/x, parity: mark}\n", 2, "(permitted: none, even, odd)"),
    ("modbus:\n  serial: {port: /dev/x, stop_bits: 3}\n", 2, "must be a whole number from 1 to 2, not 3"),
    ("modbus:\n  units:\n    - device: ups-1\n", 3, "feeds.modbus.units: the key unit is missing"),
    ("modbus:\n  units:\n    - unit: 1\n", 3, "feeds.modbus.units: the key device is missing"),
    ("modbus:\n  units: {unit: 1}\n", 2, "feeds.modbus.units: must be a list"),
    (UNIT.replace("unit: 1", "unit: 248"), 3, "feeds.modbus.units.unit: must be a whole number from 1 to 247"),
    (UNIT.replace("unit: 1", "unit: ١"), 3, "must be a whole number from 1 to 247"),
    (UNIT.replace("ups-1", "ups-3"), 4, "feeds.modbus.units.device: the device ups-3 is unknown, did you mean"),
    (UNIT.replace("ups-1", "UPS 1"), 4, "must be up to 64 small letters, digits and hyphens"),
    (UNIT + "      map: bori\n", 5, "the register map bori is unknown, did you mean borri? (permitted: default,"),
    (UNIT + "      map: bacs\n", 5, "feeds.modbus.units.map: bacs is no register map of a UPS, which ups-1 is;"),
    (
        UNIT.replace("ups-1", "sts-1") + "      map: borri\n",
        5,
        "borri is no register map of a transfer switch, which sts-1 is; permitted: sts_tumel, transfer_switch",
    ),
    (UNIT + "      allow: everything\n", 5, "the command group everything is unknown"),
    (TWICE, 4, "feeds.modbus.units.unit: stands twice"),
    ("modbus:\n  connections: 0\n", 2, "must be a whole number from 1 to 1024, not 0"),
    ("modbus:\n  idle: 2 h\n", 2, "must be a number from 1 to 3600 s; units: s, min"),
    # Two that listen at one place.
    (
        "modbus:\n  enabled: yes\n  port: 4000\nnut:\n  enabled: yes\n  port: 4000\n",
        6,
        "feeds.nut.port: feeds.modbus listens on TCP port 4000 of 127.0.0.1 already; give each a port of its own",
    ),
    (
        "snmp:\n  enabled: yes\n  listen: 192.0.2.1\nbacnet:\n  enabled: yes\n  listen: 0.0.0.0\n  port: 161\n",
        7,
        "feeds.bacnet.port: feeds.snmp listens on UDP port 161 of 192.0.2.1 already",
    ),
    ("nut:\n  enabled: yes\n  port: 8480\n", 3, "feeds.nut.port: api listens on TCP port 8480 of 127.0.0.1 already"),
    # SNMP.
    ("snmp:\n  device: ups-3\n", 2, "feeds.snmp.device: the device ups-3 is unknown"),
    ("snmp:\n  communities:\n    - write: yes\n", 3, "feeds.snmp.communities: the key name is missing"),
    ("snmp:\n  communities:\n    - {name: a, device: ups-3}\n", 3, "the device ups-3 is unknown"),
    ("snmp:\n  communities:\n    - name: a\n    - name: a\n", 4, "feeds.snmp.communities.name: stands twice"),
    ("snmp:\n  communities:\n    - public\n", 3, "feeds.snmp.communities: must be a section with keys"),
    (USER + "    - name: ada\n", 4, "feeds.snmp.users.name: stands twice"),
    (USER + "      auth: sha3\n", 4, "(permitted: none, md5, sha, sha224, sha256, sha384, sha512)"),
    (USER + "      auth: sha\n", 0, "feeds.snmp.users.password: sha needs a password"),
    (USER + "      auth: sha\n      password: short\n", 5, "must have at least 8 characters"),
    (USER + "      password: long-enough\n", 4, "feeds.snmp.users.password: is of no use without a protocol"),
    (
        USER + "      privacy: aes\n      privacy_password: long-enough\n",
        4,
        "feeds.snmp.users.privacy: needs authentication: give auth as well",
    ),
    (
        USER + "      auth: md5\n      password: long-enough\n      privacy: des\n",
        0,
        "feeds.snmp.users.privacy_password: des needs a privacy_password",
    ),
    ("snmp:\n  receivers:\n    - port: 162\n", 3, "feeds.snmp.receivers: the key address is missing"),
    (RECEIVER + "      version: 2\n", 4, "the word 2 is unknown, did you mean 2c? (permitted: 1, 2c, 3)"),
    (
        RECEIVER + "      version: 1\n      inform: yes\n",
        5,
        "feeds.snmp.receivers.inform: version 1 has no informs",
    ),
    (RECEIVER + "      version: 3\n", 3, "feeds.snmp.receivers: version 3 needs the user: of one of users:"),
    (
        RECEIVER + "      version: 3\n      user: eve\n",
        5,
        "feeds.snmp.receivers.user: the user eve is unknown (permitted: none)",
    ),
    # BACnet.
    ("bacnet:\n  device_id: 4194303\n", 2, "must be a whole number from 0 to 4194302, not 4194303"),
    (
        "bacnet:\n  clients: 192.0.2.0/24\n  recipients: ['*', 192.0.2.9, '198.51.100.7:47809']\n",
        3,
        "feeds.bacnet.recipients: 198.51.100.7:47809 is outside of clients: what it answers would not be heard",
    ),
    (
        "bacnet:\n  foreign: {address: 198.51.100.1}\n  clients: 192.0.2.0/24\n",
        2,
        "feeds.bacnet.foreign: 198.51.100.1 is outside of clients",
    ),
    ("bacnet:\n  bbmd: [198.51.100.1/24]\n  clients: 192.0.2.0/24\n", 2, "198.51.100.1/24 is outside of clients"),
    ("bacnet:\n  prefix: 33\n", 2, "must be a whole number from 1 to 32, not 33"),
    ("bacnet:\n  apdu_timeout: 5 min\n", 2, "must be a number from 0.1 to 60 s; units: s, ms"),
    ("bacnet:\n  foreign: {ttl: 60}\n", 2, "feeds.bacnet.foreign: the key address is missing"),
    ("bacnet:\n  foreign: {address: 192.0.2.1, ttl: 5}\n", 2, "must be a number from 30 to 65535 s"),
    (
        "bacnet:\n  foreign: {address: 192.0.2.1}\n  bbmd: [192.0.2.2]\n",
        1,
        "feeds.bacnet: a foreign device cannot be a BBMD too: give one of foreign and bbmd",
    ),
    # Syslog.
    ("syslog:\n", 1, "feeds.syslog: must be one or two receivers"),
    (LOG + 2 * "    - address: 192.0.2.8\n", 2, "feeds.syslog.receivers: must be one or two receivers"),
    (LOG + "      transport: tpc\n", 4, "the word tpc is unknown, did you mean tcp? (permitted: udp, tcp, tls)"),
    (LOG + "      server_name: log\n", 4, "feeds.syslog.receivers.server_name: is of use with transport: tls only"),
    (LOG + "      reject_expired: no\n", 4, "is of use with transport: tls only"),
    (LOG + "      transport: tls\n      ca: none.pem\n", 5, "feeds.syslog.receivers.ca: there is no file"),
    ("syslog:\n  facility: kitchen\n", 2, "the word kitchen is unknown (permitted: kern, user, mail,"),
    # NUT.
    ("nut:\n  users:\n    - name: nas\n", 3, "feeds.nut.users: the key password is missing"),
    ("nut:\n  users:\n    - {name: nas, password: ''}\n", 3, "feeds.nut.users.password: must be a text of 1 to"),
    ("nut:\n  users:\n    - {name: nas, password: a, upsmon: master}\n", 3, "(permitted: primary, secondary)"),
    ("nut:\n  users:\n    - {name: a, password: b}\n    - {name: a, password: c}\n", 4, "stands twice"),
    ("nut:\n  tls:\n    certificate: none.pem\n", 2, "feeds.nut.tls: the key key is missing"),
    ("nut:\n  connections: many\n", 2, "must be a whole number from 1 to 1024, not many"),
]


@pytest.mark.parametrize(
    ("feeds", "line", "message"), MISTAKES, ids=[f"{f.partition(':')[0]} {said[:60]}" for f, _, said in MISTAKES]
)
def test_every_mistake_is_answered_with_its_line_and_what_is_permitted(
    tmp_path: Path, feeds: str, line: int, message: str
) -> None:
    """A line of 0 is that of what lacks something: any line of the section will do."""
    file = written(tmp_path, feeds)
    with pytest.raises(ConfigError) as caught:
        load(file)
    found = [(problem.line - FIRST + 1, problem.message.replace("'", "")) for problem in caught.value.problems]
    fitting = [where for where, said in found if message in said]
    assert fitting, found
    assert line in (0, *fitting), found
    assert str(file) in str(caught.value)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, "modbus:\n  port: x\n  idle: y\nnut:\n  idle: z\nsmnp:\n")
    assert [problem.line - FIRST + 1 for problem in caught.value.problems] == [2, 3, 5, 6]


def test_no_secret_is_shown(tmp_path: Path) -> None:
    for feeds, number in (
        ("snmp:\n  communities:\n    - name: verysecret\n    - name: verysecret\n", 1),
        ("snmp:\n  users:\n    - {name: ada, auth: sha, password: verysec}\n", 1),
        (
            "nut:\n  users:\n    - {name: nas, password: [verysecret]}\n    - {name: nas, password: verysecret, x: y}\n",
            2,
        ),
    ):
        with pytest.raises(ConfigError) as caught:
            read(tmp_path, feeds)
        assert len(caught.value.problems) == number
        assert "verysec" not in str(caught.value)


@pytest.mark.parametrize(
    "feeds",
    [
        pytest.param("modbus: {enabled: yes, port: 161}\nsnmp: {enabled: yes}\n", id="another-transport"),
        pytest.param("modbus: {enabled: yes, port: 3493}\nnut:\n", id="switched-off"),
        pytest.param(
            "modbus: {enabled: yes, port: 3493, listen: 192.0.2.1}\nnut: {enabled: yes, listen: 192.0.2.2}\n",
            id="another-address",
        ),
        pytest.param("modbus: {enabled: yes, port: 0}\nnut: {enabled: yes, port: 0}\n", id="any-free-port"),
        pytest.param(
            "modbus: {enabled: yes, port: 3493, tcp: no, serial: {port: /dev/ttyUSB7}}\nnut: {enabled: yes}\n",
            id="serial-only",
        ),
    ],
)
def test_what_does_not_listen_at_one_place_may_be_together(tmp_path: Path, feeds: str) -> None:
    assert list(read(tmp_path, feeds))


def checked(folder: Path, feeds: str) -> FeedsConfig:
    """Read a configuration as the bridge does, which knows what links use."""
    return load(written(folder, feeds), check_link, check_links).feeds


def test_a_serial_port_is_not_for_a_link_and_for_modbus(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        checked(tmp_path, "modbus:\n  enabled: yes\n  serial:\n    port: /dev/../dev/ttyUSB1\n")
    (problem,) = caught.value.problems
    assert problem.line == FIRST + 3
    assert problem.message == (
        "feeds.modbus.serial.port: /dev/../dev/ttyUSB1 is already used by ups-2; "
        "give each serial port to one link only."
    )
    assert checked(tmp_path, "modbus:\n  enabled: yes\n  serial:\n    port: /dev/ttyUSB2\n").modbus
    assert checked(tmp_path, "modbus:\n  serial:\n    port: /dev/ttyUSB1\n").modbus, "it is switched off"
