"""UPSes that can be simulated. Each is a row; add a maker's figures to add one."""

from .battery import BatteryDesign
from .ups import Topology, UpsDesign

DESIGNS = {
    "interactive-1000": UpsDesign(
        manufacturer="Ridethrough",
        model="LI-1000",
        firmware="SIM1.0",
        topology=Topology.LINE_INTERACTIVE,
        rating=1000.0,
        real_power=600.0,
        battery=BatteryDesign(nominal_voltage=24.0, blocks=2, capacity=9.0, resistance=0.03, charge_current=1.0),
    ),
    "interactive-1000-packs": UpsDesign(
        manufacturer="Ridethrough",
        model="LI-1000-BP",
        firmware="SIM1.0",
        topology=Topology.LINE_INTERACTIVE,
        rating=1000.0,
        real_power=600.0,
        # With battery packs: an hour at full load.
        battery=BatteryDesign(nominal_voltage=24.0, blocks=2, capacity=50.0, resistance=0.006, charge_current=25.0),
    ),
    "online-3000": UpsDesign(
        manufacturer="Ridethrough",
        model="ON-3000",
        firmware="SIM1.0",
        topology=Topology.ONLINE,
        rating=3000.0,
        real_power=2700.0,
        battery=BatteryDesign(nominal_voltage=96.0, blocks=8, capacity=9.0, resistance=0.12, charge_current=1.5),
        transfer_low=160.0,
        efficiency=0.9,
        own_consumption=40.0,
        transfer_back=3.0,
    ),
    "standby-600": UpsDesign(
        manufacturer="Ridethrough",
        model="SB-600",
        firmware="SIM1.0",
        topology=Topology.STANDBY,
        rating=600.0,
        real_power=360.0,
        battery=BatteryDesign(nominal_voltage=12.0, blocks=1, capacity=7.0, resistance=0.02, charge_current=0.7),
        transfer_low=180.0,
        transfer_high=264.0,
        efficiency=0.82,
        own_consumption=6.0,
    ),
}
DEFAULT_DESIGN = "interactive-1000"
