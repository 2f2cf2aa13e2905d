r"""The questions of Voltronic's protocols and how their answers are cut up: rows, no code.

Facts: NUT nutdrv_qx (voltronic, voltronic-qs, voltronic-qs-hex). What a model does not know it answers with (NAK.
"""

import re

from .table import QS, F, Layout, Listed, Name, Number, Query, Text, Yes

_WORD = r"[-+\w.@*?#]{1,8}"
_NUMBER = r"([-\d.]{2,7})"


def _shape(*words: str) -> re.Pattern[str]:
    return re.compile(r"\s*" + r"\s+".join(words) + r"\s*")


# > QGS\r
# < (234.9 50.0 229.8 50.0 000.0 00A 369.1 ---.- 026.5 ---.- 018.8 100000000001\r
#    0     1    2     3    4     5   6     7     8     9     10    11: type (00 offline, 01 line-interactive, 10 online),
#    power failure, low, bypass or boost, fault, ?, test, shutdown, beeper off, ?, ?   (a model without them sends -)
QGS = Query(
    "QGS",
    "(",
    _shape(*[_WORD] * 11, "[-01]{12}"),
    (
        Number("input.voltage", word=0, low=0, high=999.9),
        Number("input.frequency", word=1, low=0, high=450),
        Number("output.voltage", word=2, low=0, high=999.9),
        Number("output.frequency", word=3, low=0, high=450),
        Number("output.current", word=4, low=0, high=9999),
        Number("ups.load", word=5, low=0, high=300),
        Number("battery.voltage", word=8, low=0, high=1000),
        Number("ups.temperature", word=10, low=-40, high=120),
    ),
    bits=11,
    layout=Layout(
        2,
        3,
        4,
        5,
        7,
        8,
        9,
        True,
        slice(0, 2),
        {"00": "offline", "01": "line-interactive", "10": "online", "--": "online"},
    ),
)

# > QRI\r
# < (230.0 004 024.0 50.0\r
QRI = Query(
    "QRI",
    "(",
    _shape(*[_NUMBER] * 4),
    (
        Number("output.voltage.nominal", word=0, low=0, high=999.9, zero=False),
        Number("output.current.nominal", word=1, low=0, high=9999, zero=False),
        Number("battery.voltage.nominal", word=2, low=0, high=1000, zero=False),
        Number("output.frequency.nominal", word=3, low=0, high=450, zero=False),
    ),
)

# > QMD\r
# < (#######OLHVT1K0 ###1000 80 2/2 230 230 02 12.0\r     blanks may stand for the hashes
QMD = Query(
    "QMD",
    "(",
    re.compile(r"(.{15}) ([# \d]{7}) (\d\d) (\d)/(\d) (\d{3}) (\d{3}) (\d\d) ([\d.]{4})\s*"),
    (
        Number("ups.power.nominal", word=1, low=0, high=9999999, zero=False),
        Number("output.powerfactor", word=2, low=0, high=100, scale=0.01, zero=False),
        Number("input.phases", word=3, low=1, high=3),
        Number("output.phases", word=4, low=1, high=3),
        Number("input.voltage.nominal", word=5, low=0, high=999, zero=False),
    ),
    texts=(Text("model", word=0),),
)

# > QMF\r
# < (#####VOLTRONIC\r
QMF = Query(
    "QMF",
    "(",
    re.compile(r"([# ]*(?!NAK|ACK|PI\d\d)[A-Za-z][\w .&/-]+)"),
    texts=(Text("manufacturer", word=0),),
)

# > QVFW\r
# < (VERFW:00322.02\r
QVFW = Query("QVFW", "(", re.compile(r"VERFW:(\S{1,20})\s*"), texts=(Text("firmware", word=0),))

# > QID\r
# < (685653211455\r     zeros only: it has none
QID = Query("QID", "(", re.compile(r"(?!0+\s*$)(\w{5,32})\s*"), texts=(Text("serial", word=0),))

# > QMOD\r
# < (S\r     power on, standby, bYpass, line, battery, test, fault, eco, converter, shutDown
QMOD = Query("QMOD", "(", re.compile("([PSYLBTFECD])"), yes=(Yes("eco_mode", word=0, yes="E"),))

# > QWS\r
# < (0000000000000000000000000000000000000000000000000000000001000001\r
#    0         10        20        30        40        50        60
_WARNINGS = {
    0: "battery_disconnected",
    3: "phase_sequence_bad",
    8: "overload",
    9: "fan_failure",
    10: "emergency_off",
    12: "temperature_bad",
    13: "charger_failed",
    55: "battery_bad",
}
# Low battery (7) is told by QGS, too, and only there; 15 to 17 are the fuses of the three phases.
QWS = Query(
    "QWS",
    "(",
    # All of them, then those of the fuses once more.
    re.compile(r"(?=([01]{64})\s*$)[01]{15}([01]{3})[01]{46}\s*"),
    yes=(
        *(Yes(condition, word=0, yes="1", at=position) for position, condition in _WARNINGS.items()),
        Yes("fuse_failure", word=1, yes="1"),
    ),
)

# > QBV\r
# < (026.5 02 01 068 255\r     volts, batteries in a pack, packs, charge, minutes left (of any length)
QBV = Query(
    "QBV",
    "(",
    _shape(_NUMBER, r"(\d\d)", r"(\d\d)", r"(\d{3})", r"(\d{3,5})"),
    (
        Number("battery.packs", word=2, low=0, high=99, zero=False),
        Number("battery.charge", word=3, low=0, high=100),
        Number("battery.runtime", word=4, low=0, high=99999, scale=60),
    ),
)

# > QLDL\r
# < (005 080\r
QLDL = Query(
    "QLDL",
    "(",
    _shape(r"(\d{3})", r"(\d{3})"),
    (
        Number("output.power.minimum.percent", word=0, low=0, high=300),
        Number("output.power.maximum.percent", word=1, low=0, high=300),
    ),
)

# > QFLAG\r
# < (EpashcjDbroegfl\r     after E what is enabled, after D what is disabled; what it does not have is missing
QFLAG = Query(
    "QFLAG",
    "(",
    re.compile(r"E([a-z]*)D([a-z]*)"),
    listed=(
        Listed("ups.start.auto", "r"),
        Listed("ups.start.battery", "c"),
        Listed("battery.protection", "s"),
        Listed("battery.energysave", "g"),
    ),
)

# > QHE\r
# < (242 218\r     limits of the eco mode; QBYV: of the bypass
QHE = Query(
    "QHE",
    "(",
    _shape(r"(\d{3})", r"(\d{3})"),
    (
        Number("input.transfer.eco.high", word=0, low=0, high=999, zero=False),
        Number("input.transfer.eco.low", word=1, low=0, high=999, zero=False),
    ),
)
QBYV = Query(
    "QBYV",
    "(",
    _shape(r"(\d{3})", r"(\d{3})"),
    (
        Number("input.transfer.bypass.high", word=0, low=0, high=999, zero=False),
        Number("input.transfer.bypass.low", word=1, low=0, high=999, zero=False),
    ),
)

# > QFRE\r
# < (50.0 00.0\r     limits of the eco mode
QFRE = Query(
    "QFRE",
    "(",
    _shape(r"(\d\d\.\d)", r"(\d\d\.\d)"),
    (
        Number("input.frequency.high", word=0, low=0, high=99.9, zero=False),
        Number("input.frequency.low", word=1, low=0, high=99.9, zero=False),
    ),
)

# > RE0\r
# < #20\r
RE0 = Query("RE0", "#", _shape(r"(\d\d)"), (Number("battery.voltage.low", word=0, low=0, high=99, zero=False),))

# > QBT\r
# < (01\r
QBT = Query(
    "QBT",
    "(",
    re.compile(r"(0[012])"),
    names=(Name("battery.type", 0, {"00": "Li", "01": "Flooded", "02": "AGM"}),),
)


def _phases(command: str, word: str, high: float, *points: str) -> Query:
    numbers = tuple(Number(point, position, low=0, high=high) for position, point in enumerate(points))
    return Query(command, "(", _shape(*[word] * len(points)), numbers)


def _voltages(command: str, side: str) -> Query:
    lines = ("L1", "L2", "L3", "L1-L2", "L2-L3", "L3-L1")
    return _phases(command, r"(\d{3}\.\d)", 999.9, *(f"{side}.{line}.voltage" for line in lines))


_LINES = ("L1", "L2", "L3")

# > Q3PV\r
# < (123.4 456.4 789.4 012.4 323.4 223.4\r     L1, L2, L3, L1-L2, L2-L3, L1-L3; Q3OV of the output, Q3YV of the bypass
Q3PV = _voltages("Q3PV", "input")
Q3OV = _voltages("Q3OV", "output")
Q3YV = _voltages("Q3YV", "input.bypass")
# > Q3LD\r
# < (005 033 089\r
Q3PC = _phases("Q3PC", r"(\d{3})", 999, *(f"input.{line}.current" for line in _LINES))
Q3OC = _phases("Q3OC", r"(\d{3})", 999, *(f"output.{line}.current" for line in _LINES))
Q3LD = _phases("Q3LD", r"(\d{3})", 300, *(f"output.{line}.power.percent" for line in _LINES))

# > QSK1\r
# < (1\r     on; (NAK when the outlet cannot be switched
# > QSKT1\r
# < (008\r     minutes on battery after which it is switched off
OUTLETS = tuple(
    Query(f"QSK{number}", "(", re.compile("([01])"), yes=(Yes("outlet_on", word=0, yes="1"),), outlet=number)
    for number in "1234"
)
OUTLET_DELAYS = tuple(
    Query(
        f"QSKT{number}",
        "(",
        re.compile(r"(\d{3})"),
        (Number("outlet.delay.shutdown", word=0, low=0, high=999, scale=60),),
        outlet=number,
        after=f"QSK{number}",
    )
    for number in "1234"
)

# > QS\r     the same answer as Q1's, but the frequency is that of the output
QS_VOLTRONIC = Query(
    "QS",
    QS.start,
    QS.shape,
    tuple(
        Number("output.frequency", row.word, row.low, row.high) if row.point == "input.frequency" else row
        for row in QS.numbers
    ),
    bits=QS.bits,
)
F_VOLTRONIC = Query(
    "F",
    F.start,
    F.shape,
    (
        Number("output.voltage.nominal", word=0, low=0, high=999.9, zero=False),
        Number("output.current.nominal", word=1, low=0, high=9999, zero=False),
        Number("battery.voltage.nominal", word=2, low=0, high=1000, zero=False),
        Number("output.frequency.nominal", word=3, low=0, high=450, zero=False),
    ),
)

# > QI\r
# < (100 00979 50.0 000.3 177 290 0 0000010000112000\r
QI = Query(
    "QI",
    "(",
    _shape(r"(\d{3})", r"(\d{5})", r"(\d\d\.\d)", r"(\d{3}\.\d)", r"(\d{3})", r"(\d{3})", r"\S", r"\S{16}"),
    (
        Number("battery.charge", word=0, low=0, high=100),
        Number("battery.runtime", word=1, low=0, high=99999),
        Number("input.frequency", word=2, low=0, high=99.9),
        Number("output.current", word=3, low=0, high=999.9),
        Number("input.transfer.low", word=4, low=0, high=999, zero=False),
        Number("input.transfer.high", word=5, low=0, high=999, zero=False),
    ),
)

# > QS\r
# < bytes; see `binary`, which makes of them:
#   #112.2 112.2 3 59.8 13.53 00001001
#    0     1     2 3    4     5        6: ratings, of protocol T
QS_HEX = Query(
    "QS",
    "#",
    re.compile(r"([\d.]+) ([\d.]+) (\d+) ([\d.]+) ([\d.]+) ([01]{8})(?: ([01])([01]{2})[01]{2}([01]{3}))?"),
    (
        Number("input.voltage", word=0, low=0, high=999.9),
        Number("output.voltage", word=1, low=0, high=999.9),
        Number("ups.load", word=2, low=0, high=300),
        Number("output.frequency", word=3, low=0, high=99.9),
        Number("battery.voltage", word=4, low=0, high=1000),
        Number("output.frequency.nominal", word=6, low=0, high=1, values={"0": 50, "1": 60}),
        Number("battery.voltage.nominal", word=7, low=0, high=3, values={"00": 12, "01": 24, "10": 36, "11": 48}),
        Number(
            "output.voltage.nominal",
            word=8,
            low=0,
            high=7,
            values={"000": 110, "001": 120, "010": 220, "011": 230, "100": 240},
        ),
    ),
    bits=5,
    hexadecimal=True,
)

__all__ = [
    "F_VOLTRONIC",
    "OUTLETS",
    "OUTLET_DELAYS",
    "Q3LD",
    "Q3OC",
    "Q3OV",
    "Q3PC",
    "Q3PV",
    "Q3YV",
    "QBT",
    "QBV",
    "QBYV",
    "QFLAG",
    "QFRE",
    "QGS",
    "QHE",
    "QI",
    "QID",
    "QLDL",
    "QMD",
    "QMF",
    "QMOD",
    "QRI",
    "QS_HEX",
    "QS_VOLTRONIC",
    "QVFW",
    "QWS",
    "RE0",
]
