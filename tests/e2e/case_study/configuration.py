"""What the bridge and the agents of the case study are told: the manual's own times, as a person would write them."""

from pathlib import Path
from typing import Literal

from .computers import CASE, COMPUTERS, Model, keys

type Way = Literal["jobs", "plan"]

UPS = "ups-1"
PLAN = "night"
ALARM = 14.0
"""Percent below which the last servers are shut down: as soon as 13 % is left (M:3242)."""
WARNING = 41.0
"""Percent below which the second net is spread: as soon as 40 % is left (M:3188)."""
CHARGED = 50.0
"""Percent at which everything is started again."""
HOLD = 3600.0
RECHARGE = 3600.0
"""Seconds on battery at full load, and from empty to full."""
WINDOW = 120.0
"""Seconds of power after which the next outage is another one."""

_BRIDGE = """\
name: Server room
data: {data}
api:
  port: {api}
ups:
  - id: {ups}
    name: Rack UPS
    link: megatec:{line}
    power: 1000 VA
    hold_time: 60 min
    recharge_time: 1 h
    thresholds:
      - point: battery.charge
        below: {{warning: 41, alarm: 14}}
        hysteresis: 9
agents:
  listen: {host}
  alive: 1 min
  computers:
"""
_COMPUTER = """\
    - id: {key}
      name: {name}
      host: {host}
      mac: {mac}
      broadcast: {broadcast}
      supplies: {ups}
      shutdown_time: 8 min
      allow: [message, execute, shutdown, start]
"""
_JOBS = """\
jobs:
  events:
    - id: tell
      name: Tell everybody
      on: {{device: {ups}, condition: on_battery}}
      do: {{agent: {{verb: message, text: "Power has failed. Please save your work."}}}}
    - id: notice
      name: Notice to the unimportant computers
      on: {{device: {ups}, condition: on_battery}}
      when: {{on_battery: 5 min}}
      do: {{agent: {{verb: message, agents: [{unimportant}], text: This computer is shut down in 3 minutes.}}}}
    - id: unimportant
      name: Shut down the unimportant computers
      on: {{device: {ups}, condition: on_battery}}
      when: {{on_battery: 8 min, every: 30 s}}
      do: {{agent: {{verb: shutdown, agents: [{unimportant}]}}}}
    - id: important
      name: Shut down the important computers
      on: {{device: {ups}, condition: on_battery}}
      when: {{remaining: 30 min}}
      do: {{agent: {{verb: shutdown, agents: [{important}]}}}}
    - id: low-note
      name: Note the charge
      on: {{device: {ups}, condition: threshold.battery.charge.warning}}
      do: {{log: The charge is 40 %. All unimportant computers are to be off.}}
    - id: low
      name: Shut down the unimportant computers, whatever happened before
      on: {{device: {ups}, condition: threshold.battery.charge.warning}}
      when: {{every: 30 s}}
      do: {{agent: {{verb: shutdown, agents: [{unimportant}]}}}}
    - id: database
      name: Stop the database
      on: {{device: {ups}, condition: threshold.battery.charge.alarm}}
      do: {{agent: {{verb: execute, agents: database, program: stop-database}}}}
    - id: core
      name: Shut down the core
      on: {{device: {ups}, condition: threshold.battery.charge.alarm}}
      when: {{after: 3 min}}
      do: {{agent: {{verb: shutdown, agents: [{servers}]}}}}
    - id: withdraw
      name: Withdraw what has not been carried out
      on: {{device: {ups}, condition: on_battery, edge: cleared}}
      do: {{agent: {{verb: wakeup, agents: [{case}]}}}}
    - id: restart
      name: Start everything again
      on: {{device: {ups}, condition: threshold.battery.charge.warning, edge: cleared}}
      do: {{agent: {{verb: start, agents: [{case}]}}}}
"""
_PLAN = """\
plans:
  - id: {plan}
    name: Night
    ups: {ups}
    allow: [plan]
    stages:
      - id: tell
        name: Tell everybody
        when: {{on_battery: 0 s}}
        before:
          - agent: {{verb: message, text: "Power has failed. Please save your work."}}
      - id: unimportant
        name: Unimportant computers
        agents: [{unimportant}]
        when: {{on_battery: 5 min, charge: 40}}
        announce: 3 min
        text: This computer is shut down in 3 minutes.
      - id: important
        name: Important computers
        agents: [{important}]
        when: {{runtime: 30 min}}
      - id: core
        name: Core servers
        agents: [{core}]
        when: {{charge: 13}}
        after: [unimportant, important]
    restart: {{charge: 50}}
"""
_AGENT = """\
[agent]
name = {name}
listen = {host}
state = {folder}/state
log = {folder}/agent.log
[shutdown]
command = {off}
    {key}
    shutdown
[messages]
command = /bin/true
[program stop-database]
command = {off}
    {key}
    script
"""
_OFF = """\
#!/bin/sh
# What switches this computer off: whoever plays the power button hears of it.
echo "$1 $2" > {pipe}
"""


def bridge(way: Way, folder: Path, network: str, line: Path, api: int, host: str | None = None) -> str:
    """Write the bridge's configuration; `network` is the first three parts of the computers' addresses."""
    text = _BRIDGE.format(data=folder / "data", api=api, ups=UPS, line=line, host=host or f"{network}.1")
    for model in COMPUTERS:
        text += _COMPUTER.format(
            key=model.key,
            name=model.name,
            host=address(network, model),
            mac=model.mac,
            broadcast=f"{network}.255",
            ups=UPS,
        )
    groups = {group: ", ".join(keys(group)) for group in ("unimportant", "important", "core")}
    servers = ", ".join(key for key in keys("core") if key != "database")
    return text + {"jobs": _JOBS, "plan": _PLAN}[way].format(
        ups=UPS, plan=PLAN, case=", ".join(CASE), servers=servers, **groups
    )


def agent(model: Model, folder: Path, network: str, off: Path) -> str:
    """Write an agent's configuration."""
    return _AGENT.format(name=model.name, key=model.key, host=address(network, model), folder=folder, off=off)


def power_button(path: Path, pipe: Path) -> None:
    """Write the program that every computer has as its shutdown command."""
    path.write_text(_OFF.format(pipe=pipe))
    path.chmod(0o755)


def address(network: str, model: Model) -> str:
    """Return where a computer is."""
    return f"{network}.{COMPUTERS.index(model) + 11}"


__all__ = [
    "ALARM",
    "CHARGED",
    "HOLD",
    "PLAN",
    "RECHARGE",
    "UPS",
    "WARNING",
    "WINDOW",
    "Way",
    "address",
    "agent",
    "bridge",
    "power_button",
]
