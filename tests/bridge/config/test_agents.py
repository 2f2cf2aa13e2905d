"""The section agents: of the configuration file: what is taken, and what a person is told when it is wrong."""

from ipaddress import ip_network
from pathlib import Path
import textwrap

import pytest

from ridethrough.config import ConfigError, load
from ridethrough.config.agents import AgentConfig, AgentsConfig, DatagramConfig

DEVICES = """\
ups:
  - id: ups-1
    link: megatec:/dev/ttyUSB0
  - id: ups-2
    link: megatec:/dev/ttyUSB1
transfer_switches:
  - id: sts-1
    link: modbus://192.0.2.7/1?profile=transfer_switch
agents:
"""
FIRST = DEVICES.count("\n") + 1
"""The line that the first key of the section stands in."""


def read(folder: Path, agents: str) -> AgentsConfig:
    """Read a configuration with these agents."""
    file = folder / "bridge.yaml"
    file.write_text(DEVICES + textwrap.indent(textwrap.dedent(agents), "  "))
    return load(file).agents


def test_without_the_section_there_are_no_agents_and_nothing_listens_beyond_loopback(tmp_path: Path) -> None:
    assert read(tmp_path, "") == AgentsConfig()
    assert AgentsConfig().listen == "127.0.0.1"


def test_a_computer_needs_an_id_and_a_host_and_grants_nothing(tmp_path: Path) -> None:
    config = read(tmp_path, "computers:\n  - id: nas\n    host: nas.local\n")
    assert config.computers == (AgentConfig("nas", "nas", "nas.local"),)
    assert config.computers[0].allow == frozenset()


def test_everything_that_may_be_written(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        """\
        listen: 0.0.0.0
        port: 7005
        clients: [192.0.2.0/24]
        alive: 5 s
        computers:
          - id: nas
            name: Storage
            host: 192.0.2.9
            port: 7004
            enabled: no
            mac: 00-11-22-aa-BB-cc
            broadcast: 192.0.2.255
            wake_port: 7
            shutdown_time: 5 min
            start_time: 20 min
            supplies: [ups-1, ups-2]
            allow: [shutdown, start, message, execute]
          - id: pc
            host: "2001:db8::1"
            supplies: ups-1
        datagrams:
          enabled: yes
          receivers: [192.0.2.255, old-server]
          port: 7003
        """,
    )
    assert config == AgentsConfig(
        listen="0.0.0.0",
        port=7005,
        clients=(ip_network("192.0.2.0/24"),),
        alive=5.0,
        computers=(
            AgentConfig(
                "nas",
                "Storage",
                "192.0.2.9",
                port=7004,
                enabled=False,
                mac="00:11:22:aa:bb:cc",
                broadcast="192.0.2.255",
                wake_port=7,
                shutdown_time=300.0,
                start_time=1200.0,
                supplies=("ups-1", "ups-2"),
                allow=frozenset({"shutdown", "start", "message", "execute"}),
            ),
            AgentConfig("pc", "pc", "2001:db8::1", supplies=("ups-1",)),
        ),
        datagrams=DatagramConfig(enabled=True, receivers=("192.0.2.255", "old-server"), port=7003),
    )


@pytest.mark.parametrize(
    ("line", "told"),
    [
        pytest.param("mac: 00:11:22:33:44", "must be a hardware address such as 00:11:22:33:44:55", id="short-mac"),
        pytest.param("mac: 00:11-22:33:44:55", "must be a hardware address", id="mixed-mac"),
        pytest.param("broadcast: everybody", "must be an IPv4 address such as", id="broadcast"),
        pytest.param("wake_port: 8", "must be 7 or 9, not '8'", id="wake-port"),
        pytest.param("port: 0", "must be a whole number from 1 to 65535", id="port"),
        pytest.param("shutdown_time: 0", "is out of range; must be a number from 1 to 86400 s", id="shutdown-time"),
        pytest.param("supplies: ups-3", "the UPS 'ups-3' is unknown, did you mean ups-2?", id="unknown-ups"),
        pytest.param("supplies: sts-1", "the UPS 'sts-1' is unknown", id="no-ups"),
        pytest.param("allow: outlet", "the command group 'outlet' is unknown", id="group-of-others"),
        pytest.param("allow: start", "grants start, for which the computer's mac: is needed", id="start-without-mac"),
        pytest.param("enabled: maybe", "must be yes or no", id="enabled"),
        pytest.param("colour: red", "the key 'colour' is unknown", id="unknown-key"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, line: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, f"computers:\n  - id: nas\n    host: nas.local\n    {line}\n")
    (problem,) = caught.value.problems
    assert problem.line == FIRST + 3
    assert told in problem.message


@pytest.mark.parametrize(
    ("agents", "told"),
    [
        pytest.param("computers:\n  - id: nas\n", "the key host is missing", id="no-host"),
        pytest.param("computers:\n  - id: nas\n    host: 1.2.3.4.5\n", "must be a host name or an address", id="host"),
        pytest.param("alive: 0.1\n", "is out of range; must be a number from 1 to 300 s", id="alive"),
        pytest.param(
            "computers:\n  - {id: a, host: b}\n  - {id: a, host: c}\n",
            "a stands twice; each computer needs",
            id="twice",
        ),
        pytest.param("computers:\n  - {id: ups-1, host: b}\n", "ups-1 is taken by another device", id="key-of-a-ups"),
        pytest.param("datagrams:\n  enabled: yes\n", "are enabled, but have no receivers", id="no-receivers"),
    ],
)
def test_a_section_that_cannot_be_is_told(tmp_path: Path, agents: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, agents)
    assert told in str(caught.value)
