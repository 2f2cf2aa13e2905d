"""What conditions are called in `ups.status` and its relatives: tables, and small functions over them. Pure.

ups.status: "FSD ALARM OB DISCHRG LB"
ups.alarm:  "Overtemperature! Fan failure!"
"""

from collections.abc import Callable, Iterable, Mapping

type Holds = Callable[[str], bool | None]
"""Whether a condition is so; None where that is not known now."""

WORDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    # A word of ups.status after OL or OB, in the order in which NUT's usbhid-ups puts them, and the conditions one of
    # which must hold (NUT docs/new-drivers.txt, RFC 9271 §5.1).
    ("CAL", ("calibrating",)),
    ("TEST", ("test_in_progress",)),
    ("DISCHRG", ("discharging",)),
    ("CHRG", ("charging",)),
    # upsmon shuts down on OB with LB. What the UPS calls low is one reason, and so is what the bridge says of the time
    # that is left: usbhid-ups gives LB for `lowbatt`, `timelimitexp` and `shutdownimm` alike.
    ("LB", ("battery_low", "battery_depleted", "system_shutdown", "shutdown_imminent")),
    ("OVER", ("overload",)),
    ("RB", ("battery_bad",)),
    ("TRIM", ("trim",)),
    ("BOOST", ("boost",)),
    ("BYPASS", ("on_bypass", "on_maintenance_bypass")),
    # Newer than 2.8: ECO. What reads HE does not know that, and NUT's own clients take no notice of either.
    ("HE", ("eco_mode",)),
    ("OFF", ("output_off", "system_off")),
)
SOURCES: Mapping[str, tuple[str, str, str]] = {
    # By the kind of device: the condition that tells where the output comes from, and the word for not and for so.
    "ups": ("on_battery", "OL", "OB"),
    "transfer_switch": ("output_active", "OFF", "OL"),
}
TYPES: Mapping[str, str] = {
    # device.type of the kinds of device that clients see as a UPS.
    "ups": "ups",
    "transfer_switch": "ats",
}
FORCED = "forced_shutdown"
DUE = ("system_shutdown", "shutdown_imminent")
"""Conditions that on battery leave no choice: FSD. Of OB with LB a secondary gives a primary that there may be time
(upsmon's HOSTSYNC, 15 s) to say so; here the bridge is what knows, and says so itself."""
ALARM = "device_alarm"
SPOKEN = frozenset({*(name for _, names in WORDS for name in names), FORCED, ALARM, "communications_lost"})
"""Conditions that ups.status or an error tells: ups.alarm need not repeat them."""
TESTS: Mapping[str, str] = {
    # ups.test.state, and ups.test.result in the words of usbhid-ups.
    "none": "No test initiated",
    "in_progress": "In progress",
    "passed": "Done and passed",
    "warning": "Done and warning",
    "failed": "Done and error",
    "aborted": "Aborted",
}


def compose(kind: str, holds: Holds, *, forced: bool = False, alarm: str = "") -> str | None:
    """Put ups.status together; None while nobody knows where the output comes from: never an invented word.

    `forced`: a primary has set FSD. `alarm` is the text of ups.alarm.
    """
    condition, otherwise, so = SOURCES[kind]
    source = holds(condition)
    if source is None:
        return None
    word = so if source else otherwise
    due = word == "OB" and any(holds(name) for name in DUE)
    words = ["FSD"] if forced or due or holds(FORCED) else []
    if alarm or holds(ALARM):
        words.append("ALARM")
    words.append(word)
    words += [word for word, names in WORDS if any(holds(name) for name in names)]
    if holds("output_active") is False:
        words.append("OFF")
    return " ".join(dict.fromkeys(words))


def alarm_text(names: Iterable[str]) -> str:
    """Say the alarms that hold, by their names for people, as NUT's drivers do."""
    return " ".join(f"{name}!" for name in names)


__all__ = ["ALARM", "FORCED", "SOURCES", "SPOKEN", "TESTS", "TYPES", "Holds", "alarm_text", "compose"]
