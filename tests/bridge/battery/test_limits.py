"""Usual voltage limits (manual M:6449, M:6510), and how they scale with the number of cells."""

import pytest

from ridethrough.battery.limits import CELLS, cells, final_voltage, usual_voltage
from ridethrough.config.battery import Band, BlockConfig, Chemistry


@pytest.mark.parametrize(
    ("voltage", "chemistry", "count"),
    [
        pytest.param(2.0, "lead", 1, id="lead-2"),
        pytest.param(4.0, "lead", 2, id="lead-4"),
        pytest.param(6.0, "lead", 3, id="lead-6"),
        pytest.param(12.0, "lead", 6, id="lead-12"),
        pytest.param(16.0, "lead", 8, id="lead-16"),
        pytest.param(24.0, "lead", 12, id="lead-24"),
        pytest.param(1.2, "nicd", 1, id="nicd-one"),
        pytest.param(2.4, "nicd", 2, id="nicd-two"),
        pytest.param(2.0, "nicd", 2, id="nicd-two-as-the-manual-calls-it"),
        pytest.param(12.0, "nicd", 10, id="nicd-12"),
        pytest.param(12.0, "lfp", 4, id="lfp-12"),
        pytest.param(16.0, "lfp", 5, id="lfp-16"),
        pytest.param(24.0, "lfp", 8, id="lfp-24"),
        pytest.param(1.2, "lfp", 1, id="at-least-one"),
        pytest.param(12.0, "other", 0, id="other"),
    ],
)
def test_cells_of_each_module_that_there_is(voltage: float, chemistry: Chemistry, count: int) -> None:
    """M:5503–5509 modules for 2, 4, 6, 12, 16 and 24 V; M:5469–5478 two NiCd cells at one module."""
    assert cells(BlockConfig(voltage, chemistry=chemistry)) == count


def test_a_lead_block_of_12_volts() -> None:
    """Float is 13.5–13.8 V, boost 14.4–14.7 V; both are well. A block with a dead cell, at 11.4 V, is not."""
    block = BlockConfig(12.0, chemistry="lead")
    assert usual_voltage(block) == Band(low_alarm=12.0, low_warning=12.6, high_warning=14.7, high_alarm=15.0)
    assert final_voltage(block) == 9.6


def test_of_other_chemistries_nothing_is_usual() -> None:
    """M:5421–5427: their curves are unknown, so nothing is made up."""
    block = BlockConfig(12.0, chemistry="other")
    assert usual_voltage(block) == Band()
    assert final_voltage(block) is None


@pytest.mark.parametrize("chemistry", list(CELLS))
def test_warnings_come_before_alarms(chemistry: Chemistry) -> None:
    """M:6535: values for the warning are to be reached before those for the alarm."""
    cell = CELLS[chemistry]
    assert cell.final < cell.low_alarm < cell.low_warning < cell.high_warning < cell.high_alarm
    assert cell.low_alarm >= 0.9 * cell.nominal
    usual = usual_voltage(BlockConfig(cell.nominal * 4, chemistry=chemistry))
    assert usual.low_alarm == pytest.approx(4 * cell.low_alarm)
    assert usual.high_alarm == pytest.approx(4 * cell.high_alarm)


@pytest.mark.parametrize(
    ("chemistry", "floating"),
    [
        pytest.param("lead", (2.23, 2.40), id="lead"),
        pytest.param("nicd", (1.38, 1.55), id="nicd"),
        pytest.param("lfp", (3.38, 3.60), id="lfp"),
    ],
)
def test_float_and_boost_charge_are_within(chemistry: Chemistry, floating: tuple[float, float]) -> None:
    """IEC 62485-2 table 1: lead 2.27 and 2.40 V, NiCd 1.40 and 1.55 V; LFP 3.40–3.60 V by data sheets."""
    cell = CELLS[chemistry]
    for voltage in floating:
        assert cell.low_warning < voltage < cell.high_warning
