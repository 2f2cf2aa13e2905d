"""The table of scenarios: a new blueprint is a file, and rows here."""

from tests.component.bridge_peer import OUTLET_ID

from .house import BATTERY_ID, PLAN_ID, UPS_B_ID, did
from .plays import (
    BOTH_FAIL,
    FLAP,
    LIMITS,
    OUTAGE,
    RESTART,
    STALE,
    Act,
    Scenario,
    after,
    begins,
    connection_breaks,
    ends,
    flaps,
    line_is_back,
    line_is_lost,
    machines,
    power_fails,
    power_returns,
    reads,
    restart,
    restart_meanwhile,
    runs,
    somebody_switches,
    together,
)

UPS = "rack_ups"
ON_BATTERY = f"binary_sensor.{UPS}_on_battery"
ON_BATTERY_B = "binary_sensor.second_ups_on_battery"
CHARGE = f"sensor.{UPS}_battery_charge"
RUNTIME = f"sensor.{UPS}_runtime"
EVENTS = f"event.{UPS}_events"
SOMEBODY = {"entity_id": "notify.somebody"}

EVENT_JOB = {"events": [EVENTS], "job": did("job"), "counter_job": did("counter")}
_AT_ONCE = "automation/job_at_once"
AT_ONCE = (
    Scenario(_AT_ONCE, OUTAGE, "job-then-counter-job", EVENT_JOB,
             (power_fails(), after(60), power_returns(), after(60)), done=("job", "counter")),
    Scenario(_AT_ONCE, OUTAGE, "once", EVENT_JOB, (power_fails(), after(900)), done=("job",)),
    Scenario(_AT_ONCE, OUTAGE, "nothing-else", EVENT_JOB,
             (begins("overload"), begins("battery_low"), ends("overload"))),
    Scenario(_AT_ONCE, FLAP, "each-in-order", EVENT_JOB, (flaps(3, 2, 2),), done=("job", "counter") * 3),
    Scenario(_AT_ONCE, RESTART, "began-while-away", EVENT_JOB,
             (restart_meanwhile(power_fails(), away=120), after(300)), done=("job",)),
    Scenario(_AT_ONCE, RESTART, "not-twice", EVENT_JOB,
             (power_fails(), restart(), after(60), power_returns(), restart(), after(60)), done=("job", "counter")),
    Scenario(_AT_ONCE, RESTART, "too-long-ago", EVENT_JOB,
             (restart_meanwhile(power_fails(), away=3600), after(60), power_returns()), done=("counter",)),
    Scenario(_AT_ONCE, STALE, "connection-breaks", EVENT_JOB, (power_fails(), connection_breaks(), after(60)),
             done=("job",)),
    Scenario(_AT_ONCE, STALE, "line-lost-and-back", EVENT_JOB,
             (power_fails(), line_is_lost(), after(60), line_is_back(), after(60), power_returns()),
             done=("job", "counter")),
)  # fmt: skip

NOTIFY = {"events": [EVENTS, "event.second_ups_events"], "recipients": SOMEBODY, "raised_actions": did("{{ key }} of {{ device }}"),
          "cleared_actions": did("{{ key }} over")}  # fmt: skip
_NOTIFY = "automation/notify_event"
NOTICES = (
    Scenario(_NOTIFY, OUTAGE, "begin-and-end", NOTIFY, (power_fails(), after(60), power_returns()),
             done=("on_battery of Rack UPS", "on_battery over"),
             told=("Rack UPS: On battery (2026-11-24 02:00:00)", "Rack UPS: On battery is over (2026-11-24 02:01:00)")),
    Scenario(_NOTIFY, OUTAGE, "begin-only", NOTIFY | {"all_clear": False}, (power_fails(), after(60), power_returns()),
             done=("on_battery of Rack UPS",), told=("Rack UPS: On battery (2026-11-24 02:00:00)",)),
    Scenario(_NOTIFY, OUTAGE, "of-both", {"events": NOTIFY["events"], "raised_actions": NOTIFY["raised_actions"]},
             (BOTH_FAIL,), done=("on_battery of Rack UPS", "on_battery of Second UPS")),
    Scenario(_NOTIFY, LIMITS, "all-that-is-severe", {**NOTIFY, "recipients": {}, "conditions": [], "severities": ["warning"]},
             (begins("charger_failed"), begins("overload")), done=("charger_failed of Rack UPS", "overload of Rack UPS")),
    Scenario(_NOTIFY, FLAP, "each", {**NOTIFY, "recipients": {}}, (flaps(4, 1, 1),),
             done=("on_battery of Rack UPS", "on_battery over") * 4),
    Scenario(_NOTIFY, RESTART, "all-that-happened-meanwhile", {**NOTIFY, "recipients": {}},
             (restart_meanwhile(power_fails(), begins("battery_low"), power_returns(), away=600), restart(), after(60)),
             done=("on_battery of Rack UPS", "battery_low of Rack UPS", "on_battery over")),
    Scenario(_NOTIFY, RESTART, "nothing-too-old", {**NOTIFY, "recipients": {}, "oldest": 1},
             (restart_meanwhile(power_fails(), away=4000), after(60))),
    Scenario(_NOTIFY, STALE, "connection-breaks", {**NOTIFY, "recipients": {}},
             (power_fails(), connection_breaks(), after(60)), done=("on_battery of Rack UPS",)),
    Scenario(_NOTIFY, STALE, "last-event-is-not-told-again", {**NOTIFY, "recipients": {}},
             (power_fails(), line_is_lost(), after(60), line_is_back(), after(60)), done=("on_battery of Rack UPS",)),
)  # fmt: skip

AFTER = {"condition": ON_BATTERY, "delay": 300, "job": did("job")}
_AFTER = "automation/job_after_delay"
AFTER_DELAY = (
    Scenario(_AFTER, OUTAGE, "once", AFTER, (power_fails(), after(290), after(10), after(900)), done=("job",)),
    Scenario(_AFTER, OUTAGE, "dropped-if-it-ends", AFTER, (power_fails(), after(290), power_returns(), after(900))),
    Scenario(_AFTER, OUTAGE, "each-time", AFTER,
             (power_fails(), after(310), power_returns(), after(60), power_fails(), after(310)), done=("job", "job")),
    Scenario(_AFTER, FLAP, "counts-anew", AFTER, (flaps(5, 240, 60),)),
    Scenario(_AFTER, RESTART, "goes-on-counting", AFTER,
             (power_fails(), after(200), restart(60), after(40), after(20, 5)), done=("job",)),
    Scenario(_AFTER, RESTART, "due-while-away", AFTER, (power_fails(), after(100), restart(600), after(60)),
             done=("job",)),
    Scenario(_AFTER, RESTART, "not-twice", AFTER,
             (power_fails(), after(310), restart(60), after(900), restart(60), after(900)), done=("job",)),
    Scenario(_AFTER, RESTART, "over-meanwhile", AFTER,
             (power_fails(), after(100), restart_meanwhile(power_returns(), away=600), after(600))),
    Scenario(_AFTER, STALE, "lost-and-back", AFTER,
             (power_fails(), after(100), line_is_lost(), after(120), line_is_back(), after(60), after(60)),
             done=("job",)),
    Scenario(_AFTER, STALE, "lost-does-nothing", AFTER, (power_fails(), after(100), line_is_lost(), after(900))),
)  # fmt: skip

EVERY = {"condition": ON_BATTERY, "every": 300, "job": did("job")}
_EVERY = "automation/job_repeated"
REPEATED = (
    Scenario(_EVERY, OUTAGE, "until-it-ends", EVERY, (power_fails(), after(910), power_returns(), after(900)),
             done=("job",) * 4),
    Scenario(_EVERY, OUTAGE, "first-later", EVERY | {"first": 120}, (power_fails(), after(110), power_returns(), after(60),
             power_fails(), after(130)), done=("job",)),
    Scenario(_EVERY, FLAP, "at-each-begin", EVERY, (flaps(3, 20, 20),), done=("job",) * 3),
    Scenario(_EVERY, RESTART, "keeps-its-pace", EVERY,
             (power_fails(), after(200), restart(60), after(30), after(20), restart(30), after(60)), done=("job", "job")),
    Scenario(_EVERY, STALE, "pauses-while-nothing-is-known", EVERY,
             (power_fails(), after(60), line_is_lost(), after(900), line_is_back(), after(20)), done=("job", "job")),
)  # fmt: skip

FOR = {
    "on_battery": ON_BATTERY,
    "seconds": 480,
    "ignore_returns": 120,
    "memory": "input_text.outage",
    "job": did("job"),
}
_FOR = "automation/job_on_battery_for"
ON_BATTERY_FOR = (
    Scenario(_FOR, OUTAGE, "once", FOR, (power_fails(), after(470), after(10), after(900)), done=("job",),
             shows={"input_text.outage": "2026-11-24T10:00:00+00:00 done"}),
    Scenario(_FOR, OUTAGE, "not-before", FOR, (power_fails(), after(460), power_returns(), after(300))),
    Scenario(_FOR, OUTAGE, "next-outage-anew", FOR,
             (power_fails(), after(490), power_returns(), after(300), power_fails(), after(470), after(20)),
             done=("job", "job")),
    Scenario(_FOR, FLAP, "several-failures-are-one-outage", FOR, (flaps(4, 100, 60),), done=("job",)),
    Scenario(_FOR, FLAP, "long-returns-end-it", FOR, (flaps(6, 300, 130),)),
    Scenario(_FOR, RESTART, "goes-on-counting", FOR,
             (power_fails(), after(200), restart(60), after(210), after(20)), done=("job",)),
    Scenario(_FOR, RESTART, "due-while-away", FOR, (power_fails(), after(200), restart(400), after(20)), done=("job",)),
    Scenario(_FOR, RESTART, "not-twice", FOR, (power_fails(), after(490), restart(60), after(600)), done=("job",)),
    Scenario(_FOR, RESTART, "short-return-while-away", FOR,
             (power_fails(), after(400), restart_meanwhile(power_returns(), power_fails(), away=60), after(30)),
             done=("job",)),
    Scenario(_FOR, STALE, "lost-counts-and-waits", FOR,
             (power_fails(), after(200), line_is_lost(), after(600), line_is_back(), after(20)), done=("job",)),
    Scenario(_FOR, STALE, "lost-does-nothing", FOR, (power_fails(), after(200), line_is_lost(), after(900))),
)  # fmt: skip

LEFT = {"on_battery": ON_BATTERY, "runtime": RUNTIME, "seconds": 600, "job": did("{{ left }}")}
_LEFT = "automation/job_at_runtime"
AT_RUNTIME = (
    Scenario(_LEFT, OUTAGE, "reached", LEFT,
             (power_fails(), reads(battery__runtime=601), after(30), reads(battery__runtime=600),
              reads(battery__runtime=500), after(60)), done=("600.0",)),
    Scenario(_LEFT, OUTAGE, "undershot", LEFT,
             (power_fails(), reads(battery__runtime=900), reads(battery__runtime=200), after(60)), done=("200.0",)),
    Scenario(_LEFT, OUTAGE, "below-before-power-failed", LEFT,
             (reads(battery__runtime=300), after(120), power_fails(), after(60)), done=("300.0",)),
    Scenario(_LEFT, OUTAGE, "up-and-down-again-is-once", LEFT,
             (power_fails(), reads(battery__runtime=500), reads(battery__runtime=900), reads(battery__runtime=500),
              after(60)), done=("500.0",)),
    Scenario(_LEFT, FLAP, "once-for-each-outage", LEFT, (reads(battery__runtime=300), flaps(2, 60, 60)),
             done=("300.0", "300.0")),
    Scenario(_LEFT, RESTART, "not-twice", LEFT,
             (power_fails(), reads(battery__runtime=500), restart(), after(300)), done=("500.0",)),
    Scenario(_LEFT, RESTART, "reached-while-away", LEFT,
             (power_fails(), restart_meanwhile(reads(battery__runtime=500)), after(60)), done=("500.0",)),
    Scenario(_LEFT, STALE, "runtime-not-known", LEFT,
             (power_fails(), reads(battery__runtime=None), after(900))),
    Scenario(_LEFT, STALE, "runtime-not-known-for-long", LEFT | {"unknown_after": 120},
             (power_fails(), reads(battery__runtime=None), after(110), after(70), after(600)), done=("None",)),
    Scenario(_LEFT, STALE, "battery-low-counts", LEFT | {"battery_low": [f"binary_sensor.{UPS}_battery_low"]},
             (power_fails(), reads(battery__runtime=None), begins("battery_low"), after(600)), done=("None",)),
)  # fmt: skip

STAGES = {
    "on_battery": ON_BATTERY, "runtime": RUNTIME, "charge": CHARGE, "marker": "input_boolean.memory",
    "members_1": ["input_boolean.desk", "input_boolean.lab"], "after_1": 480, "runtime_1": 0,
    "members_2": ["input_boolean.storage"], "members_3": ["input_boolean.core"],
    "goes": did("stage {{ stage }}: {{ going | join(' ') | replace('input_boolean.', '') }}"),
}  # fmt: skip
ALL_ON = machines("desk", "lab", "storage", "core")
STANDS = {f"input_boolean.{name}": "on" for name in ("desk", "lab", "storage", "core")}
NOT_MARKED = {"input_boolean.memory": "off"}
_STAGES = "automation/staged_shutdown"
STAGED = (
    Scenario(_STAGES, OUTAGE, "first-by-time-then-by-runtime-then-by-charge", STAGES,
             (ALL_ON, power_fails(), after(470), after(10), reads(battery__runtime=1200), after(30),
              reads(battery__runtime=3000, battery__charge=20), after(30)),
             done=("stage 1: desk lab", "stage 2: storage", "stage 3: core"),
             shows=dict.fromkeys(STANDS, "off") | {"input_boolean.memory": "on"}),
    Scenario(_STAGES, OUTAGE, "later-stage-takes-the-earlier-along", STAGES,
             (ALL_ON, power_fails(), reads(battery__runtime=300), after(20)),
             done=("stage 1: desk lab", "stage 2: storage", "stage 3: core"), shows=dict.fromkeys(STANDS, "off")),
    Scenario(_STAGES, OUTAGE, "low-charge-on-mains-is-none", STAGES,
             (ALL_ON, reads(battery__charge=10, battery__runtime=100), after(600)), shows=STANDS | NOT_MARKED),
    Scenario(_STAGES, OUTAGE, "switched-on-again-is-switched-off-again", STAGES,
             (ALL_ON, power_fails(), after(480), somebody_switches("input_boolean.lab", True), after(30)),
             done=("stage 1: desk lab", "stage 1: lab"), shows=STANDS | {"input_boolean.desk": "off",
             "input_boolean.lab": "off"}),
    Scenario(_STAGES, FLAP, "charge-counts-where-time-does-not", STAGES,
             (ALL_ON, flaps(3, 420, 30), reads(battery__charge=60), flaps(1, 60, 30)),
             done=("stage 1: desk lab",), shows=STANDS | {"input_boolean.desk": "off", "input_boolean.lab": "off"}),
    Scenario(_STAGES, RESTART, "goes-on-where-it-was", STAGES,
             (ALL_ON, power_fails(), after(300), restart(60), after(110), after(20), restart(), after(60),
              reads(battery__charge=40), after(20)), done=("stage 1: desk lab", "stage 2: storage"),
             shows={"input_boolean.core": "on", "input_boolean.memory": "on"}),
    Scenario(_STAGES, RESTART, "power-returned-while-away", STAGES,
             (ALL_ON, power_fails(), after(300), restart_meanwhile(power_returns(), away=600), after(600)),
             shows=STANDS | NOT_MARKED),
    Scenario(_STAGES, STALE, "what-is-not-known-reaches-no-limit", STAGES,
             (ALL_ON, power_fails(), reads(battery__charge=None, battery__runtime=None), after(400), line_is_lost(),
              after(600)), shows=STANDS | NOT_MARKED),
    Scenario(_STAGES, STALE, "silent-for-long-takes-all-down-if-asked", STAGES | {"silent_after": 120},
             (ALL_ON, power_fails(), after(60), line_is_lost(), after(110), after(20)),
             done=("stage 1: desk lab", "stage 2: storage", "stage 3: core"), shows=dict.fromkeys(STANDS, "off")),
    Scenario(_STAGES, STALE, "silent-on-mains-is-none", STAGES | {"silent_after": 120},
             (ALL_ON, line_is_lost(), after(600)), shows=STANDS | NOT_MARKED),
    Scenario(_STAGES, FLAP, "power-returns-while-a-stage-goes-down", STAGES | {"members_1": ["switch.rack_ups_outlet_1"]},
             (ALL_ON, power_fails(), reads(battery__charge=40), after(60), power_returns(), after(300)),
             done=("stage 1: switch.rack_ups_outlet_1",), ordered=("Outlet 1: outlet.off",), shows=STANDS),
    Scenario(_STAGES, LIMITS, "what-is-off-is-left-alone", STAGES,
             (machines("core"), power_fails(), reads(battery__charge=5), after(60)), done=("stage 3: core",)),
    Scenario(_STAGES, LIMITS, "warning-that-fails-stops-nothing",
             {**STAGES, "goes": [{"action": "test.no_such_action"}]},
             (ALL_ON, power_fails(), reads(battery__charge=5), after(60)), shows=dict.fromkeys(STANDS, "off")),
)  # fmt: skip

AGAIN = {
    "on_battery": [ON_BATTERY], "charge": [CHARGE], "least_charge": 70, "marker": "input_boolean.memory",
    "machines": ["input_boolean.storage", "input_boolean.core", "input_boolean.desk"], "stable": 300,
    "start": did("{{ machine | replace('input_boolean.', '') }}"), "finished": did("all on"),
}  # fmt: skip
MARKED = machines("memory")
OUT = together(MARKED, power_fails(), reads(battery__charge=30), after(60))
_AGAIN = "automation/restart_when_charged"
RESTARTED = (
    Scenario(_AGAIN, OUTAGE, "in-order-when-charged", AGAIN,
             (OUT, power_returns(), after(600), reads(battery__charge=69), after(60), reads(battery__charge=70),
              after(120)), done=("storage", "core", "desk", "all on"),
             shows={"input_boolean.memory": "off", "input_boolean.desk": "on"}),
    Scenario(_AGAIN, OUTAGE, "charged-but-power-not-back-for-long", AGAIN,
             (OUT, power_returns(), reads(battery__charge=90), after(270)), shows={"input_boolean.memory": "on"}),
    Scenario(_AGAIN, OUTAGE, "once", AGAIN,
             (OUT, power_returns(), reads(battery__charge=90), after(600),
              somebody_switches("input_boolean.desk", False), after(1200)), done=("storage", "core", "desk", "all on"),
             shows={"input_boolean.desk": "off"}),
    Scenario(_AGAIN, OUTAGE, "nothing-was-shut-down", AGAIN,
             (power_fails(), after(60), power_returns(), after(900))),
    Scenario(_AGAIN, OUTAGE, "runtime-too", AGAIN | {"runtime": [RUNTIME], "least_runtime": 900},
             (OUT, reads(battery__runtime=899), power_returns(), reads(battery__charge=90), after(600))),
    Scenario(_AGAIN, FLAP, "waits-for-power-to-stay", AGAIN, (OUT, power_returns(), reads(battery__charge=90),
             flaps(4, 30, 240), after(40), after(120)), done=("storage", "core", "desk", "all on")),
    Scenario(_AGAIN, FLAP, "power-fails-between-two-machines", AGAIN,
             (OUT, power_returns(), reads(battery__charge=90), after(310), power_fails(), after(120)),
             done=("storage",), shows={"input_boolean.memory": "on", "input_boolean.core": "off"}),
    Scenario(_AGAIN, RESTART, "power-came-back-while-away", AGAIN,
             (OUT, restart_meanwhile(power_returns(), reads(battery__charge=90), away=400), after(120)),
             done=("storage", "core", "desk", "all on")),
    Scenario(_AGAIN, RESTART, "goes-on-where-it-was", AGAIN,
             (OUT, power_returns(), reads(battery__charge=90), after(310), restart(20), after(120)),
             done=("storage", "core", "desk", "all on")),
    Scenario(_AGAIN, STALE, "what-is-not-known-is-not-good-enough", AGAIN,
             (OUT, power_returns(), reads(battery__charge=None), after(900), line_is_lost(), reads(battery__charge=90),
              after(900)), shows={"input_boolean.memory": "on"}),
)  # fmt: skip

LIMIT = {
    "value": CHARGE, "direction": "below", "warning": 41, "alarm": 15, "warning_shown": "input_boolean.warning",
    "alarm_shown": "input_boolean.alarm", "warning_job": did("warning"), "warning_counter_job": did("warning over"),
    "alarm_job": did("alarm"), "alarm_counter_job": did("alarm over"),
}  # fmt: skip
_LIMIT = "automation/threshold"
THRESHOLDS = (
    Scenario(_LIMIT, OUTAGE, "down-and-up", LIMIT,
             (power_fails(), reads(battery__charge=41), reads(battery__charge=40), reads(battery__charge=14), power_returns(),
              reads(battery__charge=16), reads(battery__charge=17), reads(battery__charge=42),
              reads(battery__charge=43)), done=("warning", "alarm", "alarm over", "warning over")),
    Scenario(_LIMIT, OUTAGE, "at-once-to-the-bottom", LIMIT, (reads(battery__charge=5), reads(battery__charge=99)),
             done=("warning", "alarm", "alarm over", "warning over")),
    Scenario(_LIMIT, OUTAGE, "above", LIMIT | {"value": f"sensor.{UPS}_load", "direction": "above", "warning": 80, "alarm": 95},
             (reads(ups__load=80), reads(ups__load=81), reads(ups__load=96), reads(ups__load=94),
              reads(ups__load=93), reads(ups__load=77)), done=("warning", "alarm", "alarm over", "warning over")),
    Scenario(_LIMIT, FLAP, "wavers-within-the-hysteresis", LIMIT,
             (together(*[reads(battery__charge=40), reads(battery__charge=42)] * 5),), done=("warning",)),
    Scenario(_LIMIT, FLAP, "must-last", LIMIT | {"lasting": 30},
             (together(*[reads(battery__charge=40), after(20), reads(battery__charge=99), after(20)] * 3),
              reads(battery__charge=40), after(50)), done=("warning",)),
    Scenario(_LIMIT, RESTART, "not-twice", LIMIT, (reads(battery__charge=40), restart(), after(120)), done=("warning",),
             shows={"input_boolean.warning": "on"}),
    Scenario(_LIMIT, RESTART, "over-while-away", LIMIT,
             (reads(battery__charge=40), restart_meanwhile(reads(battery__charge=99)), after(60)),
             done=("warning", "warning over")),
    Scenario(_LIMIT, STALE, "changes-nothing", LIMIT,
             (reads(battery__charge=40), line_is_lost(), after(300), line_is_back(), after(60)), done=("warning",)),
    Scenario(_LIMIT, STALE, "not-known-is-not-zero", LIMIT, (reads(battery__charge=None), after(300))),
)  # fmt: skip

TWO = {
    "on_battery": [ON_BATTERY, ON_BATTERY_B], "needed": 1, "degraded_shown": "input_boolean.warning",
    "ordered_shown": "input_boolean.alarm", "order": did("shut down"), "withdraw": did("withdraw"),
    "degraded": did("one is missing"), "recovered": did("both are there"), "lasting": 60,
}  # fmt: skip
_TWO = "automation/redundancy"
REDUNDANCY = (
    Scenario(_TWO, OUTAGE, "one-is-missing", TWO, (power_fails(), after(900), power_returns()),
             done=("one is missing", "both are there")),
    Scenario(_TWO, OUTAGE, "both-are-missing", TWO, (BOTH_FAIL, after(50), after(30), after(600)),
             done=("one is missing", "shut down"), shows={"input_boolean.alarm": "on"}),
    Scenario(_TWO, OUTAGE, "one-comes-back-and-withdraws", TWO,
             (BOTH_FAIL, after(90), power_returns(UPS_B_ID), after(60), power_returns()),
             done=("one is missing", "shut down", "withdraw", "both are there"), shows={"input_boolean.alarm": "off"}),
    Scenario(_TWO, OUTAGE, "one-after-the-other-is-no-shutdown", TWO,
             (power_fails(), after(300), power_returns(), after(300), power_fails(UPS_B_ID), after(300)),
             done=("one is missing", "both are there", "one is missing")),
    Scenario(_TWO, FLAP, "short-is-no-shutdown", TWO,
             (power_fails(), after(10), together(*[power_fails(UPS_B_ID), after(50), power_returns(UPS_B_ID), after(20)] * 4)),
             done=("one is missing",)),
    Scenario(_TWO, RESTART, "ordered-once", TWO, (BOTH_FAIL, after(90), restart(), after(300)),
             done=("one is missing", "shut down")),
    Scenario(_TWO, RESTART, "withdrawn-after-it", TWO,
             (BOTH_FAIL, after(90), restart_meanwhile(power_returns()), after(60)),
             done=("one is missing", "shut down", "withdraw")),
    Scenario(_TWO, STALE, "silent-has-mains-unless-said-otherwise", TWO,
             (power_fails(), line_is_lost(UPS_B_ID), after(600)), done=("one is missing",)),
    Scenario(_TWO, STALE, "silent-is-lost-if-said", TWO | {"silent_is_lost": True},
             (power_fails(), line_is_lost(UPS_B_ID), after(120)), done=("one is missing", "shut down")),
    Scenario(_TWO, STALE, "silent-withdraws-nothing", TWO,
             (BOTH_FAIL, after(90), line_is_lost(UPS_B_ID), after(300)), done=("one is missing", "shut down")),
)  # fmt: skip

FAN = "input_boolean.fan"
COOL = {"temperatures": [f"sensor.{UPS}_temperature", "sensor.second_ups_temperature"], "relay": FAN,
        "switched": did("{{ wanted }}"), "least_time": 60}  # fmt: skip
_COOL = "automation/climate_relay"
CLIMATE = (
    Scenario(_COOL, OUTAGE, "stays-on-until-it-is-cool", COOL,
             (after(60), reads(ups__temperature=29), after(120), reads(ups__temperature=26), after(300),
              reads(ups__temperature=23), after(300), reads(UPS_B_ID, ups__temperature=23.5), after(60)),
             done=("on", "off"), shows={FAN: "off"}),
    Scenario(_COOL, OUTAGE, "warmest-decides", COOL, (after(60), reads(UPS_B_ID, ups__temperature=30), after(60)),
             done=("on",), shows={FAN: "on"}),
    Scenario(_COOL, FLAP, "compressor-is-spared", COOL,
             (after(60), together(*[reads(ups__temperature=30), reads(UPS_B_ID, ups__temperature=20), after(10),
              reads(ups__temperature=20), after(10)] * 6)), done=("on", "off")),
    Scenario(_COOL, RESTART, "too-warm-since-it-was-away", COOL,
             (restart_meanwhile(reads(ups__temperature=30)), after(120)), done=("on",), shows={FAN: "on"}),
    Scenario(_COOL, RESTART, "stays-on", COOL, (after(60), reads(ups__temperature=30), restart(),
             reads(ups__temperature=26), after(300)), done=("on",), shows={FAN: "on"}),
    Scenario(_COOL, STALE, "blind-is-on", COOL, (line_is_lost(), line_is_lost(UPS_B_ID), after(540), after(120)),
             done=("on",), shows={FAN: "on"}),
    Scenario(_COOL, STALE, "one-is-enough", COOL, (line_is_lost(), after(1200))),
)  # fmt: skip

SIREN = "input_boolean.siren"
SILENCED = "input_boolean.acknowledged"
MARKER = {"inputs": [f"binary_sensor.{UPS}_fault", f"binary_sensor.{UPS}_overload"], "siren": SIREN,
          "silenced": SILENCED}  # fmt: skip
_MARKER = "automation/marker_siren"
FAULT = begins("general_fault")
MARKERS = (
    Scenario(_MARKER, OUTAGE, "sounds-while-it-is-set", MARKER, (FAULT, after(30)), shows={SIREN: "on"}),
    Scenario(_MARKER, OUTAGE, "stops-when-it-is-clear", MARKER, (FAULT, after(30), ends("general_fault"), after(10)),
             shows={SIREN: "off", SILENCED: "off"}),
    Scenario(_MARKER, OUTAGE, "all-of-them", MARKER | {"logic": "all"}, (FAULT, after(30)), shows={SIREN: "off"}),
    Scenario(_MARKER, OUTAGE, "all-of-them-are-there", MARKER | {"logic": "all"}, (FAULT, begins("overload"), after(30)),
             shows={SIREN: "on"}),
    Scenario(_MARKER, OUTAGE, "can-be-silenced", MARKER,
             (FAULT, after(20), somebody_switches(SILENCED, True), after(60)), shows={SIREN: "off", SILENCED: "on"}),
    Scenario(_MARKER, OUTAGE, "another-sounds-again", MARKER,
             (FAULT, after(20), somebody_switches(SILENCED, True), after(60), begins("overload"), after(20)),
             shows={SIREN: "on", SILENCED: "off"}),
    Scenario(_MARKER, OUTAGE, "not-for-ever", MARKER | {"longest": 120}, (FAULT, after(140), after(300)),
             shows={SIREN: "off", SILENCED: "on"}),
    Scenario(_MARKER, FLAP, "heard-even-if-short", MARKER, (FAULT, ends("general_fault"), after(5)), shows={SIREN: "on"}),
    Scenario(_MARKER, FLAP, "quiet-in-the-end", MARKER, (together(*[FAULT, ends("general_fault"), after(1, 1)] * 5), after(30)),
             shows={SIREN: "off"}),
    Scenario(_MARKER, RESTART, "sounds-on", MARKER, (FAULT, after(20), restart(), after(20)), shows={SIREN: "on"}),
    Scenario(_MARKER, RESTART, "stays-silenced", MARKER,
             (FAULT, after(20), somebody_switches(SILENCED, True), restart(), after(60)), shows={SIREN: "off"}),
    Scenario(_MARKER, RESTART, "over-while-away", MARKER, (FAULT, after(20), restart_meanwhile(ends("general_fault")), after(20)),
             shows={SIREN: "off"}),
    Scenario(_MARKER, STALE, "not-known-changes-nothing", MARKER, (FAULT, after(20), line_is_lost(), after(300)),
             shows={SIREN: "on"}),
    Scenario(_MARKER, STALE, "not-known-sets-nothing", MARKER, (line_is_lost(), after(60), line_is_back(), after(60)),
             shows={SIREN: "off"}),
)  # fmt: skip

SHED = {
    "overload": f"binary_sensor.{UPS}_overload", "load": f"sensor.{UPS}_load",
    "outlets": ["switch.rack_ups_outlet_1", "input_boolean.desk", "input_boolean.lab"],
    "shed": did("{{ outlet }} at {{ load | round }}"),
}  # fmt: skip
LOADS = machines("desk", "lab")
_SHED = "automation/overload_shedding"
SHEDDING = (
    Scenario(_SHED, OUTAGE, "one-after-the-other-until-it-is-enough", SHED,
             (LOADS, reads(ups__load=110), begins("overload"), after(5, 5), after(10, 5), reads(ups__load=90), ends("overload"), after(120)),
             done=("switch.rack_ups_outlet_1 at 110", "input_boolean.desk at 110"), ordered=("Outlet 1: outlet.off",),
             shows={"input_boolean.desk": "off", "input_boolean.lab": "on"}),
    Scenario(_SHED, OUTAGE, "by-the-load-alone", SHED, (LOADS, reads(ups__load=96), after(5, 5), reads(ups__load=50), after(60)),
             done=("switch.rack_ups_outlet_1 at 96",), ordered=("Outlet 1: outlet.off",)),
    Scenario(_SHED, FLAP, "short-is-none", SHED, (LOADS, together(*[begins("overload"), after(3, 1), ends("overload"), after(3, 1)] * 4)),
             shows={"input_boolean.desk": "on"}),
    Scenario(_SHED, RESTART, "goes-on", SHED,
             (LOADS, restart_meanwhile(reads(ups__load=110), begins("overload")), after(5, 5), reads(ups__load=50),
              ends("overload"), after(60)), done=("switch.rack_ups_outlet_1 at 110",), ordered=("Outlet 1: outlet.off",)),
    Scenario(_SHED, STALE, "no-further-when-nothing-is-known", SHED,
             (LOADS, reads(ups__load=110), begins("overload"), after(5, 5), line_is_lost(), after(120)),
             done=("switch.rack_ups_outlet_1 at 110",), ordered=("Outlet 1: outlet.off",), shows={"input_boolean.desk": "on"}),
    Scenario(_SHED, LIMITS, "an-outlet-that-is-off-is-passed-over", SHED,
             (LOADS, reads(ups__load=50), reads(OUTLET_ID), ends("outlet_on", OUTLET_ID), begins("overload"), after(5, 5),
              ends("overload"), after(60)), done=("input_boolean.desk at 50",)),
)  # fmt: skip

HOT = begins("thermal_runaway", BATTERY_ID)
COLD = ends("thermal_runaway", BATTERY_ID)
FIRE = {
    "alarms": ["binary_sensor.battery_room_thermal_runaway"], "cut_off": ["input_boolean.core"], "ventilate": [FAN],
    "acknowledged": SILENCED, "tell": did("{{ hot }}"), "every": 60,
}  # fmt: skip
CHARGER = machines("core")
TOLD = "Battery room Thermal runaway"
CUT = {"input_boolean.core": "off", FAN: "on"}
_FIRE = "automation/thermal_runaway"
FIRES = (
    Scenario(_FIRE, OUTAGE, "at-once-and-told-again", FIRE, (CHARGER, HOT, after(130)), done=(TOLD,) * 3, shows=CUT),
    Scenario(_FIRE, OUTAGE, "until-acknowledged", FIRE,
             (CHARGER, HOT, after(10), somebody_switches(SILENCED, True), after(600)), done=(TOLD,), shows=CUT),
    Scenario(_FIRE, OUTAGE, "nothing-is-switched-back", FIRE,
             (CHARGER, HOT, somebody_switches(SILENCED, True), COLD, after(600)), done=(TOLD,),
             shows=CUT | {SILENCED: "off"}),
    Scenario(_FIRE, OUTAGE, "switched-back-while-hot-is-cut-again", FIRE,
             (CHARGER, HOT, somebody_switches(SILENCED, True), somebody_switches("input_boolean.core", True), after(20)),
             done=(TOLD,), shows=CUT),
    Scenario(_FIRE, FLAP, "cut-off-once", FIRE, (CHARGER, together(*[HOT, COLD, after(1, 1)] * 3), after(60)),
             done=(TOLD,), shows=CUT),
    Scenario(_FIRE, RESTART, "began-while-away", FIRE, (CHARGER, restart_meanwhile(HOT)), done=(TOLD,), shows=CUT),
    Scenario(_FIRE, RESTART, "still-hot", FIRE, (CHARGER, HOT, restart(30), after(20), after(20)), done=(TOLD, TOLD), shows=CUT),
    Scenario(_FIRE, STALE, "burnt-sensor-ends-nothing", FIRE,
             (CHARGER, HOT, somebody_switches(SILENCED, True), line_is_lost(BATTERY_ID), after(600)), done=(TOLD,),
             shows=CUT | {SILENCED: "on"}),
    Scenario(_FIRE, STALE, "not-known-is-no-alarm", FIRE, (CHARGER, line_is_lost(BATTERY_ID), after(600)),
             shows={"input_boolean.core": "on", FAN: "off"}),
)  # fmt: skip

# The first of December is a Tuesday; 10:00 UTC is 2:00 in the house.
DAYS = 7 * 86400
UNTIL_TEST = together(after(6 * 86400, 7200), after(20 * 3600, 3600))
TEST = {
    "button": f"button.{UPS}_battery_test", "events": EVENTS, "result": f"sensor.{UPS}_test_state",
    "on_battery": ON_BATTERY, "charge": CHARGE, "tell": did("{{ outcome }}"), "failed": did("call somebody"),
    "at": "02:00:00",
}  # fmt: skip
TESTS = together(reads(ups__test__state="in_progress"), begins("test_in_progress"), after(60))


def tested(result: str) -> Act:
    return together(reads(ups__test__state=result), ends("test_in_progress"), after(10))


ASKED = ("Rack UPS: test.battery.start.quick",)
_TEST = "automation/battery_test"
BATTERY_TESTS = (
    Scenario(_TEST, OUTAGE, "on-its-day-and-told", TEST, (UNTIL_TEST, after(4 * 3600, 3600), TESTS, tested("passed"), after(DAYS, 14400)),
             done=("passed",), ordered=ASKED),
    Scenario(_TEST, OUTAGE, "failed", TEST, (TESTS, tested("failed")), done=("failed", "call somebody")),
    Scenario(_TEST, OUTAGE, "not-on-battery", TEST, (UNTIL_TEST, power_fails(), after(4 * 3600, 3600)), done=("skipped",)),
    Scenario(_TEST, OUTAGE, "not-with-a-battery-that-is-low", TEST, (UNTIL_TEST, reads(battery__charge=60), after(4 * 3600, 3600)),
             done=("skipped",)),
    Scenario(_TEST, OUTAGE, "did-not-begin", TEST, (UNTIL_TEST, after(4 * 3600, 3600), after(120)), done=("not_started",), ordered=ASKED),
    Scenario(_TEST, FLAP, "power-flaps-before-it", TEST, (UNTIL_TEST, flaps(3, 10, 10), after(4 * 3600, 3600), TESTS, tested("aborted")),
             done=("aborted",), ordered=ASKED),
    Scenario(_TEST, RESTART, "ended-while-away", TEST,
             (TESTS, restart_meanwhile(reads(ups__test__state="passed"), ends("test_in_progress")), after(60), restart(),
              after(60)), done=("passed",)),
    Scenario(_TEST, RESTART, "missed-and-left-out", TEST, (UNTIL_TEST, restart(4.5 * 3600), after(3600, 300))),
    Scenario(_TEST, RESTART, "missed-and-done-late", TEST | {"late": 2},
             (UNTIL_TEST, restart(4.5 * 3600 + 30), after(270, 30), TESTS, tested("passed"), after(3600, 300)), done=("passed",), ordered=ASKED),
    Scenario(_TEST, STALE, "nothing-is-known", TEST, (UNTIL_TEST, line_is_lost(), after(4 * 3600, 3600)), done=("skipped",)),
)  # fmt: skip

DRILL = {
    "button": "button.night_plan_drill", "events": "event.night_plan_events", "plan_state": "sensor.night_plan_state",
    "result": "sensor.night_plan_result_of_the_last_drill", "on_battery": [ON_BATTERY, ON_BATTERY_B], "day": 1, "at": "02:00:00",
    "tell": did("{{ outcome }}"), "announce": did("announced"),
}  # fmt: skip
DRILLS = together(reads(PLAN_ID, plan__state="drill"), begins("plan_drilling", PLAN_ID), after(60))
DRILLED = together(
    reads(PLAN_ID, plan__state="idle", plan__drill__result="passed"), ends("plan_drilling", PLAN_ID), after(10)
)
DRILL_ASKED = ("Night plan: plan.drill",)
_DRILL = "automation/monthly_drill"
MONTHLY = (
    Scenario(_DRILL, OUTAGE, "on-its-day-and-told", DRILL, (UNTIL_TEST, after(4 * 3600, 3600), DRILLS, DRILLED, after(DAYS, 14400)),
             done=("announced", "passed"), ordered=DRILL_ASKED),
    Scenario(_DRILL, OUTAGE, "not-on-battery", DRILL, (UNTIL_TEST, power_fails(UPS_B_ID), after(4 * 3600, 3600)), done=("skipped",)),
    Scenario(_DRILL, OUTAGE, "not-while-it-runs", DRILL, (UNTIL_TEST, reads(PLAN_ID, plan__state="waiting"), after(4 * 3600, 3600)),
             done=("skipped",)),
    Scenario(_DRILL, OUTAGE, "did-not-begin", DRILL, (UNTIL_TEST, after(4 * 3600, 3600), after(120)),
             done=("announced", "not_started"), ordered=DRILL_ASKED),
    Scenario(_DRILL, FLAP, "power-flaps-before-it", DRILL, (UNTIL_TEST, flaps(3, 10, 10), after(4 * 3600, 3600), DRILLS, DRILLED),
             done=("announced", "passed"), ordered=DRILL_ASKED),
    Scenario(_DRILL, RESTART, "ended-while-away", DRILL,
             (DRILLS, restart_meanwhile(reads(PLAN_ID, plan__state="idle"), ends("plan_drilling", PLAN_ID)), after(60), restart(),
              after(60)), done=("passed",)),
    Scenario(_DRILL, RESTART, "missed-and-left-out", DRILL, (UNTIL_TEST, restart(4.5 * 3600), after(3600, 300))),
    Scenario(_DRILL, RESTART, "missed-and-done-late", DRILL | {"late": 2},
             (UNTIL_TEST, restart(4.5 * 3600 + 30), after(270, 30), DRILLS, DRILLED, after(3600, 300)), done=("announced", "passed"),
             ordered=DRILL_ASKED),
    Scenario(_DRILL, STALE, "nothing-is-known", DRILL, (UNTIL_TEST, line_is_lost(PLAN_ID), after(4 * 3600, 3600)), done=("skipped",)),
)  # fmt: skip

GOING = {"machines": ["input_boolean.desk", "input_boolean.storage"], "on_battery": [ON_BATTERY], "pause": 10,
         "before": did("{{ going | length }} go"), "left_on": did("left {{ left }}")}  # fmt: skip
GO = together(machines("desk", "storage"), power_fails())
_GOING = "script/shutdown_machines"
GOERS = (
    Scenario(_GOING, OUTAGE, "in-order", GOING, (GO, runs("shutdown_machines"), after(5, 5)), done=("2 go",),
             shows={"input_boolean.desk": "off", "input_boolean.storage": "on"}),
    Scenario(_GOING, OUTAGE, "to-the-end", GOING, (GO, runs("shutdown_machines"), after(30)), done=("2 go",),
             shows={"input_boolean.desk": "off", "input_boolean.storage": "off"}),
    Scenario(_GOING, OUTAGE, "comes-on-again", GOING | {"patience": 60, "pause": 20},
             (GO, runs("shutdown_machines"), somebody_switches("input_boolean.desk", True), after(120)),
             done=("2 go", "left ['input_boolean.desk']")),
    Scenario(_GOING, FLAP, "power-returns-in-between", GOING, (GO, runs("shutdown_machines"), power_returns(), after(60)),
             done=("2 go",), shows={"input_boolean.desk": "off", "input_boolean.storage": "on"}),
    Scenario(_GOING, RESTART, "asked-again-it-does-the-rest", GOING,
             (GO, runs("shutdown_machines"), restart(), runs("shutdown_machines"), after(30)), done=("2 go", "1 go"),
             shows={"input_boolean.storage": "off"}),
    Scenario(_GOING, STALE, "silent-is-no-return-of-power", GOING,
             (GO, runs("shutdown_machines"), line_is_lost(), after(30)), done=("2 go",),
             shows={"input_boolean.storage": "off"}),
)  # fmt: skip

COMING = {"machines": ["input_boolean.storage", "input_boolean.desk"], "on_battery": [ON_BATTERY], "pause": 30,
          "stopped": did("left {{ left }}")}  # fmt: skip
_COMING = "script/start_machines"
COMERS = (
    Scenario(_COMING, OUTAGE, "in-order", COMING, (runs("start_machines"), after(20), after(20)),
             shows={"input_boolean.storage": "on", "input_boolean.desk": "on"}),
    Scenario(_COMING, OUTAGE, "not-on-battery", COMING, (power_fails(), runs("start_machines"), after(60)),
             done=("left ['input_boolean.storage', 'input_boolean.desk']",), shows={"input_boolean.storage": "off"}),
    Scenario(_COMING, FLAP, "power-fails-in-between", COMING, (runs("start_machines"), after(10), power_fails(), after(60)),
             done=("left ['input_boolean.desk']",), shows={"input_boolean.storage": "on", "input_boolean.desk": "off"}),
    Scenario(_COMING, RESTART, "asked-again-it-does-the-rest", COMING,
             (runs("start_machines"), restart(), runs("start_machines"), after(30)),
             shows={"input_boolean.storage": "on", "input_boolean.desk": "on"}),
    Scenario(_COMING, STALE, "not-when-nothing-is-known", COMING, (line_is_lost(), runs("start_machines"), after(60)),
             done=("left ['input_boolean.storage', 'input_boolean.desk']",), shows={"input_boolean.desk": "off"}),
)  # fmt: skip

REPORT = {"values": [ON_BATTERY, CHARGE], "recipients": SOMEBODY, "also": did("{{ report | length > 10 }}")}
SEND = runs("status_report")
_REPORT = "script/status_report"
REPORTS = (
    Scenario(_REPORT, OUTAGE, "values", REPORT, (power_fails(), SEND), done=("True",),
             told=("Power status: Rack UPS On battery: on\nRack UPS Battery charge: 100 %",)),
    Scenario(_REPORT, FLAP, "as-it-is-now", REPORT, (flaps(3, 1, 1), SEND), done=("True",),
             told=("Power status: Rack UPS On battery: off\nRack UPS Battery charge: 100 %",)),
    Scenario(_REPORT, RESTART, "after-it", REPORT, (restart(), SEND), done=("True",),
             told=("Power status: Rack UPS On battery: off\nRack UPS Battery charge: 100 %",)),
    Scenario(_REPORT, STALE, "not-available", REPORT, (line_is_lost(), SEND), done=("True",),
             told=("Power status: Rack UPS On battery: n/a\nRack UPS Battery charge: n/a",)),
)  # fmt: skip

SCENARIOS: tuple[Scenario, ...] = (
    *AT_ONCE, *NOTICES, *AFTER_DELAY, *REPEATED, *ON_BATTERY_FOR, *AT_RUNTIME, *STAGED, *RESTARTED, *THRESHOLDS,
    *REDUNDANCY, *CLIMATE, *MARKERS, *SHEDDING, *FIRES, *BATTERY_TESTS, *MONTHLY, *GOERS, *COMERS, *REPORTS,
)  # fmt: skip
