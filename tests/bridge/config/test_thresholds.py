"""Thresholds in the configuration file: the point must exist and be a number, the limits must agree."""

from pathlib import Path

import pytest

from ridethrough.config import ConfigError, Limits, load
from ridethrough.config.thresholds import numeric_points

UPS = "ups:\n- id: a\n  link: x\n  thresholds:\n"
SWITCH = "transfer_switches:\n- id: a\n  link: x\n  thresholds:\n"


def told(folder: Path, text: str) -> tuple[int, str]:
    """Return line and message of the one problem."""
    file = folder / "bridge.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(file)
    (problem,) = caught.value.problems
    return problem.line, problem.message


@pytest.mark.parametrize(
    ("threshold", "words"),
    [
        ("{point: battery.charg, below: {alarm: 5}}", "no point 'battery.charg'; did you mean battery.charge"),
        ("{point: input.L1.volts, below: {alarm: 5}}", "input.L1.voltage"),
        ("{point: zzz, below: {alarm: 5}}", "no point 'zzz'; CATALOGUE.md lists"),
        ("{point: ups.mode, below: {alarm: 5}}", "ups.mode is no number"),
        ("{point: ups.start.auto, below: {alarm: 5}}", "ups.start.auto is no number"),
        ("{point: battery.date, above: {alarm: 5}}", "battery.date is no number"),
        ("{point: battery.charge, below: {warning: 61, alarm: 71}}", "must be 61, the warning's limit, or lower"),
        ("{point: ups.load, above: {warning: 90, alarm: 80}}", "must be 90, the warning's limit, or higher"),
        ("{point: ups.temperature, outside: {warning: [10, 34], alarm: [11, 39]}}", "must be 10, the warning's limit"),
        ("{point: ups.temperature, outside: {warning: [10, 34], alarm: [5, 33]}}", "must be 34, the warning's limit"),
        ("{point: ups.temperature, outside: {warning: [10, 34]}, hysteresis: 13}", "could never end"),
        ("{point: battery.charge, below: {warning: 71}, hysteresis: 50}", "could never end"),
        ("{point: battery.runtime, above: {warning: 71}, hysteresis: 72}", "could never end"),
    ],
)
def test_threshold_that_cannot_be_meant_is_told_with_its_line(tmp_path: Path, threshold: str, words: str) -> None:
    line, message = told(tmp_path, f"{UPS}  - {{point: ups.power, above: {{warning: 80}}}}\n  - {threshold}\n")
    assert line == 6
    assert words in message
    assert message.startswith("ups.thresholds.")


def test_point_must_be_one_of_that_kind_of_device(tmp_path: Path) -> None:
    message = told(tmp_path, f"{SWITCH}  - {{point: battery.charge, below: {{alarm: 5}}}}\n")[1]
    assert "a Transfer switch has no point 'battery.charge'" in message


def test_all_wrong_thresholds_are_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "bridge.yaml"
    file.write_text(f"{UPS}  - {{point: x1, below: {{alarm: 5}}}}\n  - {{point: x2, below: {{alarm: 5}}}}\n")
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert [problem.line for problem in caught.value.problems] == [5, 6]


@pytest.mark.parametrize(
    ("threshold", "warning", "alarm"),
    [
        ("{point: ups.temperature, outside: {warning: [10, 34], alarm: [5, 39]}, hysteresis: 12}", (10, 34), (5, 39)),
        ("{point: input.L2.voltage, below: {warning: 200, alarm: 200}}", (200, None), (200, None)),
        ("{point: battery.symmetry, above: {warning: 3, alarm: 5}}", (None, 3), (None, 5)),
        ("{point: battery.runtime.elapsed, above: {warning: 5}}", (None, 5), None),
    ],
)
def test_thresholds_of_the_manual_are_taken(
    tmp_path: Path,
    threshold: str,
    warning: tuple[float | None, float | None] | None,
    alarm: tuple[float | None, float | None] | None,
) -> None:
    file = tmp_path / "bridge.yaml"
    file.write_text(f"{UPS}  - {threshold}\n")
    (found,) = load(file).ups[0].thresholds
    assert found.warning == (None if warning is None else Limits(*warning))
    assert found.alarm == (None if alarm is None else Limits(*alarm))


def test_phases_are_among_the_points_that_are_offered() -> None:
    points = numeric_points("ups")
    assert {"battery.charge", "input.L1.voltage", "output.L3.power.percent", "battery.symmetry"} <= set(points)
    assert "ups.mode" not in points
