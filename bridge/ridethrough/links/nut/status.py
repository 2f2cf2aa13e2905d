"""What NUT's compound words mean as conditions. Tables, and one function over them.

ups.status: OL CHRG LB BOOST       one word each, see NUT docs/new-drivers.txt
ups.alarm: Replace battery! Fan failure!
"""

from collections.abc import Mapping
from dataclasses import dataclass
import re

STANDARD: Mapping[str, str] = {
    # Words that any driver uses when they apply: without the word, the condition is not so.
    "OB": "on_battery",
    "LB": "battery_low",
    "RB": "battery_bad",
    "CHRG": "charging",
    "DISCHRG": "discharging",
    "BYPASS": "on_bypass",
    "CAL": "calibrating",
    "OFF": "output_off",
    "OVER": "overload",
    "TRIM": "trim",
    "BOOST": "boost",
    "FSD": "forced_shutdown",
    "ALARM": "device_alarm",
}
OCCASIONAL: Mapping[str, str] = {
    # Words of some drivers only: that they are missing tells nothing before they have been seen once.
    "TEST": "test_in_progress",
    "HE": "eco_mode",
    "ECO": "eco_mode",
    "OVERHEAT": "overheat_protection",
}
SOURCES = frozenset({"OL", "OB", "BYPASS", "OFF"})
"""Where the output comes from; with none of these the driver does not know yet."""
SILENT = frozenset({"OL", "HB", "WAIT"})
"""Known words that are no condition of their own: on line, battery high, the driver waits for its first answer."""
SEVERED = frozenset({"COMMFAULT", "COMMLOST", "NOCOMM"})
"""The driver runs and has lost the UPS."""

ALARMS: tuple[tuple[str, str], ...] = (
    # Part of an alarm's text, in whatever case, and the condition. Texts are those of NUT's USB, SNMP and XML drivers.
    ("replace battery|battery (bad|fail|fault)|no battery", "battery_bad"),
    ("battery voltage too low|low battery", "battery_low"),
    ("charger (fail|fault)", "charger_failed"),
    ("temperature too high|over ?heat|over ?temperature", "temperature_bad"),
    ("fan (fail|fault)", "fan_failure"),
    ("fuse (fail|fault)", "fuse_failure"),
    ("internal (ups )?(fail|fault)|ups fault|general fault", "general_fault"),
    ("shutdown imminent", "shutdown_imminent"),
    ("awaiting power", "awaiting_power"),
    ("(automatic|manual) bypass mode", "on_bypass"),
    ("bypass (bad|not available|out of)", "bypass_bad"),
    ("input (bad|voltage out of|frequency out of)", "input_bad"),
    ("output (bad|voltage out of)", "output_bad"),
    ("overload", "overload"),
)
CHARGER: Mapping[str, tuple[bool, bool]] = {
    # battery.charger.status: charging, discharging.
    "charging": (True, False),
    "discharging": (False, True),
    "floating": (False, False),
    "resting": (False, False),
}
BEEPER: Mapping[str, bool] = {
    # ups.beeper.status: whether it would be heard.
    "enabled": True,
    "disabled": False,
    "muted": False,
}
TESTS: tuple[tuple[str, bool, bool], ...] = (
    # ups.test.result: part of the text, a test is running, the last one has failed. The first row that matches decides.
    ("no test|not? (initiated|performed)|none|never", False, False),
    ("in progress|running|testing", True, False),
    ("abort|cancel|invalid|warning", False, False),
    ("fail|error|bad|replace|^bt$|^ng$", False, True),
    ("pass|ok|success|good|^no$", False, False),
)
OUTLET: Mapping[str, bool] = {
    # outlet.n.status, and in some drivers outlet.n.switch.
    "on": True,
    "on/closed": True,
    "closed": True,
    "yes": True,
    "1": True,
    "off": False,
    "off/open": False,
    "open": False,
    "no": False,
    "0": False,
}

DERIVABLE = frozenset({"input_bad"})
"""Conditions of an alarm's text that the bridge works out too: raised without a word of upsd, they are not its to clear."""

_ALARMS = tuple((re.compile(pattern, re.IGNORECASE), condition) for pattern, condition in ALARMS)
_TESTS = tuple((re.compile(pattern, re.IGNORECASE), running, failed) for pattern, running, failed in TESTS)


@dataclass(frozen=True, slots=True)
class Status:
    """The conditions of a UPS, and what could not be told."""

    conditions: Mapping[str, bool]
    """What is known to be so or not so; what is not known is not in it."""
    unknown: tuple[str, ...] = ()
    """Words of ups.status that are in no table."""
    severed: bool = False
    """The driver says that it has lost the UPS: the values are old."""


def read_status(variables: Mapping[str, str], seen: frozenset[str] = frozenset()) -> Status:
    """Take apart ups.status and its relatives.

    `seen` are the conditions that have been active before: of those, being absent now means being over.
    """
    words = variables.get("ups.status", "").split()
    known = not SOURCES.isdisjoint(words)
    conditions: dict[str, bool] = {}
    if known:
        conditions |= {condition: word in words for word, condition in STANDARD.items()}
        conditions["output_active"] = "OFF" not in words
        if SOURCES.isdisjoint(word for word in words if word != "OFF"):
            # Off, and no word of the mains.
            del conditions["on_battery"]
    active = {condition for word, condition in (*STANDARD.items(), *OCCASIONAL.items()) if word in words}
    alarm = variables.get("ups.alarm", "").strip()
    active |= {condition for pattern, condition in _ALARMS if pattern.search(alarm)}
    if alarm not in {"", "0"}:
        active.add("device_alarm")
    conditions |= _of_test(variables.get("ups.test.result", ""))
    conditions |= _of_timer(variables.get("ups.timer.shutdown", ""))
    beeper = variables.get("ups.beeper.status", variables.get("beeper.status", "")).strip().lower()
    if beeper in BEEPER:
        conditions["beeper_enabled"] = BEEPER[beeper]
    if known:
        conditions = dict.fromkeys(seen & _OCCASIONAL, False) | conditions
    conditions |= dict.fromkeys(active, True)
    charger = variables.get("battery.charger.status", "").strip().lower()
    if charger in CHARGER:
        # It knows better than the words, which some drivers leave as they were.
        conditions["charging"], conditions["discharging"] = CHARGER[charger]
    return Status(
        conditions,
        tuple(word for word in words if word not in _KNOWN),
        severed=not SEVERED.isdisjoint(words),
    )


def outlet_on(variables: Mapping[str, str], number: str) -> bool | None:
    """Tell whether an outlet is on, None if it does not say."""
    text = variables.get(f"outlet.{number}.status", variables.get(f"outlet.{number}.switch", ""))
    return OUTLET.get(text.strip().lower())


def _of_test(result: str) -> Mapping[str, bool]:
    for pattern, running, failed in _TESTS:
        if pattern.search(result.strip()):
            return {"test_in_progress": running, "test_failed": failed}
    return {}


def _of_timer(text: str) -> Mapping[str, bool]:
    """Tell by the seconds left until shutdown, 0 or -1 for none pending."""
    try:
        return {"shutdown_pending": float(text) > 0}
    except ValueError:
        return {}


_OCCASIONAL = frozenset(OCCASIONAL.values()) | {condition for _, condition in ALARMS} | {"device_alarm"}
_KNOWN = frozenset(STANDARD) | frozenset(OCCASIONAL) | SILENT | SEVERED

__all__ = ["DERIVABLE", "Status", "outlet_on", "read_status"]
