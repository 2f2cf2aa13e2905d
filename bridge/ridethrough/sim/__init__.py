"""Physical models, and simulators that speak the real protocols on real lines.

Simulators are peers of the links, not relatives: they share no protocol code with them.
"""

from .designs import DEFAULT_DESIGN, DESIGNS
from .runner import SimulateOptions, add_arguments, options_from, simulate
from .scenario import Scenario, ScenarioError, find_scenario, scenarios
from .simulation import Simulation

__all__ = [
    "DEFAULT_DESIGN",
    "DESIGNS",
    "Scenario",
    "ScenarioError",
    "SimulateOptions",
    "Simulation",
    "add_arguments",
    "find_scenario",
    "options_from",
    "scenarios",
    "simulate",
]
